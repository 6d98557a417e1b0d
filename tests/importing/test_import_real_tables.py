"""Events that name guids of real tables, with circles and splits that nobody made up, before and after the repair."""

from __future__ import annotations

import csv
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import networkx as nx
import pytest
from import_oracle import Import, Model
from importing.import_cases import ANY, CATALOGUE, COMPUTER, RECIPIENT, SINGLE, Case
from importing.import_state import State
from importing.import_world import World

from mergeguard.core.nse.message import Association, ClassData, Key, Message, Resource, Row, Target

DATA = Path(__file__).parents[1] / "data"
FILES = {
    "tz": "tz_link_accumulated.tsv",
    "attack": "attack_cti_revoked_by.tsv",
    "hgnc": "hgnc_withdrawn_id.tsv",
    "firefox": "gitbugs_firefox_duplicates.tsv",
}
DELETED = "Entry Withdrawn"
EVENTS = 60
NAMED = uuid.uuid5(uuid.NAMESPACE_OID, "real tables")


def guid_of(text: str) -> uuid.UUID:
    return uuid.uuid5(NAMED, text)


def merges_of(name: str) -> list[tuple[uuid.UUID, uuid.UUID]]:
    with (DATA / FILES[name]).open(encoding="utf-8", newline="") as file:
        rows = [row[:2] for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)][1:]
    return [(guid_of(old), guid_of(new)) for old, new in rows if new != DELETED]


def currents(merges: Iterable[tuple[uuid.UUID, uuid.UUID]]) -> Mapping[uuid.UUID, uuid.UUID | None]:
    """Say by networkx what each old is now; ``None`` where it is in a circle or a split, or leads into one."""
    graph = nx.DiGraph(merges)
    ends: dict[uuid.UUID, set[uuid.UUID | None]] = {}
    joined = nx.condensation(graph)
    for component in reversed(list(nx.topological_sort(joined))):
        members = joined.nodes[component]["members"]
        found = {end for after in joined.successors(component) for end in ends[min(joined.nodes[after]["members"])]}
        if len(members) > 1:
            found |= {None}
        for member in members:
            ends[member] = found or {member}
    return {old: next(iter(ends[old])) if len(ends[old]) == 1 else None for old, _ in graph.edges}


def drawn(olds: Mapping[uuid.UUID, uuid.UUID | None]) -> list[uuid.UUID]:
    """Choose olds of both kinds, where there are both; the same in every run."""
    astray = sorted(old for old, current in olds.items() if current is None)
    others = sorted(old for old, current in olds.items() if current is not None)
    half = EVENTS // 2
    return [*astray[:half], *others[: EVENTS - len(astray[:half])]]


def event(number: int, old: uuid.UUID) -> Import:
    """An inventory of a new computer that points at an old, by a foreign key and by an association."""
    me = Target(ref="me")
    computer = Resource("me", guid_of(f"computer {number}"), COMPUTER, "new", (Key("uniqueid", f"real {number}"),))
    data = ClassData(SINGLE.guid, me, (Row(("real", str(old))),))
    return Import(number, Message(RECIPIENT, (computer,), (Association(ANY.guid, me, Target(guid=old)),), (data,)))


def begin(world: World, merges: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """Fill the tables as such a table would be found: whatever is no old is live."""
    world.reset(Case(0, (), ()))
    olds = {old for old, _ in merges}
    ends = sorted({new for _, new in merges} - olds)
    model = Model(CATALOGUE, types=dict.fromkeys(ends, COMPUTER))
    rows = [(old, new, f"2026-01-{1 + at % 28:02}T00:00:00Z") for at, (old, new) in enumerate(merges)]
    with world.tables.engine.begin() as connection:
        world.tables._begin(connection, model)
        world.tables.insert(connection, "ResourceMerge", ("OldGuid", "NewGuid", "MergedAt"), rows)
    world.rebuild()


def pointed(state: State, number: int) -> set[object]:
    """Return where the foreign key and the association of an event ended up."""
    me = guid_of(f"computer {number}")
    keys = {cells[1] for guid, cells in state.data[SINGLE.guid] if guid == me}
    return keys | {child for _, parent, child, _ in state.links if parent == me}


@pytest.mark.parametrize("name", ["tz", "attack", "hgnc", pytest.param("firefox", marks=pytest.mark.long)])
def test_events_follow_a_real_table_and_wait_where_it_leads_nowhere(world: World, name: str) -> None:
    merges = merges_of(name)
    begin(world, merges)
    olds = currents(merges)
    named = dict(enumerate(drawn(olds), 1))
    world.register([event(number, old) for number, old in named.items()])
    world.drain()
    state = world.state()
    assert state.dead == frozenset()
    assert state.parked == state.waiting == {number for number, old in named.items() if olds[old] is None}
    for number, old in named.items():
        assert pointed(state, number) == ({olds[old]} - {None})

    world.repair()
    world.wake()
    world.drain()
    after, state = currents(world.state().merges), world.state()
    assert state.dead == frozenset()
    assert state.parked == {number for number, old in named.items() if old in after and after[old] is None}
    for number, old in named.items():
        assert pointed(state, number) == ({after.get(old, old)} - {None})
    assert all(guid in state.live for _, guid in state.references()), "foreign keys and ends are live"
