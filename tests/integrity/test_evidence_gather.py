"""What is known of a guid is what stands in the tables, however they are read."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from merge_model import guid

from mergeguard.core.guids import text_id
from mergeguard.core.repair.evidence import Known, ReadFrom
from mergeguard.core.rule import Need
from mergeguard.errors import UnknownSchema
from mergeguard.integrity.demo import make_demo
from mergeguard.integrity.evidence import gather
from mergeguard.integrity.reading import ALL, read_facts
from mergeguard.storage.database import known_guids
from mergeguard.storage.profile import Contact, Keys, Live, Merge, Names, Owner, Profile, Reference, Types
from mergeguard.storage.profile_file import builtin_profile
from mergeguard.storage.targets import open_target

GUIDS = [guid(number) for number in range(8)]
PROFILE = Profile(
    "known",
    Merge("Merges", row_id="Id", time="MergedAt"),
    live=Live("Alive", "Guid"),
    types=Types("Things", "Guid", "Kind"),
    keys=Keys("Keyed", "Guid", "Name", "Value"),
    contact=Contact("Heard", "Guid", "At"),
    owner=Owner("Things", "Guid", "Server", "here"),
    names=Names("Things", "Guid", "Name"),
    references=(Reference("Keyed", "Guid"), Reference("Held", "Guid")),
)
COLUMNS = {
    "Merges": ("Id", "OldGuid", "NewGuid", "MergedAt"),
    "Alive": ("Guid",),
    "Things": ("Guid", "Kind", "Server", "Name"),
    "Keyed": ("Guid", "Name", "Value"),
    "Heard": ("Guid", "At"),
    "Held": ("Guid",),
}
ONE, WORDS = st.sampled_from(GUIDS), st.sampled_from([None, "a", "b", " "])
MOMENTS = st.none() | st.integers(0, 3).map(lambda day: f"2024-01-0{day + 1} 10:00:00")
TABLES = st.fixed_dictionaries(
    {
        "Merges": st.just([(1, GUIDS[0], GUIDS[1], "2024-01-01 00:00:00")]),
        "Alive": st.lists(st.tuples(ONE), max_size=4),
        "Things": st.lists(st.tuples(ONE, WORDS, WORDS, WORDS), max_size=6),
        "Keyed": st.lists(st.tuples(ONE, st.just("n"), st.just("v")), max_size=6),
        "Heard": st.lists(st.tuples(ONE, MOMENTS), max_size=6),
        "Held": st.lists(st.tuples(ONE), max_size=8),
    }
)
EACH = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


def expected(tables: Mapping[str, list[tuple[Any, ...]]], one: uuid.UUID) -> Known:
    """What the tables say of a guid, in one line each."""

    def beside(table: str, at: int) -> set[str]:
        return {row[at].strip() for row in tables[table] if row[0] == one and row[at] and row[at].strip()}

    def only(texts: Collection[str]) -> str | None:
        return next(iter(texts)) if len(texts) == 1 else None

    counts = {f"{table}.Guid": sum(row[0] == one for row in tables[table]) for table in ("Keyed", "Held")}
    times = [dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC) for text in beside("Heard", 1)]
    return Known(
        one,
        live=(one,) in tables["Alive"],
        type=only(beside("Things", 1)),
        keys=counts["Keyed.Guid"],
        references={column: count for column, count in counts.items() if count},
        last_contact=max(times, default=None),
        owner=only(beside("Things", 2)),
        name=min(beside("Things", 3), default=None),
    )


class Target:
    """Where tables can be put, spelled in the manner of a database."""

    def __init__(self, url: str, guid_type: str, spell: Callable[[uuid.UUID], object]) -> None:
        self.url, self.spell = url, spell
        self.engine = sa.create_engine(url)
        with self.engine.begin() as connection:
            for table, columns in COLUMNS.items():
                kinds = [
                    f'"{name}" {guid_type if "Guid" in name else "integer" if name == "Id" else "varchar(40)"}'
                    for name in columns
                ]
                connection.execute(sa.text(f'DROP TABLE IF EXISTS "{table}"'))
                connection.execute(sa.text(f'CREATE TABLE "{table}" ({", ".join(kinds)})'))

    def fill(self, tables: Mapping[str, list[tuple[Any, ...]]]) -> None:
        with self.engine.begin() as connection:
            for table, columns in COLUMNS.items():
                connection.execute(sa.text(f'DELETE FROM "{table}"'))
                rows = [
                    {
                        name: self.spell(cell) if isinstance(cell, uuid.UUID) else cell
                        for name, cell in zip(columns, row, strict=True)
                    }
                    for row in tables[table]
                ]
                if rows:
                    connection.execute(sa.table(table, *map(sa.column, columns)).insert(), rows)

    def index(self, table: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(f'CREATE INDEX "IX_{table}" ON "{table}" ("Guid")'))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    if request.param == "postgresql":
        made = Target(request.getfixturevalue("postgres_url"), "uuid", lambda one: one)
    else:
        file = tmp_path_factory.mktemp("known") / "known.db"
        made = Target(f"sqlite:///{file}", "varchar(40)", lambda one: str(one).upper())
    yield made
    made.engine.dispose()


def known(
    url: str, profile: Profile, wanted: Collection[uuid.UUID], needs: Collection[Need] = (Need.LIVENESS,)
) -> tuple[dict[uuid.UUID, Known], ReadFrom]:
    with closing(open_target(url, profile)) as source, source.snapshot() as snapshot:
        facts = read_facts(snapshot, profile, needs=needs).facts
        return gather(snapshot, profile, facts, wanted)


@EACH
@given(tables=TABLES, wanted=st.sets(ONE), needs=st.sampled_from([(), tuple(ALL)]))
def test_what_is_known_is_what_stands_there(
    target: Target, tables: Mapping[str, list[tuple[Any, ...]]], wanted: set[uuid.UUID], needs: tuple[Need, ...]
) -> None:
    target.fill(tables)
    found, _ = known(target.url, PROFILE, wanted, needs)
    assert found == {one: expected(tables, one) for one in wanted}


@EACH
@given(tables=TABLES)
def test_searching_and_reading_whole_columns_say_the_same(
    target: Target, tables: Mapping[str, list[tuple[Any, ...]]]
) -> None:
    target.fill(tables)
    searched = known(target.url, PROFILE, GUIDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_guids, "FEW", 0)
        assert known(target.url, PROFILE, GUIDS) == searched


def test_many_guids_of_an_indexed_column_are_asked_for_by_the_index(target: Target) -> None:
    many = [guid(number) for number in range(5000)]
    held = [(one,) for one in many for _ in range(2)]
    target.fill({table: held if table == "Held" else [] for table in COLUMNS})
    target.index("Held")
    found, _ = known(target.url, replace(PROFILE, keys=None, references=(Reference("Held", "Guid"),)), many)
    assert {one.mass for one in found.values()} == {2}


def test_files_are_read_too(tmp_path: Path) -> None:
    one, other = GUIDS[:2]
    (tmp_path / "Merges.csv").write_text(f"OldGuid,NewGuid\n{one},{other}\n")
    (tmp_path / "Held.csv").write_text(f"Guid\n{one}\n{{{one}}}\nno guid\n\n")
    (tmp_path / "Things.csv").write_text(f"Guid,Name\n{other},Orion\n")
    profile = Profile("files", names=Names("Things.csv", "Guid", "Name"), references=(Reference("Held.csv", "Guid"),))
    found, _ = known(str(tmp_path / "Merges.csv"), profile, [one, other])
    assert found == {
        one: Known(one, references={"Held.csv.Guid": 2}),
        other: Known(other, references={}, name="Orion"),
    }


def test_ids_that_are_texts_are_asked_for_by_their_text(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'texts.db'}"
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        for table, column in (("merges", "old text, new text"), ("things", "id text, server text")):
            connection.execute(sa.text(f"CREATE TABLE {table} ({column})"))
        connection.execute(sa.text("INSERT INTO merges VALUES ('Navajo', 'America/Denver')"))
        connection.execute(sa.text("INSERT INTO things VALUES ('Navajo', 'NS1'), ('America/Denver', 'NS2')"))
    profile = Profile("texts", Merge("merges", "old", "new", ids="text"), owner=Owner("things", "id", "server"))
    found, _ = known(url, profile, [text_id("Navajo"), text_id("America/Denver")])
    assert [found[text_id(name)].owner for name in ("Navajo", "America/Denver")] == ["NS1", "NS2"]


def test_nothing_declared_is_nothing_known(target: Target) -> None:
    bare = Profile("bare", Merge("Merges"))
    found, where = known(target.url, bare, GUIDS[:1])
    assert found == {GUIDS[0]: Known(GUIDS[0])}
    assert where == ReadFrom()


def test_it_says_where_each_piece_was_read(target: Target) -> None:
    _, where = known(target.url, PROFILE, ())
    assert where == ReadFrom(
        live="Alive.Guid",
        types="Things.Kind",
        keys="Keyed.Guid",
        references=("Keyed.Guid", "Held.Guid"),
        row_id="Merges.Id",
        time="Merges.MergedAt",
        contact="Heard.At",
        owner="Things.Server",
        here="here",
    )


def test_row_ids_that_are_texts_say_nothing_of_an_order(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(f"Id,OldGuid,NewGuid\nx1,{GUIDS[0]},{GUIDS[1]}\n")
    _, where = known(str(tmp_path / "m.csv"), Profile(merge=Merge(row_id="Id")), ())
    assert where.row_id is None


def test_a_table_that_is_not_there_is_named(target: Target) -> None:
    profile = replace(PROFILE, contact=Contact("Herd", "Guid", "At"))
    with pytest.raises(UnknownSchema, match="Herd"):
        known(target.url, profile, GUIDS[:1])


def test_the_demonstration_knows_the_names_and_the_last_inventory(tmp_path: Path) -> None:
    database = str(make_demo(tmp_path).database)
    wanted = [text_id("America/Denver"), text_id("PC-DENVER")]
    found, where = known(database, builtin_profile("reference"), wanted)
    zone, computer = found[wanted[0]], found[wanted[1]]
    assert (zone.name, zone.live, zone.keys, zone.last_contact) == ("America/Denver", True, 1, None)
    assert computer.last_contact == dt.datetime(2024, 7, 3, tzinfo=dt.UTC)
    assert (where.contact, where.owner) == ("ResourceUpdateSummary.ModifiedDate", "Item.OwnerNSGuid")
