"""Chains that the commit of their batch gives back: the queue keeps its promises as if a release came behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final

import pytest
from queue_machine import held, hold
from queue_places import SOURCES, Place, PostgresqlPlace, claimed, event, finish, ids, registered
from queue_scenarios import (
    EVERYWHERE,
    SESSIONS,
    a_dead_event_lets_its_successors_go_on,
    a_parked_event_holds_its_line,
    a_registration_beside_a_release_strands_nothing,
    a_retry_waits_for_its_time,
    locked,
    offered,
    waits,
    waking_beside_a_release_strands_nothing,
    who_lost_its_lease_commits_nothing,
)

from mergeguard.core.events import Ran
from mergeguard.core.order import OrderBroken
from mergeguard.storage.queue import postgresql_batch
from mergeguard.storage.queue.postgresql_store import PostgresqlEventStore
from mergeguard.storage.queue.server_batch import ReleasingBatch
from mergeguard.storage.queue.store import Releasing

A, B, C, _ = SOURCES
Story = Callable[[Place], None]
ALONE: Final = (a_registration_beside_a_release_strands_nothing, waking_beside_a_release_strands_nothing)
"""They wait for a release that has something to lock."""


class AlwaysReleasing(ReleasingBatch):
    """Whoever finishes it gives the chains back."""

    def finish(self, ran: Sequence[Ran]) -> None:
        self.finish_and_release(ran)


class Store(PostgresqlEventStore):
    batches = AlwaysReleasing


class ReleasingPlace(PostgresqlPlace):
    frees_at_finish = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.store.__class__ = Store


@pytest.fixture(scope="module")
def standing_place(postgres_url: str) -> Iterator[ReleasingPlace]:
    with closing(ReleasingPlace(postgres_url)) as made:
        yield made


@pytest.fixture
def releasing(standing_place: ReleasingPlace) -> ReleasingPlace:
    standing_place.clear()
    return standing_place


def a_registration_beside_a_finish_strands_nothing(place: Place) -> None:
    registered(place, event(A))
    claim = claimed(place)
    with ThreadPoolExecutor(2) as threads:
        with locked(place, "mergeguard_chain"):
            registering = threads.submit(registered, place, event(A))
            waits(place, 1)
            finishing = threads.submit(finish, place, claim)
            waits(place, 2)
        numbers = registering.result()
        finishing.result()
    held(list(place.store.stranded()) == [], "progress", "a chain with events that nobody will ever claim")
    held(ids(claimed(place)) == [numbers], "progress", "the event is not offered")


def test_a_registration_beside_it_strands_nothing(releasing: ReleasingPlace) -> None:
    a_registration_beside_a_finish_strands_nothing(releasing)


def test_the_promises_of_the_queue_are_kept(releasing: ReleasingPlace) -> None:
    assert hold(releasing) > 1


@pytest.mark.parametrize("story", [*EVERYWHERE, *(story for story in SESSIONS if story not in ALONE)])
def test_every_story_ends_well_without_a_release(releasing: ReleasingPlace, story: Story) -> None:
    story(releasing)


def test_what_did_not_run_stays_leased_until_it_is_released(releasing: ReleasingPlace) -> None:
    first, second = registered(releasing, event(A), event(B))
    later = registered(releasing, event(A), event(C))
    claim = claimed(releasing, chains=2)
    registered(releasing, event(A))
    with releasing.store.batch(claim) as batch:
        assert isinstance(batch, Releasing)
        assert not batch.finish_and_release([Ran(claim.leases[0], 1)])
    assert ids(claim)[1] == [second]
    assert [numbers[:1] for numbers in offered(releasing)] == [[later[1]], [later[0]]]
    releasing.store.release(claim)
    assert offered(releasing) == [[second]]
    assert first not in releasing.look().pending


def test_a_batch_whose_claim_ran_says_so(releasing: ReleasingPlace) -> None:
    registered(releasing, event(A), event(B))
    claim = claimed(releasing)
    with releasing.store.batch(claim) as batch:
        assert isinstance(batch, Releasing)
        assert batch.finish_and_release([Ran(lease, 1) for lease in claim.leases])
        assert len(releasing.look().leases) == 2, "nobody sees it before the commit"
    assert releasing.look().leases == []


MUTANTS: dict[str, tuple[str, str, str, Story]] = {
    "no fencing": ("_HOLD", "c.owner = %s AND c.epoch = k.epoch", "%s <> ''", who_lost_its_lease_commits_nothing),
    "nothing is locked": ("_HOLD", "FOR NO KEY UPDATE OF c", "", a_registration_beside_a_finish_strands_nothing),
    "a retry does not wait": ("_RELEASE", "k.pause >= 0", "false", a_retry_waits_for_its_time),
    "a parked event does not wait": ("_RELEASE", "k.pause = -2", "false", a_parked_event_holds_its_line),
    "a dead event holds its line": (
        "_RELEASE",
        "WHEN h.queue IS NOT NULL AND",
        "WHEN false AND",
        a_dead_event_lets_its_successors_go_on,
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_of_the_release_is_killed(
    releasing: ReleasingPlace, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    where, old, new, story = MUTANTS[name]
    statement = getattr(postgresql_batch, where)
    assert old in statement
    monkeypatch.setattr(postgresql_batch, where, statement.replace(old, new))
    with pytest.raises(OrderBroken):
        story(releasing)
