"""The layout against networkx: rings are rings, nothing overlaps, the same picture looks the same."""

from __future__ import annotations

import itertools
import uuid

import networkx as nx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mergeguard.core.findings import Picture, PictureNode, Role
from mergeguard.render.components import strongly_connected
from mergeguard.render.edges import curve, head
from mergeguard.render.layout import lay_out
from mergeguard.render.places import Spacing, ring_places

SPACING = Spacing(width=100, height=40, column_gap=50, row_gap=20, widest=900)
WIDE = Spacing(width=100, height=40, column_gap=50, row_gap=20, widest=10**6)
EDGES = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=30)
RING = [(n, (n + 1) % 40) for n in range(40)]
CHAIN = [(n, n + 1) for n in range(60)]
STAR = [(n, 0) for n in range(1, 60)]
DOZEN = [(n, (n + 1) % 12) for n in range(12)]
LOPSIDED = [
    (60, 61),
    (62, 63),
    *((n + 70, m + 70) for n, m in [*DOZEN, (20, 0), (21, 0), *((n, 21) for n in range(22, 28))]),
]
"""A ring taller than the middle of what hangs on it is deep, below two merges of their own."""


def _guid(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


def _picture(edges: list[tuple[int, int]]) -> Picture:
    nodes = sorted({end for edge in edges for end in edge})
    return Picture(
        tuple(PictureNode(_guid(n), str(_guid(n)), Role.TREE) for n in nodes),
        tuple((_guid(old), _guid(new)) for old, new in edges),
    )


def _graph(edges: list[tuple[int, int]]) -> nx.DiGraph:
    return nx.DiGraph((_guid(old), _guid(new)) for old, new in edges)


@given(EDGES)
@example([(0, 1), (1, 0), (0, 2)])
@example(RING)
def test_components_are_networkx_components_successors_first(edges: list[tuple[int, int]]) -> None:
    graph = _graph(edges)
    parts = strongly_connected({node: list(graph.successors(node)) for node in graph})
    assert sorted(sorted(part) for part in parts) == sorted(
        sorted(part) for part in nx.strongly_connected_components(graph)
    )
    place = {node: at for at, part in enumerate(parts) for node in part}
    assert all(place[new] <= place[old] for old, new in graph.edges)


@given(st.integers(2, 60))
def test_a_plain_cycle_comes_out_in_its_own_order(size: int) -> None:
    (ring,) = strongly_connected({_guid(n): [_guid((n + 1) % size)] for n in range(size)})
    assert ring == [_guid(n) for n in range(size)]


@given(EDGES)
@example(RING)
@example(CHAIN)
@example(STAR)
@example(LOPSIDED)
@example([(0, 0)])
@example([(1, 2), (2, 1), (3, 1), (4, 2), (5, 3), (6, 5)])
def test_no_two_nodes_overlap_and_all_lie_inside(edges: list[tuple[int, int]]) -> None:
    for layout in (lay_out(_picture(edges), SPACING), lay_out(_picture(edges), WIDE)):
        for (x, y), (other_x, other_y) in itertools.combinations(layout.places.values(), 2):
            assert abs(x - other_x) >= SPACING.width - 0.01 or abs(y - other_y) >= SPACING.height - 0.01
        for x, y in layout.places.values():
            assert SPACING.width / 2 - 0.01 <= x <= layout.width - SPACING.width / 2 + 0.01
            assert SPACING.height / 2 - 0.01 <= y <= layout.height - SPACING.height / 2 + 0.01


@given(EDGES)
def test_rings_are_the_components_of_two_or_more(edges: list[tuple[int, int]]) -> None:
    layout = lay_out(_picture(edges), SPACING)
    expected = [part for part in nx.strongly_connected_components(_graph(edges)) if len(part) > 1]
    assert sorted(sorted(ring) for ring in layout.rings) == sorted(sorted(part) for part in expected)


@given(EDGES)
def test_merges_outside_a_ring_lead_right_unless_the_picture_goes_on_below(edges: list[tuple[int, int]]) -> None:
    layout = lay_out(_picture(edges), WIDE)
    home = {guid: ring for ring in layout.rings for guid in ring}
    for old, new in _graph(edges).edges:
        if old != new and (old not in home or home[old] is not home.get(new)):
            assert layout.places[old][0] < layout.places[new][0]


def test_a_chain_is_a_straight_line_and_a_long_one_goes_on_below() -> None:
    short = lay_out(_picture([(n, n + 1) for n in range(5)]), SPACING)
    assert len({y for _, y in short.places.values()}) == 1
    long = lay_out(_picture(CHAIN), SPACING)
    assert long.width <= SPACING.widest
    assert len({y for _, y in long.places.values()}) == 11


@given(EDGES, st.randoms(use_true_random=False))
def test_the_order_of_the_edges_changes_nothing(edges: list[tuple[int, int]], random: st.random.Random) -> None:
    picture = _picture(edges)
    shuffled = list(picture.edges)
    random.shuffle(shuffled)
    assert lay_out(Picture(picture.nodes, tuple(shuffled)), SPACING) == lay_out(picture, SPACING)


def test_what_leads_into_a_tall_ring_stands_at_its_middle() -> None:
    places = lay_out(_picture([*DOZEN, (20, 0), (21, 20)]), WIDE).places
    assert places[_guid(20)][1] == places[_guid(21)][1] == pytest.approx(places[_guid(0)][1])


def test_a_picture_of_nothing_has_no_size() -> None:
    layout = lay_out(Picture((), ()), SPACING)
    assert (layout.width, layout.height, dict(layout.places)) == (0.0, 0.0, {})


def test_an_edge_to_a_node_that_is_not_drawn_is_left_out() -> None:
    picture = Picture((PictureNode(_guid(1), "a", Role.TREE),), ((_guid(1), _guid(9)),))
    assert set(lay_out(picture, SPACING).places) == {_guid(1)}


@given(st.integers(2, 200))
def test_a_ring_has_room_for_every_member_and_none_overlaps(size: int) -> None:
    places = ring_places(size, SPACING)
    assert len(places) == size
    for (x, y), (other_x, other_y) in itertools.combinations(places, 2):
        assert abs(x - other_x) >= SPACING.width or abs(y - other_y) >= SPACING.height
    assert places[0][0] == min(x for x, _ in places)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8), st.integers(-5, 5), st.integers(-5, 5))
