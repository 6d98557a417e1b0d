"""Rewrites are cut into groups so that each component of a plan can be taken back with its own, and nothing is lost."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st
from merge_model import Pair, guid, merge_pairs

from mergeguard.core.facts import Facts
from mergeguard.core.repair.reference_groups import dependents, groups
from mergeguard.core.repair.reference_steps import make_steps
from mergeguard.core.repair.references import Held, Place, Rewrite, Unique, rewrite
from mergeguard.core.table import MergeTable

OLDS = [uuid.UUID(int=number) for number in range(1, 9)]
NOWS = [uuid.UUID(int=number) for number in range(91, 94)]
PLACE = Place("Links", ("parent", "child"), unique=(Unique(("parent", "child")),))
CURRENTS = st.fixed_dictionaries({old: st.sampled_from(NOWS) for old in OLDS})
CELLS = st.sampled_from([*OLDS, *NOWS])
ROWS = st.lists(st.tuples(CELLS, CELLS), max_size=12)
DEPENDS = st.dictionaries(st.sampled_from(OLDS), st.sets(st.sampled_from("abc"), min_size=1), max_size=5)


def rewritten(rows: Sequence[tuple[uuid.UUID, uuid.UUID]], currents: dict[uuid.UUID, uuid.UUID]) -> list[Rewrite]:
    held = [
        Held({"parent": str(parent), "child": str(child)}, {"parent": parent, "child": child}) for parent, child in rows
    ]
    return list(rewrite(PLACE, held, currents, lambda _column, one, _like: str(one)))


def joined(rewrites: Sequence[Rewrite]) -> nx.Graph:
    """Which rewrites share a guid that is now one with others, or end in one row."""
    graph = nx.Graph()
    graph.add_nodes_from(range(len(rewrites)))
    own = {id(made.change): number for number, made in enumerate(rewrites)}
    for number, made in enumerate(rewrites):
        graph.add_edges_from((number, one) for pair in made.stale.values() for one in pair)
        if id(made.into) in own:
            graph.add_edge(number, own[id(made.into)])
    return graph


@given(ROWS, CURRENTS, DEPENDS)
def test_what_belongs_together_stands_together_under_all_it_depends_on(
    rows: list[tuple[uuid.UUID, uuid.UUID]], currents: dict[uuid.UUID, uuid.UUID], depends: dict[uuid.UUID, set[str]]
) -> None:
    made = rewritten(rows, currents)
    found = groups(made, depends)
    assert Counter(id(one) for group in found for one in group.rewrites) == Counter(map(id, made))
    place = {id(one): number for number, one in enumerate(made)}
    for group in found:
        numbers = [place[id(one)] for one in group.rewrites]
        assert numbers == sorted(numbers)
    names = {place[id(one)]: group.components for group in found for one in group.rewrites}
    if not depends:
        assert len(found) == bool(made)
        return
    for part in nx.connected_components(joined(made)):
        numbers = [one for one in part if isinstance(one, int)]
        olds = {old for number in numbers for old, _ in made[number].stale.values()}
        wanted = tuple(sorted({name for old in olds for name in depends.get(old, ())}))
        assert {names[number] for number in numbers} == ({wanted} if numbers else set())
    assert [group.components for group in found] == sorted(group.components for group in found)


@given(ROWS, CURRENTS, DEPENDS)
def test_steps_name_the_components_and_no_step_mixes_them(
    rows: list[tuple[uuid.UUID, uuid.UUID]], currents: dict[uuid.UUID, uuid.UUID], depends: dict[uuid.UUID, set[str]]
) -> None:
    made = rewritten(rows, currents)
    steps = list(make_steps(made, lambda _part: (), depends=depends, batch=3))
    told = [tuple(step.evidence.get("components", ())) for step in steps]
    expected = [group.components for group in groups(made, depends) for _ in range(-(-len(group.rewrites) // 3))]
    assert told == expected
    assert [step.component for step in steps] == [f"references:{number:04d}" for number in range(1, len(steps) + 1)]


@given(merge_pairs(), st.lists(st.sets(st.integers(0, 12), min_size=1, max_size=3), max_size=4))
def test_who_leads_to_a_member_depends_on_its_component(pairs: list[Pair], chosen: list[set[int]]) -> None:
    components = {str(number): [guid(one) for one in members] for number, members in enumerate(chosen)}
    graph = nx.DiGraph(pairs)
    expected: dict[uuid.UUID, set[str]] = {}
    for name, members in components.items():
        for member in members:
            behind = {member, *nx.ancestors(graph, member)} if member in graph else set()
            for old in behind & {old for old, _ in pairs}:
                expected.setdefault(old, set()).add(name)
    assert dependents(Facts(MergeTable.from_pairs(pairs)), components) == expected
