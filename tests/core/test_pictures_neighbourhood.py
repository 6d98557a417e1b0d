"""A picture shows what is asked for, then what hangs on it; it says what each guid is and how many are left out."""

from __future__ import annotations

import uuid

import networkx as nx
import numpy as np
import pytest
import rule_model
from hypothesis import given
from hypothesis import strategies as st
from merge_model import guid, merge_pairs
from rule_model import Case

from mergeguard.core import guids
from mergeguard.core.closure import leads as leads_of
from mergeguard.core.connected import Components, connected
from mergeguard.core.findings import MAX_PICTURE, Role
from mergeguard.core.guids import TOMBSTONE
from mergeguard.core.join import join
from mergeguard.core.pictures import neighbourhood
from mergeguard.core.table import MergeTable

Pair = tuple[uuid.UUID, uuid.UUID]


def whole(case: Case, seeds: set[uuid.UUID]) -> set[uuid.UUID]:
    """The olds that hang on the seeds through olds, and what they end at."""
    between = case.graph.subgraph(case.olds).to_undirected()
    olds = set().union(*(nx.node_connected_component(between, seed) for seed in seeds))
    return olds.union(*(case.news[old] for old in olds))


def role(case: Case, node: uuid.UUID) -> Role:
    if node == TOMBSTONE:
        return Role.DELETED
    if node not in case.olds:
        return Role.CURRENT if case.live is None or node in case.live else Role.DEAD
    if case.live is not None and node in case.live:
        return Role.CURRENT
    if node in case.news[node] or len(rule_model.component(case, node)) > 1:
        return Role.CYCLE
    return Role.SPLIT if len(case.news[node]) > 1 and case.raw[node][0] == "split" else Role.TREE


@given(rule_model.cases().filter(lambda case: case.pairs), st.data())
def test_a_picture_is_a_part_of_the_graph_that_says_how_much_it_leaves_out(case: Case, data: st.DataObject) -> None:
    limit = data.draw(st.integers(2, 12))
    facts = case.facts()
    seeds = data.draw(st.lists(st.sampled_from(facts.leads.tolist()), min_size=1, max_size=3))
    old = facts.old(seeds[0])
    focus = data.draw(st.sampled_from([old, *sorted(case.news[old] - case.olds)]))
    picture = neighbourhood(facts, seeds, focus=focus, limit=limit)
    drawn = [node.guid for node in picture.nodes]
    assert len(drawn) == len(set(drawn)) <= limit
    assert drawn[0] == facts.old(seeds[0])
    assert [node.guid for node in picture.nodes if node.focus] == [focus]
    assert set(picture.edges) == {pair for pair in case.pairs if set(pair) <= set(drawn)}
    everything = whole(case, {facts.old(seed) for seed in seeds})
    assert set(drawn) <= everything
    assert picture.omitted == len(everything) - len(drawn)
    assert {node.guid: node.role for node in picture.nodes} == {node: role(case, node) for node in drawn}


def test_by_default_it_holds_two_hundred_guids() -> None:
    case = Case.of(*((at, 1000) for at in range(1, 900)))
    facts = case.facts()
    picture = neighbourhood(facts, facts.leads.tolist(), focus=guid(1000))
    assert len(picture.nodes) == MAX_PICTURE
    assert picture.nodes[-1].focus
    assert picture.omitted == 900 - MAX_PICTURE


def test_labels_are_the_texts_that_people_know() -> None:
    table = MergeTable.from_pairs([(guid(1), guid(2)), (guid(1), TOMBSTONE)])
    named = MergeTable(table.old, table.new, labels={guid(1): "one"})
    picture = neighbourhood(rule_model.Facts(named), [0])
    assert {node.label for node in picture.nodes} == {"one", str(guid(2)), "deleted"}


@given(merge_pairs())
def test_components_are_those_of_networkx(pairs: list[Pair]) -> None:
    table = MergeTable.from_pairs(pairs)
    joined = join(table)
    between = nx.Graph((old, new) for old, new in pairs if new in {old for old, _ in pairs})
    between.add_nodes_from(old for old, _ in pairs)
    components = Components(joined)
    for lead in leads_of(joined).tolist():
        rows = components.around(np.array([lead], np.int32))
        found = set(guids.to_uuids(table.old[rows]))
        assert found == nx.node_connected_component(between, guids.to_uuid(table.old, lead))
        assert len(rows) == sum(old in found for old, _ in pairs)


@pytest.mark.parametrize("nodes", [1, 2, 1000, 65_536])
def test_any_shape_of_component_is_named_by_its_first_node(nodes: int) -> None:
    chance = np.random.default_rng(7)
    order = chance.permutation(nodes).astype(np.int32)
    assert set(connected(nodes, order[:-1], order[1:]).tolist()) == {0}


@pytest.mark.parametrize("limit", [1, 2, 5, 12, 13, 14])
def test_an_old_with_more_news_than_there_is_room_for_is_drawn_with_as_many_as_fit(limit: int) -> None:
    case = Case.of(*((1, 10 + number) for number in range(12)))
    picture = neighbourhood(case.facts(), [0], limit=limit)
    assert [node.guid for node in picture.nodes][:1] == [guid(1)]
    assert len(picture.nodes) == min(limit, 13)
    assert len(picture.edges) == len(picture.nodes) - 1
    assert picture.omitted == 13 - len(picture.nodes)


def test_an_old_whose_news_agree_is_drawn_as_no_split() -> None:
    facts = Case.of((1, 2), (1, 3), (2, 4), (3, 4), (5, 6), (5, 7)).facts()
    roles = {
        node.guid: node.role
        for lead in facts.leads.tolist()
        for node in neighbourhood(facts, [lead], focus=facts.old(lead)).nodes
    }
    assert (roles[guid(1)], roles[guid(5)]) == (Role.TREE, Role.SPLIT)
