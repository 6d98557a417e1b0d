from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from importing_samples import CATALOGUE, OWNED, SEATS, USES, guid

from mergeguard.core.importing.links import SentLink, limited, plan_links
from mergeguard.core.importing.standing import Linked

TYPES = CATALOGUE.associations
NUMBERS = st.integers(1, 5).map(guid)
KINDS = st.sampled_from([OWNED.guid, SEATS.guid, USES.guid])
SENT = st.lists(st.builds(SentLink, KINDS, NUMBERS, NUMBERS, st.booleans()), max_size=8)
STANDING = st.lists(
    st.builds(Linked, KINDS, NUMBERS, NUMBERS, st.none() | st.integers(1, 9)),
    max_size=8,
    unique_by=lambda each: (each.type, each.parent, each.child),
)


@given(SENT, STANDING, st.integers(1, 9))
def test_each_association_stands_once_and_a_parent_keeps_its_newest(
    sent: list[SentLink], standing: list[Linked], event: int
) -> None:
    ends = limited(sent, TYPES)
    plan = plan_links(sent, [each for each in standing if (each.type, each.parent) in ends], TYPES, event)
    after = {(each.type, each.parent, each.child): each.event for each in standing}
    for each in plan.unlink:
        del after[each.type, each.parent, each.child]
    for each in plan.link:
        name = each.type, each.parent, each.child
        assert each.parent != each.child
        after[name] = max(after.get(name) or 0, each.event or 0)
    assert len(plan.link) == len({(each.type, each.parent, each.child) for each in plan.link})
    wanted = {(each.type, each.parent, each.child) for each in sent if each.parent != each.child}
    for kind, parent in {(each.type, each.parent) for each in sent}:
        _check_parent(kind, parent, after, wanted, standing, event)
    untouched = {(each.type, each.parent) for each in standing} - {(each.type, each.parent) for each in sent}
    assert all((each.type, each.parent) not in untouched for each in plan.unlink)


def _check_parent(kind, parent, after, wanted, standing, event) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    most = TYPES[kind].maximum
    ages = {each.child: each.event or 0 for each in standing if (each.type, each.parent) == (kind, parent)}
    for name in wanted:
        if name[:2] == (kind, parent):
            ages[name[2]] = max(ages.get(name[2], 0), event)
    stays = {child for one, other, child in after if (one, other) == (kind, parent)}
    if most is None or not any(name[:2] == (kind, parent) for name in wanted):
        assert stays == set(ages)
        return
    assert len(stays) == min(most, len(ages))
    assert sorted((ages[child] for child in stays), reverse=True) == sorted(ages.values(), reverse=True)[:most]


def test_of_equally_new_links_the_direct_one_and_then_the_last_one_stays() -> None:
    sent = [
        SentLink(OWNED.guid, guid(1), guid(2), direct=True),
        SentLink(OWNED.guid, guid(1), guid(3), direct=False),
    ]
    assert [each.child for each in plan_links(sent, (), TYPES, 5).link] == [guid(2)]
    sent = [SentLink(OWNED.guid, guid(1), guid(number), direct=True) for number in (2, 3)]
    assert [each.child for each in plan_links(sent, (), TYPES, 5).link] == [guid(3)]


def test_only_limited_types_have_to_be_read() -> None:
    sent = [SentLink(kind.guid, guid(1), guid(2), direct=True) for kind in (USES, OWNED, SEATS)]
    assert limited(sent, TYPES) == {(OWNED.guid, guid(1)), (SEATS.guid, guid(1))}


def test_a_link_that_a_later_event_confirmed_keeps_its_age() -> None:
    """Old news of a link do not make it older: it would give way to what is older than the later event."""
    standing = [Linked(SEATS.guid, guid(1), guid(2), 9), Linked(SEATS.guid, guid(1), guid(3), 7)]
    sent = [SentLink(SEATS.guid, guid(1), guid(child), direct=True) for child in (2, 4)]
    plan = plan_links(sent, standing, TYPES, 5)
    assert ([each.child for each in plan.link], plan.unlink) == ([guid(2)], ())
