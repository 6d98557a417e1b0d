"""Guids that lead nowhere: their events wait in their place until a repair; nothing else waits, nothing is lost."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_oracle import Import, Merge
from importing.import_cases import Case, Sent, cases, start
from importing.import_state import CHECKS
from importing.import_tables import tangle
from importing.import_world import World
from merge_model import guid

GUIDS = 5
TANGLED = 0
"""It is merged into two others at once."""
INTO = (3, 4)


def names(one: Import) -> bool:
    """Whether an event names the tangled guid in any place."""
    message, tangled = one.message, guid(TANGLED)
    ends = [target.guid for link in message.associations for target in (link.parent, link.child)]
    cells = [cell for data in message.data for row in data.rows for cell in row.cells]
    return tangled in {*ends, *(resource.guid for resource in message.resources)} or str(tangled) in cells


@settings(max_examples=5, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    case=cases(most=6, before=0, guids=3),
    merges_later=st.booleans(),
)
def test_what_names_a_split_waits_in_its_line_until_the_repair(world: World, case: Case, merges_later: bool) -> None:
    _, now = world.reset(Case(GUIDS, (), case.now))
    imports = [one for one in now if isinstance(one, Import)]
    merges = [one for one in now if isinstance(one, Merge) and guid(TANGLED) not in {one.old, one.new}]
    tangle(world.tables, [(TANGLED, *INTO)])
    world.rebuild()
    world.register(imports, chained=True)
    if not merges_later:
        list(map(world.merge, merges))
    world.drain()
    state = world.state()
    assert state.dead == frozenset()
    blocked = set()
    waiting = set()
    for one in imports:
        source = one.message.resources[0].guid
        if names(one) or source in blocked:
            waiting.add(one.event)
            blocked.add(source)
    assert state.waiting == waiting
    assert len(state.parked) == len(blocked), "one a line is parked, the others stand behind it"
    assert world.wake() == len(blocked)
    world.drain()
    assert world.state().waiting == waiting, "woken in vain, they wait again and burn no try"
    if merges_later:
        list(map(world.merge, merges))
    assert world.repair() == 1
    assert world.wake() == len(blocked)
    world.drain()
    world.model = start(GUIDS)
    world.model.into = dict(world.state().merges)
    world.model.keys = {key for key in world.model.keys if key[0] != guid(TANGLED)}
    world.check([*imports, *merges], set(CHECKS) - {"monotone"})


def test_repair_then_import_is_import_then_repair(world: World) -> None:
    sent = (Sent(TANGLED, single=1, many=((0, 0), (1, 2)), happened=0), Sent(1, any_=(0,), from_=(0,)))
    found = []
    for repairs_first in (True, False):
        model, now = world.reset(Case(GUIDS, (), sent))
        tangle(world.tables, [(TANGLED, *INTO)])
        world.rebuild()
        if repairs_first:
            assert world.repair() == 1
        world.register([one for one in now if isinstance(one, Import)], chained=True)
        world.drain()
        if not repairs_first:
            assert world.repair() == 1
            world.wake()
            world.drain()
        state = world.state()
        assert not state.waiting
        found.append(state.facts(model.began))
    assert found[0].difference(found[1]) is None
