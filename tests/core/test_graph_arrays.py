"""The arrays under a MergeGraph: numbers of guids, edges and their rows, checked with dictionaries."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections import defaultdict
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeguard.core import guids, index, numbering
from mergeguard.core.adjacency import Adjacency, link
from mergeguard.core.graph import MergeGraph
from mergeguard.core.numbering import MAX_ROWS, Numbering, mix_one, number
from mergeguard.core.table import MergeTable

Rows: TypeAlias = list[tuple[uuid.UUID, uuid.UUID]]

# Half a dozen guids that differ in few bits, at either end, so that tables meet them again and again; and any others.
NEAR = [uuid.UUID(int=value) for value in (0, 1, 2, 1 << 64, 1 << 127, (1 << 128) - 1)]
GUID = st.sampled_from(NEAR) | st.uuids()
ROWS = st.lists(st.tuples(GUID, GUID), max_size=30)


def numbered(rows: Rows) -> Numbering:
    return number(MergeTable.from_pairs(rows))


def check_numbers(rows: Rows, strangers: list[uuid.UUID]) -> None:
    found = numbered(rows)
    met = list(dict.fromkeys(guid for row in rows for guid in row))
    assert list(found) == met
    assert len(found) == len(met)
    assert [found.find(guid) for guid in met] == list(range(len(met)))
    assert [found.guid(place) for place in range(len(met))] == met
    assert [(met[old], met[new]) for old, new in zip(found.old, found.new, strict=True)] == rows
    assert all(found.find(guid) is None for guid in strangers if guid not in met)


@given(ROWS, st.lists(GUID, max_size=5))
def test_guids_are_numbered_as_the_rows_meet_them(rows: Rows, strangers: list[uuid.UUID]) -> None:
    check_numbers(rows, strangers)


@pytest.mark.parametrize("hashed", ["constant", "two values"])
@given(rows=ROWS, strangers=st.lists(GUID, max_size=5))
def test_guids_whose_hashes_collide_stay_apart(rows: Rows, strangers: list[uuid.UUID], hashed: str) -> None:
    def one(packed: bytes) -> int:
        return 0 if hashed == "constant" else (packed[15] & 1) << 63

    def column(guids_: guids.Guids) -> np.ndarray:
        return np.array([one(row.tobytes()) for row in guids_], np.uint64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "mix", column)
        patch.setattr(numbering, "mix", column)
        patch.setattr(numbering, "mix_one", one)
        check_numbers(rows, strangers)


@given(st.lists(GUID, min_size=1, max_size=20))
def test_one_guid_is_hashed_as_a_column_is(some: list[uuid.UUID]) -> None:
    assert index.mix(guids.from_uuids(some)).tolist() == [mix_one(guid.bytes) for guid in some]


@settings(max_examples=settings.default.max_examples // 20)
@given(st.integers(4000, 9000), st.integers(0, 2**32))
def test_many_guids_come_back_in_order(rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    pool = random.integers(0, 256, (rows, 16), np.uint8)
    table = MergeTable(pool, pool[random.integers(0, rows, rows)])
    found = number(table)
    met = dict.fromkeys(
        guid for pair in zip(guids.to_uuids(table.old), guids.to_uuids(table.new), strict=True) for guid in pair
    )
    assert list(found) == list(met)
    backwards = np.arange(len(met), dtype=np.int32)[::-1]
    assert list(found.some(backwards)) == list(met)[::-1]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40))
def test_edges_stand_beside_their_ends_in_the_order_of_their_first_rows(pairs: list[tuple[int, int]]) -> None:
    rows = [(uuid.UUID(int=old), uuid.UUID(int=new)) for old, new in pairs]
    places = numbered(rows)
    adjacency = link(places)
    behind: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for row, pair in enumerate(zip(places.old.tolist(), places.new.tolist(), strict=True)):
        behind[pair].append(row)
    assert adjacency.edges() == len(behind)
    assert [adjacency.rows.of(edge).tolist() for edge in range(len(behind))] == list(behind.values())
    check_ends(adjacency, list(behind), len(places))


def check_ends(adjacency: Adjacency, edges: list[tuple[int, int]], nodes: int) -> None:
    for node in range(nodes):
        out = [edge for edge, (old, _) in enumerate(edges) if old == node]
        into = [edge for edge, (_, new) in enumerate(edges) if new == node]
        assert adjacency.out.edges.of(node).tolist() == out
        assert adjacency.into.edges.of(node).tolist() == into
        assert adjacency.out.neighbours(node).tolist() == [edges[edge][1] for edge in out]
        assert adjacency.into.neighbours(node).tolist() == [edges[edge][0] for edge in into]
        for other in range(nodes):
            wanted = edges.index((node, other)) if (node, other) in edges else None
            assert adjacency.edge(node, other) == wanted


def test_a_graph_is_made_without_looking_at_the_rows() -> None:
    graph = MergeGraph(MergeTable.from_pairs([(NEAR[0], NEAR[1])]))
    assert not {"numbering", "adjacency"} & vars(graph._arrays).keys()
    assert list(graph) == [NEAR[0], NEAR[1]]
    assert "adjacency" not in vars(graph._arrays)
    assert graph.number_of_edges() == 1
    assert "adjacency" in vars(graph._arrays)


def test_the_index_keeps_32_bytes_a_guid_and_32_a_row() -> None:
    chain = np.zeros((1001, 16), np.uint8)
    chain[:, :4] = np.arange(1001, dtype=np.uint32).view(np.uint8).reshape(-1, 4)
    graph = MergeGraph(MergeTable(chain[:-1], chain[1:]))
    assert graph.size() == 1000
    assert sum(array.nbytes for array in arrays(graph._arrays)) <= 32 * (len(graph) + 1000) + 64


def arrays(held_by: object) -> list[np.ndarray | memoryview]:
    found, adjacency = held_by.numbering, held_by.adjacency
    held = [found.guids, found.old, found.new, found._probes]
    for side in (adjacency.out, adjacency.into):
        held += [side.edges.start, side.edges.members, side.ends]
    return [*held, adjacency.rows.start, adjacency.rows.members]


def test_a_table_too_long_to_be_numbered_is_refused() -> None:
    endless = np.broadcast_to(np.zeros((1, 16), np.uint8), (MAX_ROWS + 1, 16))
    with pytest.raises(ValueError, match="at most 1073741823"):
        number(MergeTable(endless, endless))


def test_importing_the_package_and_the_table_leaves_networkx_alone() -> None:
    code = (
        "import sys, mergeguard, mergeguard.core.table, mergeguard.core.numbering; sys.exit('networkx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
