"""What events claim whose messages came before: doubted where the long way would doubt it, confirmed all at once."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_places import COMPUTER, EVERYTHING, NOTEBOOK, OWNER, ImportPlace, named

from mergeguard.core.importing.catalogue import AssociationType
from mergeguard.core.importing.claims import Claimed, Claims, Ends, Named
from mergeguard.core.importing.standing import Linked
from mergeguard.core.importing.unchanged import confirmed
from mergeguard.core.nse.message import Key
from mergeguard.errors import Locked
from mergeguard.storage.importing.catalogue_file import CatalogueFile
from mergeguard.storage.importing.making import add_to_catalogue
from mergeguard.storage.importing.store import Expected, ImportTransaction
from mergeguard.storage.queue.store import Batch

GUIDS: Final = [named(f"agreeing {number}") for number in range(4)]
USES: Final = named("uses")
MOST: Final = 1
NAMES: Final = [("uniqueid", "a"), ("uniqueid", "b"), ("UniqueID", "A"), ("name.domain", "a")]
guids, hashes, numbers = st.sampled_from(GUIDS), st.sampled_from(["0" * 32, "1" * 32]), st.integers(1, 20)
links = st.tuples(st.sampled_from([OWNER, USES]), guids, guids).filter(lambda ends: ends[1] != ends[2])


@dataclass(frozen=True)
class Place:
    """What stands."""

    types: dict[uuid.UUID, uuid.UUID]
    retired: set[uuid.UUID]
    banned: set[uuid.UUID]
    keys: set[tuple[Named, uuid.UUID]]
    data: dict[uuid.UUID, tuple[str, int]]
    links: dict[Ends, int | None]

    def make(self, place: ImportPlace, batch: Batch) -> None:
        transaction = place.store.within(batch)
        for guid, kind in self.types.items():
            transaction.create(guid, kind, "some")
        for guid in self.retired & self.types.keys():
            place.ask(batch, """UPDATE "ItemResource" SET "Status" = 'retired' WHERE "Guid" = ?""", guid)
        for guid in self.banned:
            place.ask(batch, 'INSERT INTO "AgentBlacklist" ("Guid", "BlacklistedAt") VALUES (?, now())', guid)
        for name, guid in sorted(self.keys):
            transaction.add_keys(guid, [Key(*name)])
        for guid, (hash_, event) in self.data.items():
            transaction.summarise(EVERYTHING, guid, 1, hash_, event)
        transaction.link([Linked(*ends, event) for ends, event in self.links.items()])


@st.composite
def places(draw: st.DrawFn) -> Place:
    few = st.sets(guids, max_size=1)
    return Place(
        draw(
            st.fixed_dictionaries(
                {guid: st.just(COMPUTER) for guid in GUIDS[1:]}, optional={GUIDS[0]: st.just(COMPUTER)}
            )
        ),
        draw(few),
        draw(few),
        draw(st.sets(st.tuples(st.sampled_from(NAMES), guids), max_size=3)),
        draw(st.dictionaries(guids, st.tuples(hashes, numbers))),
        draw(st.dictionaries(links, st.none() | numbers, max_size=4)),
    )


def limited(links: Collection[Ends]) -> tuple[tuple[tuple[uuid.UUID, uuid.UUID], int, frozenset[uuid.UUID]], ...]:
    ends = dict.fromkeys((kind, parent) for kind, parent, _ in links if kind == OWNER)
    return tuple(
        (end, MOST, frozenset(child for kind, parent, child in links if (kind, parent) == end)) for end in ends
    )


@st.composite
def claims_about(draw: st.DrawFn, stands: Place) -> Claims:
    """Draw what a message claims: mostly of what stands."""

    def some(there: Sequence[object], other: st.SearchStrategy[object]) -> st.SearchStrategy[list[object]]:
        return st.lists(st.sampled_from(there) if there else other, max_size=2, unique=True) | st.lists(
            other, max_size=1
        )

    said = draw(some(sorted(stands.links), links))
    return Claims(
        tuple(draw(st.lists(st.tuples(guids, st.sampled_from([COMPUTER, COMPUTER, None, NOTEBOOK])), max_size=1))),
        tuple(draw(some(sorted(stands.keys), st.tuples(st.sampled_from(NAMES), guids)))),
        tuple(
            ((EVERYTHING.guid, guid), hash_)
            for guid, hash_ in draw(
                some([(guid, hash_) for guid, (hash_, _) in stands.data.items()], st.tuples(guids, hashes))
            )
        ),
        tuple(said),
        limited(said),
    )


def guids_of(claims: Claims) -> frozenset[uuid.UUID]:
    return frozenset(
        [
            *(guid for guid, _ in claims.resources),
            *(guid for _, guid in claims.keys),
            *(guid for (_, guid), _ in claims.data),
            *(guid for _, *ends in claims.links for guid in ends),
        ]
    )


def in_full(claimed: Sequence[Claimed]) -> Expected:
    """What the long way asks of the same events."""
    return Expected(
        frozenset().union(*(each.guids for each in claimed)),
        tuple(Key(*name) for each in claimed for name, _ in each.claims.keys),
        frozenset(pair for each in claimed for pair, _ in each.claims.data),
        frozenset(end for each in claimed for end, *_ in each.claims.limited),
    )


def is_plain(claims: Claims, stands: Place) -> bool:
    """Whether nothing is spelled otherwise, and no link of a limited type is new: else the long way is asked."""
    exact = all((name, guid) in stands.keys for name, guid in claims.keys)
    return exact and all((*end, child) in stands.links for end, _, children in claims.limited for child in children)


def seen(transaction: ImportTransaction) -> tuple[object, object]:
    ends = [(kind, guid) for kind in (OWNER, USES) for guid in GUIDS]
    return (
        transaction.summaries([(EVERYTHING.guid, guid) for guid in GUIDS]),
        sorted(transaction.linked(ends), key=str),
    )


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)
@given(st.data(), places())
def test_what_is_agreed_on_is_what_the_long_way_confirms(
    postgresql: ImportPlace, data: st.DataObject, stands: Place
) -> None:
    messages = data.draw(st.lists(claims_about(stands), min_size=1, max_size=3))
    first = data.draw(st.integers(5, 40).filter(lambda event: all(event != last for _, last in stands.data.values())))
    claimed = [Claimed(event, each, guids_of(each)) for event, each in enumerate(messages, first)]
    outcomes = []
    for is_short in (True, False):
        with postgresql.trying() as batch:
            stands.make(postgresql, batch)
            transaction = postgresql.store.within(batch)
            transaction.expect(Expected(claimed=tuple(claimed)) if is_short else in_full(claimed))
            transaction.hold_back()
            known, agreed = transaction.answers, []
            for each in claimed:
                if is_short:
                    agreed.append(transaction.agree(each.event))
                    continue
                same = confirmed(each.claims, known, each.guids, each.event)
                agreed.append(same is not None)
                if same is not None and outcomes[0][0][len(agreed) - 1]:
                    transaction.confirm(same.pairs, each.event)
                    transaction.link(same.links)
            transaction.settle()
            outcomes.append((agreed, seen(postgresql.store.within(batch))))
    (short, left), (long, meant) = outcomes
    assert left == meant
    for each, is_agreed, is_confirmed in zip(claimed, short, long, strict=True):
        assert is_confirmed or not is_agreed
        if is_confirmed and is_plain(each.claims, stands) and len(claimed) == 1:
            assert is_agreed


def claim_of(guid: uuid.UUID, hash_: str, *links: Ends) -> Claimed:
    claims = Claims(((guid, COMPUTER),), (), (((EVERYTHING.guid, guid), hash_),), links, limited(links))
    return Claimed(50, claims, guids_of(claims))


@pytest.fixture(autouse=True, scope="module")
def _two_types(postgresql: ImportPlace) -> None:
    """Beside the type that allows one child, one that allows any number."""
    add_to_catalogue(postgresql.store, CatalogueFile((), (AssociationType(USES, "uses"),), ()))


@pytest.fixture
def resources(postgresql: ImportPlace) -> list[uuid.UUID]:
    """Two resources with data, the first linked to the second in two ways, all of it committed."""
    made = [uuid.uuid4(), uuid.uuid4()]
    with postgresql.doing() as batch:
        transaction = postgresql.store.within(batch)
        for guid in made:
            transaction.create(guid, COMPUTER, "one")
            transaction.summarise(EVERYTHING, guid, 1, "0" * 32, 1)
        transaction.link([Linked(kind, *made, 1) for kind in (OWNER, USES)])
    return made


def test_whatever_is_unusual_is_doubted(postgresql: ImportPlace, resources: list[uuid.UUID]) -> None:
    """One reason each: nothing of it may be overlooked."""
    guid, other = resources
    owner, key = (OWNER, guid, other), Key("uniqueid", f"of {guid}")
    claims = claim_of(guid, "0" * 32, owner).claims
    mine = Claimed(50, replace(claims, keys=(((key.name, key.value), guid),)), frozenset(resources))
    changes = {
        "nothing": lambda _: None,
        "a key that another one has, too": lambda to: to.add_keys(other, [key]),
        "a newer event": lambda to: to.summarise(EVERYTHING, guid, 1, "0" * 32, 51),
        "a parent with too many links": lambda to: to.link([Linked(OWNER, guid, GUIDS[0], 1)]),
        "other data": lambda to: to.summarise(EVERYTHING, guid, 1, "1" * 32, 1),
        "an owner less": lambda to: to.unlink([Linked(*owner, 1)]),
    }
    for why, change in changes.items():
        with postgresql.trying() as batch:
            before, transaction = postgresql.store.within(batch), postgresql.store.within(batch)
            before.add_keys(guid, [key])
            change(before)
            transaction.expect(Expected(claimed=(mine,)))
            assert transaction.agree(50) is (why == "nothing"), why


@given(st.lists(st.integers(30, 60), min_size=1, max_size=3, unique=True), st.booleans())
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=15)
def test_the_newest_of_several_stays(
    postgresql: ImportPlace, resources: list[uuid.UUID], events: list[int], at_once: bool
) -> None:
    guid, other = resources
    claimed = tuple(replace(claim_of(guid, "0" * 32, (USES, guid, other)), event=event) for event in events)
    with postgresql.trying() as batch:
        transaction = postgresql.store.within(batch)
        transaction.expect(Expected(claimed=claimed))
        if at_once:
            transaction.hold_back()
        assert all(transaction.agree(event) for event in events)
        transaction.settle()
        (found,) = postgresql.store.within(batch).summaries([(EVERYTHING.guid, guid)]).values()
        assert found.event == max(events)
        assert postgresql.store.within(batch).linked([(USES, guid)]) == [Linked(USES, guid, other, max(events))]


def test_data_that_others_write_meanwhile_are_not_confirmed(
    postgresql: ImportPlace, resources: list[uuid.UUID]
) -> None:
    guid = resources[0]
    with postgresql.trying() as batch:
        transaction = postgresql.store.within(batch)
        transaction.expect(Expected(claimed=(claim_of(guid, "0" * 32),)))
        transaction.hold_back()
        with postgresql.doing() as other:
            postgresql.store.within(other).summarise(EVERYTHING, guid, 1, "1" * 32, 7)
        assert transaction.agree(50)
        with pytest.raises(Locked):
            transaction.settle()


@pytest.mark.parametrize("kind", [OWNER, USES])
def test_a_link_that_others_take_away_meanwhile_is_made_again_if_it_crowds_out_no_other(
    postgresql: ImportPlace, resources: list[uuid.UUID], kind: uuid.UUID
) -> None:
    guid, other = resources
    with postgresql.trying() as batch:
        transaction = postgresql.store.within(batch)
        transaction.expect(Expected(claimed=(claim_of(guid, "0" * 32, (kind, guid, other)),)))
        transaction.hold_back()
        with postgresql.doing() as beside:
            postgresql.store.within(beside).unlink([Linked(kind, guid, other, 1)])
        assert transaction.agree(50)
        if kind == OWNER:
            with pytest.raises(Locked):
                transaction.settle()
        else:
            transaction.settle()
            assert transaction.linked([(kind, guid)]) == [Linked(kind, guid, other, 50)]


def test_what_the_same_transaction_writes_is_no_longer_agreed_on(
    postgresql: ImportPlace, resources: list[uuid.UUID]
) -> None:
    guid, other = resources
    owner = (OWNER, guid, other)
    writes = {
        "data": lambda to: to.summarise(EVERYTHING, guid, 1, "1" * 32, 7),
        "a newcomer": lambda to: to.create(guid, COMPUTER, "one"),
        "its state": lambda to: to.activate(other),
        "a key": lambda to: to.add_keys(other, [Key("uniqueid", "x")]),
        "a new owner": lambda to: to.link([Linked(OWNER, guid, GUIDS[0], 7)]),
        "an owner less": lambda to: to.unlink([Linked(*owner, 1)]),
        "a merge": lambda to: to.expect(Expected()),
    }
    harmless = {
        "data of its peer": lambda to: to.summarise(EVERYTHING, other, 1, "1" * 32, 7),
        "a link that is not counted": lambda to: to.link([Linked(USES, guid, GUIDS[0], 7)]),
    }
    for what, write in (writes | harmless).items():
        with postgresql.trying() as batch:
            transaction = postgresql.store.within(batch)
            transaction.expect(Expected(claimed=(claim_of(guid, "0" * 32, owner),)))
            transaction.hold_back()
            write(transaction)
            assert transaction.agree(50) is (what in harmless), what


def test_data_come_behind_what_was_confirmed_before(postgresql: ImportPlace, resources: list[uuid.UUID]) -> None:
    guid = resources[0]
    with postgresql.trying() as batch:
        transaction = postgresql.store.within(batch)
        transaction.expect(Expected(claimed=(claim_of(guid, "0" * 32),)))
        transaction.hold_back()
        assert transaction.agree(50)
        transaction.summarise(EVERYTHING, guid, 1, "1" * 32, 60)
        transaction.settle()
        (found,) = postgresql.store.within(batch).summaries([(EVERYTHING.guid, guid)]).values()
        assert (found.hash, found.event) == ("1" * 32, 60)
