"""What an event confirms: all that it claims stands, and only what it makes newer is written down."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from importing_samples import CATALOGUE, COMPUTER, NOTES, OWNED, SERVER, SIZES, computer, guid, link, message, rows

from mergeguard.core.closure import Status
from mergeguard.core.importing.answers import Answers
from mergeguard.core.importing.claims import Claims
from mergeguard.core.importing.content import checked
from mergeguard.core.importing.keys import KeyRules
from mergeguard.core.importing.standing import Linked, Standing
from mergeguard.core.importing.unchanged import Confirmed, claims_of, confirmed

PC, PEER = guid(1), guid(2)
PAIR, END = (NOTES.guid, PC), (OWNED.guid, PC)
EVENT = 5


def claims() -> Claims:
    parts = computer("me", 1, "fqdn=a"), rows(NOTES, "me", ("a",)), link(OWNED, "me", 2), link(OWNED, "me", 1)
    made = claims_of(checked(message(*parts), CATALOGUE, KeyRules()), CATALOGUE)
    assert made is not None
    return made


def known(event: int | None = EVENT - 1) -> Answers:
    standing = Standing(PC, PC, Status.OK, live=True, type=COMPUTER)
    made = Answers(standings={PC: standing}, steady={PC}, sole={("fqdn", "a"): PC})
    made.summaries[PAIR] = claims().data[0][1], event
    made.links[END] = {PEER: Linked(*END, PEER, 1)}
    return made


@given(st.none() | st.integers(1, 9))
def test_what_was_loaded_by_an_older_event_is_confirmed_and_by_the_same_one_is_left(loaded: int | None) -> None:
    """Q7, I5: an event that comes again writes nothing more, and none makes newer data older."""
    link_ = (Linked(*END, PEER, EVENT),)  # no link to itself
    pairs = () if loaded == EVENT else (PAIR,)
    wanted = None if loaded is not None and loaded > EVENT else Confirmed(pairs, link_)
    assert confirmed(claims(), known(loaded), {PC}, EVENT) == wanted


@pytest.mark.parametrize("guids", [{PC}, {PC, PEER}])
def test_who_is_not_steady_is_worked_out(guids: set[uuid.UUID]) -> None:
    assert (confirmed(claims(), known(), guids, EVENT) is None) == (PEER in guids)


def test_whatever_does_not_stand_is_worked_out() -> None:
    other = replace(known().standings[PC], type=SERVER)
    doubts = {
        "a hash": {"summaries": {PAIR: ("0" * 32, 1)}},
        "no summary": {"summaries": {}},
        "a locked summary": {"summaries": {PAIR: None}},
        "a type": {"standings": {PC: other}},
        "a key": {"sole": {}},
        "another's key": {"sole": {("fqdn", "a"): PEER}},
        "unread links": {"links": {}},
        "a full end": {"links": {END: {guid(3): Linked(*END, guid(3), 1)}}},
    }
    for why, change in doubts.items():
        assert confirmed(claims(), replace(known(), **change), {PC}, EVENT) is None, why  # type: ignore[arg-type]


def test_an_end_that_is_full_with_what_is_claimed_has_room() -> None:
    assert confirmed(claims(), replace(known(), links={END: {}}), {PC}, EVENT) is not None
    assert claims().limited == ((END, 1, frozenset({PEER})),)


def test_what_came_without_a_guid_or_in_part_claims_nothing() -> None:
    for part in (computer("other", None, "fqdn=b"), rows(SIZES, "me", ("a", 1), partial=True)):
        content = checked(message(computer("me", 1), part), CATALOGUE, KeyRules())
        assert claims_of(content, CATALOGUE) is None
    told = claims_of(checked(message(computer("me", 1, "fqdn=a", kind=None)), CATALOGUE, KeyRules()), CATALOGUE)
    assert told is not None
    assert (told.resources, told.keys, told.subjects) == (((PC, None),), ((("fqdn", "a"), PC),), frozenset())
