"""What importers write and read in a database is what the dictionaries of ``importing_model`` say, for any order."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_places import COMPUTER, EVENTS, EVERYTHING, OWNER, ImportPlace, named
from importing_model import Tables, Transaction

from mergeguard.core.importing.catalogue import Catalogue, CellType, DataColumn
from mergeguard.core.importing.keys import folded
from mergeguard.core.importing.standing import Linked
from mergeguard.core.nse.message import Key

GUIDS = [named(f"guid {number}") for number in range(4)]
PAIRS = [(data_class.guid, guid) for data_class in (EVERYTHING, EVENTS) for guid in GUIDS]
KEYS = [Key(name, value) for name in ("name.domain", "NAME.domain", "uniqueid") for value in ("pc1", "PC1", "'q\" %?")]
ENDS = [(OWNER, guid) for guid in GUIDS]
TIME = dt.datetime(2024, 2, 29, 12, 30, 15, 250000, tzinfo=dt.UTC)
Step = Callable[[Any, int], None]
Pair = tuple[uuid.UUID, uuid.UUID]

cells = {
    CellType.TEXT: st.sampled_from(["", "a", "ß %s ?", "x" * 40]),
    CellType.INTEGER: st.sampled_from([0, -1, 2**40]),
    CellType.NUMBER: st.sampled_from([0, 0.1, 1.5, -2, 1e300]),
    CellType.BOOLEAN: st.booleans(),
    CellType.TIME: st.just(TIME),
    CellType.GUID: st.sampled_from(GUIDS),
}


def cell(column: DataColumn) -> st.SearchStrategy[Any]:
    return cells[column.type] | st.none() if column.nullable else cells[column.type]


full_rows = st.lists(st.tuples(*map(cell, EVERYTHING.columns)), max_size=4, unique_by=lambda row: row[0])
event_rows = st.lists(st.tuples(*map(cell, EVENTS.columns)), max_size=3)
part_rows = st.fixed_dictionaries(
    {"Key": cells[CellType.TEXT]},
    optional={column.name: cell(column) for column in EVERYTHING.columns[1:]},
)
guids, numbers = st.sampled_from(GUIDS), st.integers(1, 9)
hashes = st.sampled_from(["a" * 32, "b" * 32])


def named_step(name: str, *values: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(*values).map(lambda given: lambda transaction, _: getattr(transaction, name)(*given))


def owned(guid: uuid.UUID, keys: list[Key]) -> Step:
    def step(transaction: Any, _event: int) -> None:
        transaction.create(guid, COMPUTER, "pc", managed=True)
        transaction.add_keys(guid, keys)

    return step


def filled(guid: uuid.UUID, rows: Any, hash_: str) -> Step:
    def step(transaction: Any, event: int) -> None:
        transaction.replace_rows(EVERYTHING, guid, rows)
        transaction.summarise(EVERYTHING, guid, len(rows), hash_, event)

    return step


def changed(guid: uuid.UUID, rows: Any) -> Step:
    def step(transaction: Any, event: int) -> None:
        transaction.update_rows(EVERYTHING, guid, rows)
        transaction.summarise(EVERYTHING, guid, None, None, event)

    return step


def confirmed(transaction: Any, event: int) -> None:
    transaction.confirm(transaction.summaries(PAIRS).keys(), event)


def linked(parent: uuid.UUID, child: uuid.UUID, event: int) -> Step:
    return lambda transaction, _: transaction.link([Linked(OWNER, parent, child, event)])


def unlinked(parent: uuid.UUID) -> Step:
    return lambda transaction, _: transaction.unlink(transaction.linked([(OWNER, parent)]))


steps = st.one_of(
    named_step("create", guids, st.just(COMPUTER), st.just("pc")),
    st.builds(owned, guids, st.lists(st.sampled_from(KEYS), max_size=3, unique_by=folded)),
    named_step("append_rows", st.just(EVENTS), guids, event_rows, st.just(TIME)),
    st.builds(filled, guids, full_rows, hashes),
    st.builds(changed, guids, st.lists(part_rows, min_size=1, max_size=2)),
    st.just(confirmed),
    st.builds(linked, guids, guids, numbers),
    st.builds(unlinked, guids),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_a_database_is_what_dictionaries_are(place: ImportPlace, data: st.DataObject) -> None:
    tables = Tables(Catalogue(classes={EVERYTHING.guid: EVERYTHING, EVENTS.guid: EVENTS}))
    model = Transaction(tables)
    with place.trying() as batch:
        real = place.store.within(batch)
        for event, step in enumerate(data.draw(st.lists(steps, max_size=8)), 1):
            step(model, event)
            step(real, event)
        assert owners(real) == owners(model)
        assert real.summaries(PAIRS) == model.summaries(PAIRS)
        assert set(real.linked(ENDS)) == set(model.linked(ENDS))
        stands = place.rows(batch, EVERYTHING)
        expected = {guid: rows for (kind, guid), rows in tables.rows.items() if kind == EVERYTHING.guid and rows}
        assert {guid: Counter(rows) for guid, rows in stands.items()} == {
            guid: Counter(rows) for guid, rows in expected.items()
        }
        happened = {guid: Counter(rows) for guid, rows in place.rows(batch, EVENTS).items()}
        assert happened == {guid: Counter(row for _, row in rows) for (_, guid), rows in tables.events.items() if rows}
        assert live(real) == live(model)


def owners(transaction: Any) -> Counter[tuple[str, str, uuid.UUID]]:
    found = transaction.owners(KEYS)
    return Counter((one.name.lower(), one.value.lower(), one.resource) for one in found)


def live(transaction: Any) -> dict[uuid.UUID, tuple[bool, uuid.UUID | None, bool]]:
    return {guid: (one.live, one.type, one.managed) for guid, one in transaction.standings(GUIDS).items()}


@st.composite
def worlds(
    draw: st.DrawFn,
) -> tuple[list[tuple[uuid.UUID, uuid.UUID]], dict[uuid.UUID, tuple[bool, bool]], set[uuid.UUID]]:
    """Merges among a few guids, the live ones with whether each is managed and retired, and the black list."""
    merges = draw(st.lists(st.tuples(guids, guids), max_size=6))
    alive = draw(st.dictionaries(guids, st.tuples(st.booleans(), st.booleans()), max_size=4))
    return merges, alive, draw(st.sets(guids))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(worlds(), st.sets(guids, min_size=1))
def test_a_guid_stands_where_the_rows_lead(place: ImportPlace, world: Any, asked: set[uuid.UUID]) -> None:
    merges, alive, listed = world
    tables = Tables(Catalogue(), merges=[(old, new, None) for old, new in merges], blacklist=listed)
    for guid, (managed, retired) in alive.items():
        tables.add(guid, COMPUTER, managed=managed, retired=retired, created=TIME)
    with place.trying() as batch:
        dated = ("Guid", "Name", "ResourceTypeGuid", "CreatedDate", "ModifiedDate")
        place.fill(batch, "Item", dated, *((guid, "pc", COMPUTER, TIME, TIME) for guid in alive))
        rows = [(guid, managed, "retired" if gone else "active") for guid, (managed, gone) in alive.items()]
        place.fill(batch, "ItemResource", ("Guid", "IsManaged", "Status"), *rows)
        place.fill(batch, "ResourceMerge", ("OldGuid", "NewGuid", "MergedAt"), *((*pair, TIME) for pair in merges))
        place.fill(batch, "AgentBlacklist", ("Guid", "BlacklistedAt"), *((guid, TIME) for guid in listed))
        found = place.store.within(batch).standings(asked)
        assert found == Transaction(tables).standings(asked)
        assert place.store.standings(batch.connection, asked) == found
