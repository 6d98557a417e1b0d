"""Stale references that nobody here made up, and the ones of the demonstration."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from mergeguard.core.guids import text_id
from mergeguard.core.repair.plan import Action, RowChange, Step
from mergeguard.core.repair.reference_steps import total
from mergeguard.errors import ProfileError, Stale
from mergeguard.integrity.demo import make_demo
from mergeguard.integrity.reading import read_facts
from mergeguard.integrity.stale import reference_steps, stale_references
from mergeguard.storage.profile import Live, Merge, Profile, Reference
from mergeguard.storage.profile_file import builtin_profile
from mergeguard.storage.source import Source
from mergeguard.storage.targets import open_target

DATA = Path(__file__).parents[1] / "data"
ATTACK = Profile(
    "attack",
    Merge("revoked_by", "old_ref", "new_ref", ids="text"),
    live=Live("objects", "ref", (("revoked", "False"),)),
    references=(Reference("relationships", "source_ref"),),
)
Rows = list[tuple[str, ...]]


def shipped(name: str) -> Rows:
    with (DATA / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file, delimiter="\t")]


def load(url: str, table: str, rows: Rows) -> None:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(f'DROP TABLE IF EXISTS "{table}"'))
        columns = ", ".join(f'"{name}" text' for name in rows[0])
        connection.execute(sa.text(f'CREATE TABLE "{table}" ({columns})'))
        clause = sa.table(table, *map(sa.column, rows[0]))
        connection.execute(clause.insert(), [dict(zip(rows[0], row, strict=True)) for row in rows[1:]])


def table(url: str, name: str) -> list[tuple[object, ...]]:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        return sorted((tuple(row) for row in connection.execute(sa.text(f'SELECT * FROM "{name}"'))), key=repr)


@pytest.fixture(params=["sqlite", "postgresql"])
def attack(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """MITRE ATT&CK: who was revoked by whom, which objects are live, and relationships between them."""
    url = (
        f"sqlite:///{tmp_path / 'attack.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    )
    load(url, "revoked_by", shipped("attack_cti_revoked_by"))
    load(url, "objects", shipped("attack_cti_objects"))
    (stale,) = shipped("attack_cti_stale_fk_refs")[1:]
    fine = [("relationship--fine", "uses", row[1]) for row in shipped("attack_cti_revoked_by")[1:4]]
    load(url, "relationships", [("id", "type", "source_ref"), (stale[0], stale[1], stale[3]), *fine])
    return url


def planned(source: Source, profile: Profile) -> list[Step]:
    with source.snapshot() as snapshot:
        facts = read_facts(snapshot, profile, needs=()).facts
        return reference_steps(snapshot, source.rows(snapshot), profile, facts)  # type: ignore[arg-type]


def apply(source: Source, changes: Sequence[RowChange]) -> None:
    with source.writing() as writing, writing.transaction() as rows:
        rows.change(changes)


@contextmanager
def opened(url: str, profile: Profile) -> Iterator[Source]:
    with closing(open_target(url, profile)) as source:
        yield source


def test_the_one_stale_reference_of_attack_is_re_pointed_and_goes_back(attack: str) -> None:
    (stale,) = shipped("attack_cti_stale_fk_refs")[1:]
    before = table(attack, "relationships")
    with opened(attack, ATTACK) as source:
        (step,) = planned(source, ATTACK)
        (change,) = step.changes
        apply(source, step.changes)
        assert (stale[0], stale[1], stale[4]) in table(attack, "relationships")
        assert planned(source, ATTACK) == []
        apply(source, [change.reversed()])
    assert table(attack, "relationships") == before


@pytest.fixture
def demo(tmp_path: Path) -> str:
    return str(make_demo(tmp_path).database)


def test_the_demonstration_is_re_pointed_where_its_zones_are_now(demo: str) -> None:
    profile = builtin_profile("reference")
    with opened(demo, profile) as source:
        steps = planned(source, profile)
        assert {column: counted["changed"] for column, counted in total(steps).items()} == {
            "ResourceKey.ResourceGuid": 1,
            "ResourceAssociation.ChildResourceGuid": 4,
            "Inv_InstalledSoftware._SoftwareComponentGuid": 4,
            "Evt_Software_Execution._ResourceGuid": 1,
        }
        apply(source, [change for step in steps for change in step.changes])
        assert planned(source, profile) == []
    keys = {(row[0], row[2]) for row in table(f"sqlite:///{demo}", "ResourceKey")}
    assert (str(text_id("Asia/Kolkata")), "Asia/Calcutta") in keys
    assert (str(text_id("Asia/Calcutta")), "Asia/Calcutta") not in keys


def test_hashes_of_what_was_moved_are_cleared_and_no_others(demo: str) -> None:
    url = f"sqlite:///{demo}"
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text('UPDATE "ResourceUpdateSummary" SET "DataHash" = \'0123\''))
    profile = builtin_profile("reference")
    with opened(demo, profile) as source:
        steps = planned(source, profile)
        changes = [change for step in steps for change in step.changes]
        apply(source, changes)
    cleared = {(row[0], row[1]) for row in table(url, "ResourceUpdateSummary") if row[6] is None}
    software = str(text_id("data class Installed software"))
    assert cleared == {(software, str(text_id(name))) for name in ("PC-KOLKATA", "PC-KYIV", "PC-SEATTLE", "PC-NAVAJO")}
    assert sum(change.action is Action.CLEAR_HASH for change in changes) == 4


def test_a_row_that_was_collapsed_into_must_stand_when_the_step_is_applied(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'keep.db'}"
    load(url, "merges", [("old", "new"), ("a", "b")])
    load(url, "links", [("id", "held"), ("1", "a"), ("2", "b")])
    profile = Profile(
        "keep", Merge("merges", "old", "new", ids="text"), references=(Reference("links", "held", ("held",)),)
    )
    with opened(url, profile) as source:
        (step,) = planned(source, profile)
        assert [change.action for change in step.changes] == [Action.KEEP, Action.COLLAPSE]
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM links WHERE id = '2'"))
        with pytest.raises(Stale):
            apply(source, step.changes)
    assert table(url, "links") == [("1", "a")]


def test_a_spelling_that_no_index_finds_is_found_all_the_same(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'odd.db'}"
    old, new = text_id("old"), text_id("new")
    load(url, "merges", [("old", "new"), (str(old), str(new))])
    load(url, "links", [("held",), (f"  ({str(old).upper()}) ",), (old.urn,), (str(old),)])
    profile = Profile("odd", Merge("merges", "old", "new"), references=(Reference("links", "held"),))
    with opened(url, profile) as source:
        apply(source, [change for step in planned(source, profile) for change in step.changes])
    assert table(url, "links") == sorted([(f"  ({str(new).upper()}) ",), (new.urn,), (str(new),)], key=repr)


def notes(url: str, profile: Profile) -> tuple[str, ...]:
    with opened(url, profile) as source, source.snapshot() as snapshot:
        facts = read_facts(snapshot, profile, needs=()).facts
        found = stale_references(snapshot, source.rows(snapshot), profile, facts)  # type: ignore[arg-type]
    assert found.steps == ()
    return found.notes


@pytest.mark.parametrize(
    ("merges", "live", "said"),
    [
        ([("a", "b"), ("b", "a")], ["c"], "lead into a cycle that is not repaired"),
        ([("a", "b"), ("a", "c")], ["b", "c"], "lead to two guids at once"),
        ([("a", "b")], ["c"], "lead to a guid that is gone"),
        ([("a", "gone")], ["c"], "were merged into nothing"),
    ],
)
def test_what_has_no_current_is_left_alone_and_said(tmp_path: Path, merges: Rows, live: list[str], said: str) -> None:
    url = f"sqlite:///{tmp_path / 'left.db'}"
    load(url, "merges", [("old", "new"), *merges])
    load(url, "alive", [("guid",), *((one,) for one in live)])
    load(url, "links", [("held",), ("a",), ("a",), ("c",)])
    merge = Merge("merges", "old", "new", deleted_values=("gone",), ids="text")
    profile = Profile("left", merge, live=Live("alive", "guid"), references=(Reference("links", "held"),))
    assert notes(url, profile) == (f"links.held: 2 rows hold guids that {said}; they are left alone",)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (Reference("merges", "new"), "because the rows of merges are a log"),
        (Reference("alive", "guid"), "because the row is the resource itself"),
        (Reference("seen", "held"), "because it is a view"),
        (Reference("made", "copy"), "because the server makes its values"),
    ],
)
def test_a_column_that_is_never_written_is_refused_in_words(tmp_path: Path, reference: Reference, said: str) -> None:
    url = f"sqlite:///{tmp_path / 'refused.db'}"
    load(url, "merges", [("old", "new"), ("a", "b"), ("b", "c")])
    load(url, "alive", [("guid",), ("c",), ("a ",)])
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE made (held text, copy text GENERATED ALWAYS AS (held) STORED)"))
        connection.execute(sa.text("INSERT INTO made (held) VALUES ('a')"))
        connection.execute(sa.text("CREATE VIEW seen AS SELECT held FROM made"))
    profile = Profile("refused", Merge("merges", "old", "new", ids="text"), references=(reference,))
    if reference.table == "alive":
        profile = Profile(
            "refused", profile.merge, live=Live("alive", "guid", (("guid", "c"),)), references=(reference,)
        )
    (note,) = notes(url, profile)
    assert note.startswith(f"{reference}: 1 row holds merged-away guids")
    assert said in note


def test_a_unique_column_that_the_server_makes_is_a_mistake_in_the_profile(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'unique.db'}"
    load(url, "merges", [("old", "new"), ("a", "b")])
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE made (held text, copy text GENERATED ALWAYS AS (held) STORED)"))
        connection.execute(sa.text("INSERT INTO made (held) VALUES ('a')"))
    reference = Reference("made", "held", ("held", "copy"))
    profile = Profile("unique", Merge("merges", "old", "new", ids="text"), references=(reference,))
    with opened(url, profile) as source, pytest.raises(ProfileError, match="whose values the server makes"):
        planned(source, profile)
