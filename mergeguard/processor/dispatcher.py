"""The workers of one queue: one of them asks for the next claim, the others run theirs or wait for their turn."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mergeguard.core.events import Claim, Queue
from mergeguard.processor.budget import Budget
from mergeguard.processor.circuit import Circuit
from mergeguard.processor.failures import Verdict, told, verdict_of_store
from mergeguard.processor.renewals import Renewals
from mergeguard.processor.settings import Settings
from mergeguard.processor.worker import Handled, Worker
from mergeguard.storage.queue.store import EventStore

_log = logging.getLogger(__name__)
_FIRST_CLASH = 0.1
_LONGEST_CLASH = 30.0
"""Seconds that a chain is held back after a clash that was its own, doubled each time."""
_REMEMBERED = 10_000
"""Chains whose clashes are counted."""


@dataclass(slots=True)
class Seat:
    """One thread of a queue."""

    worker: Worker
    name: str
    owed: Claim | None = None
    """A claim that is to be given back before the next one."""


class Dispatcher:
    """Gives the events of one queue to its workers.

    Args:
        queue: which.
        store: where it is.
        settings: those in force.
        circuit: lets work through while the database answers.
        renewals: prolongs the leases of running claims.
        is_stopping: whether no new claim may be made.
        wait: waits for a knock or so many seconds.
        seen: is told what became of each claim.
    """

    def __init__(  # noqa: PLR0913 - the parts that it puts together
        self,
        queue: Queue,
        store: EventStore,
        settings: Callable[[], Settings],
        circuit: Circuit,
        renewals: Renewals,
        *,
        is_stopping: Callable[[], bool],
        wait: Callable[[float], object],
        seen: Callable[[Queue, Handled], object] = lambda _queue, _handled: None,
    ) -> None:
        self.queue = queue
        self._store = store
        self._settings = settings
        self._circuit = circuit
        self._renewals = renewals
        self._is_stopping = is_stopping
        self._wait = wait
        self._seen = seen
        self._turn = threading.Lock()
        self._clashes: dict[int, int] = {}
        self._budget = Budget(settings().claim_events, settings().claim_chains)

    def work(self, seat: Seat, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Claim and handle until the processor stops, or this thread is one too many."""
        while is_wanted() and not self._is_stopping() and self._circuit.passed():
            if self.is_free(seat):
                claim = self._next(seat, is_wanted)
                if claim is not None:
                    self.run(seat, claim)
        self.is_free(seat)

    def is_free(self, seat: Seat) -> bool:
        """Give back what the seat could not give back before; return whether it may claim again."""
        if seat.owed is not None and not self._is_outage(partial(self._store.release, seat.owed)):
            seat.owed = None
        return seat.owed is None

    def run(self, seat: Seat, claim: Claim) -> None:
        """Handle a claim and give its chains back; while the database is away the seat owes them."""
        seat.owed = claim
        with self._renewals.kept(claim):
            handled = seat.worker.handle(claim)
        self._seen(self.queue, handled)
        if handled.verdict is Verdict.OUTAGE:
            self._open(handled.error)
        elif handled.verdict is Verdict.CLASH and self._is_held_back(claim, handled):
            seat.owed = None
        else:
            if handled.verdict is None:
                self._learn(claim, handled)
            elif handled.verdict is Verdict.LOST:
                _log.warning("a lease was lost before the commit", extra={"worker": seat.name, "why": handled.told})
            if handled.released:
                seat.owed = None
            self.is_free(seat)

    def claim(self, seat: Seat) -> Claim | None:
        """Ask the database once for the next claim."""
        settings = self._settings()
        budget = self._budget
        events, chains = min(budget.events, settings.claim_events), min(budget.chains, settings.claim_chains)
        try:
            return self._store.claim(self.queue, seat.name, settings.lease, events=events, chains=chains)
        except Exception as error:  # noqa: BLE001 - whatever it is, no event is to blame
            if verdict_of_store(error) is Verdict.OUTAGE:
                self._open(error)
            else:
                _log.info("a claim gave way to others", extra={"queue": self.queue.name, "why": told(error)})
            return None

    def _next(self, seat: Seat, is_wanted: Callable[[], bool]) -> Claim | None:
        """Wait for the next claim; one worker of the queue asks at a time, so that an idle queue costs one question."""
        with self._turn:
            while is_wanted() and not self._is_stopping() and self._circuit.outage is None:
                claim = self.claim(seat)
                if claim is not None:
                    return claim
                self._wait(self._settings().idle_milliseconds / 1000)
        return None

    def _learn(self, claim: Claim, handled: Handled) -> None:
        self._circuit.succeeded()
        for lease in claim.leases:
            self._clashes.pop(lease.chain, None)
        settings = self._settings()
        if not self._is_stopping():
            most = {"most_events": settings.claim_events, "most_chains": settings.claim_chains}
            self._budget.learn(claim, handled.events, len(handled.ran), **most)

    def _is_held_back(self, claim: Claim, handled: Handled) -> bool:
        """Keep a chain that clashed by itself under its lease for a while: others go on, and no try is spent."""
        self._budget.isolate()
        _log.info("a batch gave way to others", extra={"queue": self.queue.name, "why": handled.told})
        if len(claim.leases) > 1 or len(claim.leases[0].events) > 1:
            return False
        chain = claim.leases[0].chain
        if len(self._clashes) >= _REMEMBERED:
            self._clashes.clear()
        times = self._clashes[chain] = self._clashes.get(chain, 0) + 1
        pause = min(_LONGEST_CLASH, _FIRST_CLASH * 2 ** min(times, 20))
        try:
            return bool(self._store.renew(claim, dt.timedelta(seconds=pause)))
        except Exception:  # noqa: BLE001 - then it is given back at once, or its lease runs out
            return False

    def _is_outage(self, call: Callable[[], object]) -> bool:
        """Call the store; where it is away the circuit opens, anything else the lease's end will mend."""
        try:
            call()
        except Exception as error:  # noqa: BLE001 - each kind has its verdict
            if verdict_of_store(error) is Verdict.OUTAGE:
                self._open(error)
                return True
        return False

    def _open(self, error: BaseException | None) -> None:
        self._circuit.open(error or RuntimeError("the database does not answer"))
