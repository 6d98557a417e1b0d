"""Identification against a model of classes: who shares an enforcement key with whom is one resource."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from importing_samples import CATALOGUE, SERVER, SOFTWARE, guid, key

from mergeguard.core.closure import Status
from mergeguard.core.importing.content import Incoming
from mergeguard.core.importing.identify import Found, Judge, Known, identify, with_apart
from mergeguard.core.importing.keys import COMPUTER, KeyRules
from mergeguard.core.importing.standing import KeyOwner, Standing
from mergeguard.errors import MalformedEvent

BEGIN = dt.datetime(2012, 1, 18, tzinfo=dt.UTC)
FRESH = guid(0xF0)


def judge(**rules: object) -> Judge:
    return Judge(CATALOGUE, KeyRules(**rules), lambda resource: uuid.UUID(int=FRESH.int + resource.number))  # type: ignore[arg-type]


def incoming(number: int, sent: int | None, *keys: str, kind: uuid.UUID | None = COMPUTER) -> Incoming:
    return Incoming(number, f"line {number}, <resource>", sent and guid(sent), kind, "", tuple(map(key, keys)))  # type: ignore[arg-type]


def live(number: int, kind: uuid.UUID = COMPUTER, *, managed: bool = False, age: int = 0) -> Standing:
    return Standing(
        guid(number), guid(number), Status.OK, live=True, type=kind, managed=managed, created=BEGIN - dt.timedelta(age)
    )


def known(standings: Sequence[Standing], *owned: tuple[int, str]) -> Known:
    owners = [KeyOwner(key(text).name, key(text).value, guid(number)) for number, text in owned]
    return Known(owners, {each.guid: each for each in standings})


def one(resource: Incoming, facts: Known, by: Judge | None = None) -> Found:
    [found] = identify([resource], facts, by or judge())
    return found


def test_nobody_with_these_keys_is_created_under_the_sent_guid() -> None:
    absent = Standing(guid(1), guid(1), Status.DANGLING)
    found = one(incoming(0, 1, "fqdn=a"), known([absent]))
    assert found == Found(guid(1), new=True, type=COMPUTER, keys=(key("fqdn=a"),))


def test_a_guid_that_was_merged_into_what_is_gone_brings_that_to_life() -> None:
    gone = Standing(guid(1), guid(2), Status.DANGLING)
    assert one(incoming(0, 1, "fqdn=a"), known([gone])).guid == guid(2)


def test_without_a_guid_a_new_one_is_made() -> None:
    assert one(incoming(0, None, "fqdn=a"), known([])) == Found(FRESH, new=True, type=COMPUTER, keys=(key("fqdn=a"),))


def test_one_owner_is_the_resource_and_nothing_is_written() -> None:
    facts = known([live(5)], (5, "FQDN=A"))
    assert one(incoming(0, None, "fqdn=a"), facts) == Found(guid(5))


def test_new_keys_are_added_and_the_owner_keeps_its_own() -> None:
    facts = known([live(5)], (5, "fqdn=a"))
    assert one(incoming(0, None, "fqdn=a", "fqdn=b", "serial=1"), facts).keys == (key("fqdn=b"), key("serial=1"))


def test_a_key_that_is_not_enforced_finds_nobody() -> None:
    assert one(incoming(0, 1, "serial=1"), known([live(5)], (5, "serial=1"))).new


@pytest.mark.parametrize(
    ("keys", "told"),
    [((), "tells which resource it is$"), (("serial=1", "tag=2"), "but serial, tag, by which its type is not found$")],
)
def test_who_could_never_be_found_again_is_not_made(keys: tuple[str, ...], told: str) -> None:
    with pytest.raises(MalformedEvent, match=told):
        one(incoming(3, None, *keys), known([live(5)], (5, "serial=1")))
    assert one(incoming(3, 1, *keys), known([])).guid == guid(1)


def test_keys_of_the_dead_find_nobody() -> None:
    gone = Standing(guid(5), guid(5), Status.DANGLING)
    assert one(incoming(0, None, "fqdn=a"), known([gone], (5, "fqdn=a"))).new


def test_several_are_merged_into_the_one_that_was_sent() -> None:
    facts = known([live(9), live(5, managed=True, age=9)], (5, "fqdn=a"))
    found = one(incoming(0, 9, "fqdn=a"), facts)
    assert (found.guid, [(each.old, each.new, each.key) for each in found.merges]) == (
        guid(9),
        [(guid(5), guid(9), "fqdn=a")],
    )


@pytest.mark.parametrize(
    ("five", "six", "stays"),
    [
        ({}, {"managed": True}, 6),
        ({"managed": True}, {"managed": True, "age": 3}, 6),
        ({"age": 3}, {}, 5),
        ({}, {}, 5),
    ],
    ids=["the managed one", "the older of two managed ones", "the older one", "the lesser text"],
)
def test_who_stays_where_nobody_was_sent(five: dict[str, int], six: dict[str, int], stays: int) -> None:
    facts = known([live(6, **six), live(5, **five)], (5, "fqdn=a"), (6, "macaddress=b"))  # type: ignore[arg-type]
    found = one(incoming(0, None, "fqdn=a", "macaddress=b"), facts)
    [merge] = found.merges
    assert (found.guid, merge.new, merge.old) == (guid(stays), guid(stays), guid(11 - stays))
    assert merge.key == ("fqdn=a" if stays == 6 else "macaddress=b")


def test_a_pair_that_is_kept_apart_is_not_merged() -> None:
    facts = known([live(5), live(6)], (5, "fqdn=a"), (6, "fqdn=a"))
    found = one(incoming(0, 6, "fqdn=a"), facts, with_apart(judge(), (guid(5), guid(6))))
    assert found == Found(guid(6))


def test_computers_are_not_merged_where_that_is_set_and_software_still_is() -> None:
    by = judge(merges_computers=False)
    facts = known([live(5), live(6)], (5, "fqdn=a"), (6, "fqdn=a"))
    assert one(incoming(0, 6, "fqdn=a"), facts, by) == Found(guid(6))
    facts = known([live(5, SERVER), live(6, SERVER)], (5, "fqdn=a"), (6, "fqdn=a"))
    assert one(incoming(0, 6, "fqdn=a", kind=SERVER), facts, by) == Found(guid(6))
    facts = known([live(5, SOFTWARE), live(6, SOFTWARE)], (5, "hash=a"), (6, "hash=a"))
    assert one(incoming(0, 6, "hash=a", kind=SOFTWARE), facts, by).merges


def test_a_derived_type_is_the_same_resource_and_another_type_is_a_mistake() -> None:
    facts = known([live(5, SERVER)], (5, "fqdn=a"))
    assert one(incoming(0, None, "fqdn=a"), facts).guid == guid(5)
    facts = known([live(5, SOFTWARE)], (5, "fqdn=a"))
    with pytest.raises(MalformedEvent, match=r"^line 3, <resource>: its key fqdn=a leads to .*5, which is of type"):
        one(incoming(3, None, "fqdn=a"), facts)
    with pytest.raises(MalformedEvent, match=r"^line 3, <resource>: its guid .*5 leads to"):
        one(incoming(3, 5), known([live(5, SOFTWARE)]))


def test_without_a_type_a_known_guid_is_enough_and_an_unknown_one_is_not() -> None:
    facts = known([live(5), live(6)], (6, "fqdn=a"))
    assert [each.old for each in one(incoming(0, 5, "fqdn=a", kind=None), facts).merges] == [guid(6)]
    with pytest.raises(MalformedEvent, match=r"^line 2, <resource>: no such resource is known"):
        one(incoming(2, 7, kind=None), known([Standing(guid(7), guid(7), Status.DANGLING)]))


KEYS = st.lists(st.sampled_from(["fqdn=a", "fqdn=b", "uniqueid=c", "macaddress=d"]), max_size=3, unique=True)
MESSAGES = st.lists(st.tuples(st.none() | st.integers(1, 6), KEYS).filter(lambda each: each[0] or each[1]), max_size=5)
OWNED = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["fqdn=a", "fqdn=b", "uniqueid=c"])), unique=True)


@given(MESSAGES, OWNED)
def test_resources_are_one_exactly_where_guids_and_keys_join_them(
    sent: list[tuple[int | None, list[str]]], owned: list[tuple[int, str]]
) -> None:
    standings = [live(number) for number in range(1, 5)]
    standings += [Standing(guid(number), guid(number), Status.DANGLING) for number in (5, 6)]
    resources = [incoming(at, number, *keys) for at, (number, keys) in enumerate(sent)]
    found = identify(resources, known(standings, *owned), judge())
    joined = _Classes()
    mentioned = {text for _, keys in sent for text in keys}
    for number, text in owned:
        if text in mentioned:  # two that share a key are merged when somebody comes with it
            joined.join(guid(number), text)
    moved: dict[uuid.UUID, uuid.UUID] = {}
    for resource, each in zip(sent, found, strict=True):
        number, keys = resource
        names: list[object] = [*keys, *([guid(number)] if number in range(1, 5) else [])]
        joined.join(each.guid, *names)
        moved.update({merge.old: merge.new for merge in each.merges})

    def end(one: uuid.UUID) -> uuid.UUID:
        while one in moved:
            one = moved[one]
        return one

    made = {each.guid for each in found if each.new}
    lives = {*map(guid, range(1, 5)), *made}
    for one in lives:
        for other in lives:
            assert (end(one) == end(other)) is (joined.top(one) == joined.top(other))
    assert len(moved) == len(lives) - len({end(each) for each in lives})


class _Classes:
    """Union-find."""

    def __init__(self) -> None:
        self.above: dict[object, object] = {}

    def top(self, name: object) -> object:
        while name in self.above:
            name = self.above[name]
        return name

    def join(self, first: object, *others: object) -> None:
        for other in others:
            if self.top(first) != self.top(other):
                self.above[self.top(other)] = self.top(first)
