"""Repairs of tables whose ids no index finds, or whose texts stand nowhere once a row is retired."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeguard.core.repair.plan import Plan
from mergeguard.errors import Stale
from mergeguard.integrity.apply import apply_plan
from mergeguard.integrity.planning import PlanOptions, make_plan
from mergeguard.integrity.undo import undo_run
from mergeguard.integrity.unmerge import propose_unmerge, unmerge_guid
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Source
from mergeguard.storage.targets import open_target

GUIDS = PlanOptions(allow_arbitrary=True)
A, B, C = (str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in "abc")
SPELLINGS: dict[str, Callable[[str], str]] = {
    "blank behind": lambda guid: f"{guid} ",
    "blank before": lambda guid: f"\t{guid}",
    "urn": lambda guid: f"urn:uuid:{guid}",
    "parentheses": lambda guid: f"({guid})",
    "either case": lambda guid: "".join(digit.upper() if at % 2 else digit for at, digit in enumerate(guid)),
    "blank beyond ASCII": lambda guid: f"\N{NO-BREAK SPACE}{guid}",
}
TEXTS = Profile(merge=Merge("m", "old", "new", ids="text"))
PLAIN = Profile(merge=Merge("m", "old", "new"))
IDS = st.sampled_from(["a", "a ", "A\nb", "%", "'\"", "ä", "7", A])


@contextmanager
def table(path: Path, profile: Profile, rows: Sequence[tuple[object, object]], kind: str = "") -> Iterator[Source]:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE m (old {kind}, new {kind})")
        connection.executemany("INSERT INTO m VALUES (?, ?)", rows)
    with closing(open_target(str(path), profile)) as source:
        yield source


def standing(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT rowid, typeof(old), old, typeof(new), new FROM m ORDER BY rowid").fetchall()


def there_and_back(source: Source, profile: Profile, path: Path) -> Plan:
    """Plan, apply, plan again, undo: the second plan is empty and the rows are as before."""
    before = standing(path)
    plan = make_plan(source, profile, GUIDS)
    applied = apply_plan(source, profile, plan)
    assert applied.left == 0
    assert len(standing(path)) == len(before) - sum(len(step.changes) for step in plan.steps)
    assert make_plan(source, profile, GUIDS).steps == ()
    if plan.steps:
        undo_run(source, profile, plan.plan_id)
    assert standing(path) == before
    return plan


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_what_is_spelled_as_no_index_finds_it_is_repaired_and_taken_back(
    tmp_path: Path, spell: Callable[[str], str]
) -> None:
    path = tmp_path / "m.db"
    with table(path, PLAIN, [(spell(A), B), (B, A), (C, spell(C))], "text") as source:
        assert len(there_and_back(source, PLAIN, path).steps) == 2


@settings(max_examples=8, deadline=None)
@given(rows=st.lists(st.tuples(IDS, IDS), min_size=1, max_size=8))
def test_text_ids_are_repaired_and_taken_back_wherever_else_they_stand(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("texts") / "m.db"
    with table(path, TEXTS, rows, "text") as source:
        there_and_back(source, TEXTS, path)


@pytest.mark.parametrize("kind", ["", "blob", "integer", "real", "text"])
def test_numbers_for_ids_are_repaired_and_taken_back_whatever_the_columns_are_called(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "m.db"
    with table(path, TEXTS, [(1, 2), (2, 1), (3, 3)], kind) as source:
        assert len(there_and_back(source, TEXTS, path).steps) == 2


def test_a_guid_in_the_bytes_of_its_text_is_repaired_and_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with table(path, PLAIN, [(A.encode(), B.encode()), (B.encode(), A.encode())], "blob") as source:
        assert len(there_and_back(source, PLAIN, path).steps) == 1


def test_a_row_in_a_rare_spelling_that_changed_since_the_plan_stops_it(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with table(path, PLAIN, [(f"({A})", B), (B, A)], "text") as source:
        plan = make_plan(source, PLAIN, GUIDS)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE m SET new = ? WHERE old = ?", (C, f"({A})"))
        with pytest.raises(Stale) as stale:
            apply_plan(source, PLAIN, plan)
    assert any(C in line for line in stale.value.changed)


@pytest.mark.parametrize("old", ["x", f"({A})", A])
def test_the_only_row_of_an_id_is_unmerged_and_the_unmerge_is_taken_back(tmp_path: Path, old: str) -> None:
    path = tmp_path / "m.db"
    with table(path, TEXTS, [(old, B)], "text") as source:
        before = standing(path)
        done = unmerge_guid(source, TEXTS, propose_unmerge(source, TEXTS, old))
        assert (done.rows, standing(path)) == (1, [])
        undo_run(source, TEXTS, done.run_id)
        assert standing(path) == before


def test_on_postgresql_a_rare_spelling_and_a_text_that_stands_nowhere_else_come_back(postgres_url: str) -> None:
    profile = Profile(merge=Merge("m", "old", "new", ids="text"))
    engine = sa.create_engine(postgres_url, poolclass=sa.pool.NullPool)
    rows = [(f"({A})", B), (B, A), ("x", "x"), ("y ", "z"), ("z", "y")]
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS m"))
        connection.execute(sa.text("CREATE TABLE m (id integer PRIMARY KEY, old varchar(60), new varchar(60))"))
        for number, (old, new) in enumerate(rows):
            values = {"id": number, "old": old, "new": new}
            connection.execute(sa.text("INSERT INTO m VALUES (:id, :old, :new)"), values)
    with closing(open_target(postgres_url, profile)) as source:
        plan = make_plan(source, profile, GUIDS)
        assert apply_plan(source, profile, plan).applied == 3
        undo_run(source, profile, plan.plan_id)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT old, new FROM m ORDER BY id")).fetchall() == rows
