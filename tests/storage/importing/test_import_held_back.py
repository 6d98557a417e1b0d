"""What several events confirm and link is written together, and comes to what each by itself would have written."""

from __future__ import annotations

import uuid

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_places import EVERYTHING, OWNER, ImportPlace, named

from mergeguard.core.importing.standing import Linked, Summary

GUIDS = [named(f"guid {number}") for number in range(4)]
PAIRS = [(EVERYTHING.guid, guid) for guid in GUIDS]
Ends = tuple[uuid.UUID, uuid.UUID]

guids, numbers = st.sampled_from(GUIDS), st.integers(1, 20)
ends = st.tuples(guids, guids)
loaded = st.dictionaries(guids, numbers)
standing = st.dictionaries(ends, st.none() | numbers)
said = st.lists(st.tuples(numbers, st.sets(guids), st.sets(ends)), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(loaded, standing, said, st.booleans())
def test_the_newest_event_stays_in_whatever_order_they_come(
    postgresql: ImportPlace,
    loaded: dict[uuid.UUID, int],
    standing: dict[Ends, int | None],
    said: list[tuple[int, set[uuid.UUID], set[Ends]]],
    reads: bool,
) -> None:
    with postgresql.trying() as batch:
        first = postgresql.store.within(batch)
        for guid, event in loaded.items():
            first.summarise(EVERYTHING, guid, 1, "a" * 32, event)
        first.link([Linked(OWNER, *each, event) for each, event in standing.items()])
        transaction = postgresql.store.within(batch)
        if reads:
            transaction.summaries(PAIRS)
            transaction.linked([(OWNER, guid) for guid in GUIDS])
        transaction.hold_back()
        for event, confirmed, links in said:
            transaction.confirm([(EVERYTHING.guid, guid) for guid in confirmed & loaded.keys()], event)
            transaction.link([Linked(OWNER, *each, event) for each in links])
        transaction.settle()
        newest: dict[uuid.UUID, int] = loaded | {
            guid: max([loaded[guid], *(event for event, confirmed, _ in said if guid in confirmed)]) for guid in loaded
        }
        linked = {
            each: max([event for event, _, links in said if each in links] + [standing.get(each) or 0]) or None
            for each in {*standing, *(each for _, _, links in said for each in links)}
        }
        for seen in (transaction, postgresql.store.within(batch)):
            assert seen.summaries(PAIRS) == {
                (EVERYTHING.guid, guid): Summary(EVERYTHING.guid, guid, "a" * 32, event)
                for guid, event in newest.items()
            }
            found = seen.linked([(OWNER, guid) for guid in GUIDS])
            assert {(each.parent, each.child): each.event for each in found} == linked
            assert len(found) == len(linked)
