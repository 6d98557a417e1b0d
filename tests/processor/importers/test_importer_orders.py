"""In whichever order imports and merges run, the same is left: what is newest is told by registration alone."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from importing_model import merge
from importing_samples import (
    IDENTIFICATION,
    INSTALLED,
    OWNED,
    RUN,
    SOFTWARE,
    USES,
    World,
    computer,
    guid,
    link,
    rows,
)

from mergeguard.core.nse.message import Association, ClassData

PCS = range(1, 5)
PROGRAMS = range(11, 15)
A_PC, A_PROGRAM = st.sampled_from(PCS), st.sampled_from(PROGRAMS)


@st.composite
def parts(draw: st.DrawFn) -> tuple[ClassData | Association, ...]:
    """What a message says of one computer."""
    pc = draw(A_PC)
    made: list[ClassData | Association] = []
    if draw(st.booleans()):
        made.append(rows(IDENTIFICATION, pc, (draw(st.sampled_from("abc")), 1, guid(draw(A_PC)))))
    if draw(st.booleans()):
        programs = draw(st.lists(A_PROGRAM, unique=True))
        made.append(rows(INSTALLED, pc, *((guid(each), "1") for each in programs)))
    if draw(st.booleans()):
        made.append(rows(RUN, pc, (draw(st.sampled_from("xyz")), guid(draw(A_PROGRAM)))))
    made += [link(USES, pc, draw(A_PC | A_PROGRAM))] * draw(st.integers(0, 2))
    made += [link(OWNED, pc, draw(A_PROGRAM))] * draw(st.integers(0, 1))
    return tuple(made)


Merge = tuple[uuid.UUID, uuid.UUID]
PAIRS = st.lists(st.tuples(A_PC, A_PC) | st.tuples(A_PROGRAM, A_PROGRAM), max_size=4)


def after(steps: Sequence[tuple[int, tuple[ClassData | Association, ...]] | Merge]) -> World:
    world = World()
    everybody = [computer(f"c{each}", each, f"fqdn={each}") for each in PCS]
    software = [computer(f"s{each}", each, f"hash={each}", kind=SOFTWARE) for each in PROGRAMS]
    world.send(*everybody, *software, event=1)
    for first, second in steps:
        if isinstance(first, uuid.UUID):
            assert isinstance(second, uuid.UUID)
            merge(world.tables, first, second)
        else:
            assert isinstance(second, tuple)
            world.send(*second, event=first)
    return world


@given(st.lists(parts(), max_size=5), PAIRS, st.data())
def test_import_then_merge_is_merge_then_import(
    messages: list[tuple[ClassData | Association, ...]], pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    imports = list(enumerate(messages, 10))
    merges = [(guid(old), guid(new)) for old, new in pairs]
    first = after([*imports, *merges])
    mixed: list[tuple[int, tuple[ClassData | Association, ...]] | Merge] = list(data.draw(st.permutations(imports)))
    place = 0
    for each in merges:
        place = data.draw(st.integers(place, len(mixed)))
        mixed.insert(place, each)
        place += 1
    second = after(mixed)
    assert second.tables.said() == first.tables.said()
    _check_live(first)


def _check_live(world: World) -> None:
    """Every guid in a row or an association is that of a live resource."""
    tables = world.tables
    told = {resource for _, resource in (*tables.rows, *tables.events)}
    told |= {cell for held in tables.rows.values() for row in held for cell in row if isinstance(cell, uuid.UUID)}
    told |= {end for _, *ends in tables.links for end in ends}
    assert told <= set(tables.items)
    assert all(parent != child for _, parent, child in tables.links)
