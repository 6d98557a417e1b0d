"""What is known ahead of a database is what the database would say, whatever is written meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from importing_samples import guid

from mergeguard.core.closure import Status
from mergeguard.core.importing.answers import Answers
from mergeguard.core.importing.claims import Claimed, Claims
from mergeguard.core.importing.keys import folded
from mergeguard.core.importing.standing import KeyOwner, Linked, Standing, Summary
from mergeguard.core.nse.message import Key

GUIDS = st.integers(1, 4).map(guid)
PAIRS = st.tuples(st.integers(8, 9).map(guid), GUIDS)
EVENTS = st.integers(1, 9)
LINKS = st.lists(st.builds(Linked, st.just(guid(7)), GUIDS, GUIDS, st.none() | EVENTS), max_size=4)
KEYS = st.tuples(st.sampled_from(["fqdn", "FQDN"]), st.sampled_from(["a", "A", "b"]))


def claimed(event: int = 5, *, data: Sequence[Any] = (), links: Sequence[Any] = (), limited: Any = ()) -> Claimed:
    claims = Claims((), (), tuple((pair, "h") for pair in data), tuple(links), tuple(limited))
    return Claimed(event, claims, frozenset({guid(1)}))


# --- Where guids lead ---


@given(
    st.dictionaries(
        GUIDS,
        st.builds(
            Standing,
            st.just(guid(0)),
            st.none() | GUIDS,
            st.just(Status.OK),
            live=st.booleans(),
            retired=st.booleans(),
            blacklisted=st.booleans(),
        ),
    ),
    st.sets(GUIDS),
    st.sets(st.none() | GUIDS),
)
def test_steady_is_who_is_held_live_and_its_own_current_and_nothing_that_changed_stays_known(
    found: dict[Any, Standing], held: set[Any], changed: set[Any]
) -> None:
    known = Answers(steady=set(found))  # what was steady before and is no longer is forgotten
    known.learn_standings(found, held)
    steady = {
        each
        for each, said in found.items()
        if said.current == each and said.live and each in held and not said.retired and not said.blacklisted
    }
    assert (known.standings, known.steady) == (found, steady)
    known.forget_leading_to(changed)
    left = {each: said for each, said in found.items() if said.current not in changed}
    assert (known.standings, known.steady) == (left, steady & left.keys())
    assert known.moved == set()  # nobody stands whom it could concern


@given(st.sets(GUIDS), st.sets(KEYS), st.sets(GUIDS), st.sets(KEYS))
def test_it_answers_if_all_guids_and_all_keys_are_known(guids: Any, keys: Any, asked: Any, named: Any) -> None:
    known = Answers(standings=dict.fromkeys(guids), owners=dict.fromkeys(keys, ()))  # type: ignore[arg-type]
    assert known.answers(asked, named) == (asked <= guids and named <= keys)


# --- Who has keys ---


@given(st.lists(KEYS, unique=True), st.lists(st.tuples(st.integers(0, 5), KEYS, GUIDS)), st.lists(KEYS, max_size=3))
def test_a_key_is_sole_where_one_resource_has_it_and_just_it(
    keys: list[Any], rows: list[tuple[int, Any, Any]], asked: list[Any]
) -> None:
    rows = [row for row in rows if row[0] < len(keys)]
    known = Answers()
    known.learn_owners(keys, [(at + 1, *key, owner) for at, key, owner in rows])
    owners = {asked_: [(*key, owner) for at, key, owner in rows if keys[at] == asked_] for asked_ in keys}
    assert known.owners == owners
    assert known.sole == {
        key: found[0][2]
        for key, found in owners.items()
        if len(found) == 1 and folded(Key(*found[0][:2])) == folded(Key(*key))
    }
    everybody = [KeyOwner(*owner) for key in asked for owner in owners.get(key, ())]
    assert known.owners_of(asked) == (everybody if set(asked) <= set(keys) else None)
    known.standing[5] = claimed()
    known.forget_owners()
    assert (known.owners, known.sole, known.standing) == ({}, {}, {})


# --- What was loaded ---


@given(st.dictionaries(PAIRS, st.none() | st.tuples(st.just("old"), st.none() | EVENTS)), st.data())
def test_the_last_hash_and_the_newest_event_of_what_was_loaded_stay(
    before: dict[Any, Any], data: st.DataObject
) -> None:
    """R8, I5: a late event that says the same makes nothing older."""
    known, model = Answers(summaries=dict(before)), dict(before)
    for _ in range(data.draw(st.integers(0, 4))):
        pair, event = data.draw(PAIRS), data.draw(EVENTS)
        said = model.get(pair)
        newest = max(event, (said[1] or 0) if said else 0)
        if data.draw(st.booleans()):
            hash_ = data.draw(st.sampled_from([None, "a"]))
            known.loaded(pair, event, hash_)
            model[pair] = hash_, newest
        else:
            known.confirmed([pair], event)
            if said:
                model[pair] = said[0], newest
    assert known.summaries == model
    assert known.written == set()
    assert all(known.summary_of(pair) == (said and Summary(*pair, *said)) for pair, said in model.items())


# --- Associations ---


@given(st.sets(GUIDS), LINKS, st.lists(st.tuples(st.sampled_from(["linked", "unlinked", "agreed"]), LINKS, EVENTS)))
def test_associations_are_those_of_a_dictionary_each_with_its_newest_event(
    parents: set[Any], standing: list[Linked], steps: list[tuple[str, list[Linked], int]]
) -> None:
    known = Answers()
    known.learn_links([(guid(7), parent) for parent in parents], [each for each in standing if each.parent in parents])
    model = {parent: {each.child: each.event for each in standing if each.parent == parent} for parent in parents}
    crowded = set()
    for what, links, event in steps:
        if what == "agreed":
            known.agreed(claimed(event, links=[(each.type, each.parent, each.child) for each in links]))
        else:
            getattr(known, what)(links)
            crowded |= {(each.type, each.parent) for each in links if parents or what == "unlinked"}
        for each in links:
            there = model.get(each.parent)
            if there is None:
                continue
            if what == "unlinked":
                there.pop(each.child, None)
            else:
                newest = max(there.get(each.child) or 0, event if what == "agreed" else each.event or 0)
                there[each.child] = newest or None
    assert {end[1]: {child: link.event for child, link in there.items()} for end, there in known.links.items()} == model
    assert all(link.child == child for there in known.links.values() for child, link in there.items())
    assert known.crowded == crowded


# --- What a message claims ---


@pytest.mark.parametrize(
    ("change", "stands"),
    [
        (lambda known: known.forget_leading_to([]), True),
        (lambda known: known.forget_leading_to([guid(2), None]), True),
        (lambda known: known.forget_leading_to([guid(1)]), False),
        (lambda known: known.loaded((guid(8), guid(4)), 6, "h"), True),
        (lambda known: known.loaded((guid(8), guid(3)), 6, "h"), False),
        (lambda known: known.linked([Linked(guid(7), guid(2), guid(3), 6)]), True),
        (lambda known: known.linked([Linked(guid(7), guid(1), guid(3), 6)]), False),
        (lambda known: known.unlinked([Linked(guid(7), guid(1), guid(3), 6)]), False),
        (lambda known: known.confirmed([(guid(8), guid(3))], 6), True),
        (lambda known: known.forget_owners(), False),
    ],
    ids=[
        "nothing",
        "moved other",
        "moved",
        "data of other",
        "data",
        "link of other",
        "link",
        "unlink",
        "confirmed",
        "owner",
    ],
)
def test_what_a_message_claims_stands_until_something_of_it_changes(
    change: Callable[[Answers], None], stands: bool
) -> None:
    said = claimed(data=[(guid(8), guid(3))], limited=[((guid(7), guid(1)), 1, frozenset({guid(2)}))])
    known = Answers(standing={5: said})
    change(known)
    assert known.stands(5) is (said if stands else None)
    assert known.stands(6) is None


def test_what_an_event_confirms_is_as_new_as_the_event() -> None:
    pair = guid(8), guid(3)
    known = Answers(summaries={pair: ("h", 4)}, links={})
    known.agreed(claimed(5, data=[pair], links=[(guid(7), guid(1), guid(2))]))
    assert known.summaries == {pair: ("h", 5)}
    assert known.links == {}