def test_a_long_edge_never_runs_behind_another_node(rows: list[int], first: int, last: int) -> None:
    others = [(150.0 * (column + 1), row * SPACING.row) for column, row in enumerate(rows)]
    end = 150.0 * (len(rows) + 1)
    points = curve((0.0, first * SPACING.row), (end, last * SPACING.row), SPACING, closed=False, others=others)
    (left, height), (right, same) = points[3], points[6]
    assert (left, right, height) == (SPACING.width / 2 + 50, end - SPACING.width / 2 - 50, same)
    assert all(abs(y - height) > SPACING.height / 2 for _, y in others)


_COORDINATE = st.floats(-2000, 2000).map(lambda value: round(value, 1))
_PLACE = st.tuples(_COORDINATE, _COORDINATE)


@given(_PLACE, _PLACE, st.booleans())
def test_a_curve_starts_and_ends_on_the_nodes_borders(
    source: tuple[float, float], target: tuple[float, float], closed: bool
) -> None:
    points = curve(source, target, SPACING, closed=closed)
    assert len(points) % 3 == 1
    for (x, y), (middle_x, middle_y) in ((points[0], source), (points[-1], target)):
        assert abs(x - middle_x) <= SPACING.width / 2 + 0.01
        assert abs(y - middle_y) <= SPACING.height / 2 + 0.01
    assert head(points)[0] == points[-1]


@given(_PLACE, st.floats(150, 900))
def test_two_opposite_merges_are_drawn_apart(place: tuple[float, float], distance: float) -> None:
    other = (place[0] + distance, place[1])
    there, back = (curve(*ends, SPACING, closed=True) for ends in ((place, other), (other, place)))
    assert there[1][1] < place[1] < back[1][1]
