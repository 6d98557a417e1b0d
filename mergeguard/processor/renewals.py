"""Prolongs the leases of long work, so that a handler may take its time while the machine lives."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mergeguard.core.events import Claim
from mergeguard.processor.failures import told
from mergeguard.storage.queue.store import EventStore

_log = logging.getLogger(__name__)
_PART = 3
"""A lease is prolonged when this part of it has passed, so that one renewal may fail."""


@dataclass(slots=True)
class _Kept:
    claim: Claim
    since: float


class Renewals:
    """The claims that are being worked on.

    Args:
        store: where they are leased.
        lease: how long from each renewal on.
        clock: seconds that only grow.
    """

    def __init__(self, store: EventStore, lease: Callable[[], dt.timedelta], clock: Callable[[], float]) -> None:
        self._store = store
        self._lease = lease
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[int, _Kept] = {}

    @contextmanager
    def kept(self, claim: Claim) -> Iterator[None]:
        """Prolong the leases of a claim while the block runs."""
        with self._lock:
            self._kept[id(claim)] = _Kept(claim, self._clock())
        try:
            yield
        finally:
            with self._lock:
                del self._kept[id(claim)]

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        return self._lease().total_seconds() / _PART / 2

    def renew(self) -> int:
        """Prolong what is due; return how many claims were. What fails is tried again at the next look."""
        now = self._clock()
        due = now - self._lease().total_seconds() / _PART
        with self._lock:
            kept = [one for one in self._kept.values() if one.since <= due]
        return sum(self._renewed(one, now) for one in kept)

    def _renewed(self, kept: _Kept, now: float) -> bool:
        claim = kept.claim
        try:
            held = self._store.renew(claim, self._lease())
        except Exception as error:  # noqa: BLE001 - the commit finds out whether the lease is still ours
            _log.warning("a lease was not prolonged", extra={"worker": claim.worker, "why": told(error)})
            return False
        if len(held) < len(claim.leases):
            lost = len(claim.leases) - len(held)
            _log.warning("leases passed to another worker", extra={"worker": claim.worker, "chains": lost})
        kept.since = now
        return True
