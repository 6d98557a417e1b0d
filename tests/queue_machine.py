"""The state machine of the event queue: several workers on one store, the pure order as the oracle.

After each step a second connection looks at what is committed, and the invariants hold by name.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from queue_places import AGES, LEASE, SOURCES, Place, Seen

from mergeguard.core.events import (
    NO_SOURCE,
    Claim,
    Denied,
    Event,
    Failure,
    NewEvent,
    Parking,
    Queue,
    Ran,
    Registered,
)
from mergeguard.core.order import Order, OrderBroken, State
from mergeguard.errors import LeaseLost

WORKERS = ("ann", "bob", "eve")
QUEUES = (Queue.FAST, Queue.NORMAL)
AT_ONCE = dt.timedelta(0)
ASKED = st.tuples(
    st.sampled_from([*SOURCES[:2], NO_SOURCE]), st.sampled_from([0, 1]), st.sampled_from(QUEUES), st.booleans()
)


def held(is_so: bool, check: str, what: object = "") -> None:
    """Fail with the name of the check."""
    if not is_so:
        raise OrderBroken(check, str(what))


class QueueMachine(RuleBasedStateMachine):
    """Workers that claim, run, die and come back too late."""

    place: Place

    def __init__(self) -> None:
        super().__init__()
        self.place.clear()
        self.order = Order()
        self.claims: list[Claim] = []
        self.passed = dt.timedelta(0)
        self.files = 0
        self.bodies: dict[int, bytes | None] = {}
        self.in_flight = 0
        self.set_back = 0

    # --- What happens ---

    @rule(
        asked=st.lists(ASKED, min_size=1, max_size=5),
        limit=st.sampled_from([0, 0, 5]),
        claimed=st.sampled_from([None, *QUEUES]),
    )
    def register(self, asked: list[tuple[object, int, Queue, bool]], limit: int, claimed: Queue | None) -> None:
        """Register events; a worker may be there at once, for some runs of the machine leave the rule ``claim`` out."""
        events = [self._event(*one) for one in asked]
        answers = self.place.store.register(events, file_limit=limit)
        for event, answer in zip(events, answers, strict=True):
            held(isinstance(answer, Registered) is self.order.admits(event, limit), "backpressure", (event, answer))
            if isinstance(answer, Denied):
                continue
            self.order.register(event, answer.id)
            self.bodies[answer.id] = event.body
        if claimed is not None:
            self._claim(WORKERS[0], claimed, events=6, chains=4)

    @rule(
        worker=st.sampled_from(WORKERS),
        queue=st.sampled_from(QUEUES),
        events=st.integers(1, 6),
        chains=st.integers(1, 4),
    )
    def claim(self, worker: str, queue: Queue, events: int, chains: int) -> None:
        self._claim(worker, queue, events, chains)

    def _claim(self, worker: str, queue: Queue, events: int, chains: int) -> None:
        now = self._now()
        must = self.order.claimable(queue, now)
        claim = self.place.store.claim(queue, worker, LEASE, events=events, chains=chains)
        if claim is None:
            held(not must, "progress", f"{must} are ready and nobody gets them")
            return
        given = sum(len(lease.events) for lease in claim.leases)
        held(given <= events, "order", "more than the budget")
        claim = replace(claim, until=claim.until + self.passed)
        self.order.claim(claim, self._now())
        for event in (event for lease in claim.leases for event in lease.events):
            held(event.body == self.bodies[event.id], "no_loss", f"the body of {event.id}")
        self.claims.append(claim)
        self.in_flight = max(self.in_flight, len(self.place.look().leases))

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), outcome=st.sampled_from(["all", "all", "some", "raises"]))
    def run(self, data: st.DataObject, outcome: str) -> None:
        claim = data.draw(st.sampled_from(self.claims), "claim")
        ran = self._outcomes(data, claim) if outcome == "some" else [Ran(one, len(one.events)) for one in claim.leases]
        is_fit = all(self.order.holds(claim, one.lease) and self._at_head(one) for one in ran)
        now = self._now()
        try:
            self._batch(claim, ran, raises=outcome == "raises")
        except ZeroDivisionError:
            return
        except LeaseLost:
            held(not is_fit, "progress", "a lease that was held was refused")
            return
        held(is_fit, "no_overlap", f"{claim.worker} committed what was not its own any more")
        self.order.finish(claim, ran, now)
        if self.place.frees_at_finish:
            self.order.release(replace(claim, leases=tuple(one.lease for one in ran)))

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims), "claim")
        self.claims.remove(claim)
        self.place.store.release(claim)
        self.order.release(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims), "claim")
        kept = list(self.place.store.renew(claim, LEASE))
        held(kept == self.order.renew(claim, self._now() + LEASE), "no_overlap", kept)

    @rule()
    def sweep(self) -> None:
        self.place.store.sweep()
        self.order.sweep(self._now())

    @rule()
    def time_passes(self) -> None:
        self.place.pass_time()
        self.passed += dt.timedelta(seconds=AGES)

    @rule()
    def the_clock_is_set_back(self) -> None:
        """Leases last longer and retries come later; nothing else may change."""
        self.order.note_due(self._now())
        self.place.set_clock_back(AGES)
        self.passed -= dt.timedelta(seconds=AGES)
        self.set_back += 1

    @precondition(lambda self: self.order.dead())
    @rule(data=st.data(), again=st.booleans())
    def tend(self, data: st.DataObject, again: bool) -> None:
        dead = data.draw(st.sampled_from(self.order.dead()), "dead")
        if self.order.events[dead].source != NO_SOURCE:
            held(self.place.store.later_done(dead) == self.order.later_done(dead), "order", "events done behind it")
        if not again:
            held(self.place.store.drop(dead), "no_loss", f"{dead} was gone")
            self.order.drop(dead)
            return
        number = self.place.store.retry(dead)
        assert number is not None
        self.order.revive(dead, number)
        self.bodies[number] = self.bodies[dead]

    @precondition(lambda self: self.order.parked())
    @rule(data=st.data())
    def wake(self, data: st.DataObject) -> None:
        asked = data.draw(st.lists(st.sampled_from([*self.order.events]), unique=True, max_size=4), "asked")
        asked += data.draw(st.lists(st.sampled_from(self.order.parked()), unique=True), "parked")
        woken = self.place.store.wake(asked)
        held(woken == self.order.wake(asked), "park", f"{woken} of {asked} were woken")

    # --- What holds ---

    @invariant()
    def what_is_committed_is_right(self) -> None:
        seen = self.place.look()
        self._somewhere_once(seen)
        self._prefixes(seen)
        held(list(self.place.store.stranded()) == [], "progress", "a stranded chain")
        found = [one.event.id for one in self.place.store.parked()]
        held(found == self.order.parked(), "park", f"{found} are parked, not {self.order.parked()}")
        self._counters()

    def _somewhere_once(self, seen: Seen) -> None:
        known = {State.DONE: State.DONE, State.DEAD: State.DEAD}
        for number in self.order.events:
            state = self.order.state(number)
            there = seen.state(number)
            wanted = set() if state is State.DROPPED else {known.get(state, State.PENDING)}
            held(there == wanted, "no_loss", f"{number} is {state} and was found {there}")
        strangers = ({*seen.pending} | seen.dead | {*seen.done}) - {*self.order.events}
        held(not strangers, "no_invention", strangers)
        held(len(seen.done) == len(set(seen.done)), "effect_once", seen.done)
        held(len(seen.leases) == len({chain for chain, _ in seen.leases}), "no_overlap", seen.leases)
        tries = {number: self.order.tries[number] for number in seen.pending}
        held(seen.pending == tries, "retry", f"{seen.pending} were tried, not {tries}")

    def _prefixes(self, seen: Seen) -> None:
        for key, line in self.order.lines.items():
            gone = [number not in seen.pending for number in line.registered]
            held(gone == sorted(gone, reverse=True), "order", f"{key}: {line.registered} of which left {gone}")

    def _counters(self) -> None:
        for found in self.place.store.sizes():
            account = self.order.accounts[found.queue]
            counted = tuple(getattr(found, name) for name in account.__slots__)
            held(counted == tuple(getattr(account, name) for name in account.__slots__), "no_loss", (found, account))

    def teardown(self) -> None:
        """Once faults stop and merges are mended, everything is done or dead in bounded steps."""
        self.order.wake(self.order.parked())
        self.place.store.wake([one.event.id for one in self.place.store.parked()])
        for _ in range(1 + self.set_back):
            self.time_passes()
        self.sweep()
        self.claims.clear()
        left = len(self.order.waiting())
        for _ in range(2 * left + 1):
            for queue in QUEUES:
                self.claim("last", queue, 6, 4)
            for claim in self.claims:
                ran = [Ran(one, len(one.events)) for one in claim.leases]
                self._batch(claim, ran)
                self.order.finish(claim, ran, self._now())
                self.place.store.release(claim)
                self.order.release(claim)
            self.claims.clear()
        held(not self.order.waiting(), "eventually", f"{self.order.waiting()} are still waiting")
        self.what_is_committed_is_right()

    # --- How ---

    def _now(self) -> dt.datetime:
        return self.place.store.now() + self.passed

    def _event(self, source: object, priority: int, queue: Queue, is_file: bool) -> NewEvent:
        self.files += 1
        body = b"%d" % self.files
        if is_file:
            return NewEvent(source, priority, queue, 2, None, f"{self.files}.NSE")  # type: ignore[arg-type]
        return NewEvent(source, priority, queue, len(body), body)  # type: ignore[arg-type]

    def _at_head(self, ran: Ran) -> bool:
        """Whether a lease that was run before is asked to do the same events again."""
        waiting = self.order.lines[self.order.key_of(ran.lease)].waiting
        return [event.id for event in ran.lease.events[:1]] == waiting[:1]

    def _outcomes(self, data: st.DataObject, claim: Claim) -> list[Ran]:
        ran = []
        for lease in claim.leases:
            done = data.draw(st.integers(0, len(lease.events)), "done")
            ends = data.draw(st.sampled_from(["", "", "fails", "parks"]), "ends") if done < len(lease.events) else ""
            if ends == "fails":
                after = data.draw(st.sampled_from([AT_ONCE, LEASE, None]), "again after")
                ran.append(Ran(lease, done, Failure(lease.events[done].id, "E", "m", after)))
            elif ends == "parks":
                ran.append(
                    Ran(lease, done, parked=Parking(lease.events[done].id, (lease.events[done].source,), "s", "m"))
                )
            elif done:
                ran.append(Ran(lease, done))
        return ran

    def _batch(self, claim: Claim, ran: list[Ran], *, raises: bool = False) -> None:
        with self.place.store.batch(claim) as batch:
            for one in ran:
                for event in one.lease.events[: one.done]:
                    self._handle(batch.add, event, claim.worker)
            if raises:
                raise ZeroDivisionError
            batch.finish(ran)

    @staticmethod
    def _handle(add: Callable[..., None], event: Event, worker: str) -> None:
        add("INSERT INTO effect (event, worker) VALUES (?, ?)", (event.id, worker))


def hold(place: Place, **settings: object) -> int:
    """Run the machine on a store; return how many chains were in flight together at most."""
    together = 0

    class Machine(QueueMachine):
        def teardown(self) -> None:
            nonlocal together
            together = max(together, self.in_flight)
            super().teardown()

    Machine.place = place
    examples = max(1, hypothesis.settings().max_examples // 2)
    # A minimal example on a real server takes longer than a test may; the steps are printed as they were.
    phases = [one for one in hypothesis.Phase if one is not hypothesis.Phase.shrink]
    given = {"stateful_step_count": 25, "max_examples": examples, "phases": phases, **settings}
    run_state_machine_as_test(Machine, settings=hypothesis.settings(**given))  # type: ignore[arg-type]
    return together
