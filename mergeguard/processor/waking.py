"""Wakes parked events once their guids lead somewhere again, whoever mended the merges, and however.

Nobody has to tell the queue: what is looked at is where the guids lead *now*. A repair, an undo, a merge and a row that
a person changed in SQL are all the same here. Every server looks; that several wake the same event does no harm.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from mergeguard.core.events import Queue
from mergeguard.processor.failures import told
from mergeguard.storage.queue.store import EventStore, ParkedEvent

if TYPE_CHECKING:
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.source import Source

_log = logging.getLogger(__name__)
LeadSomewhere: TypeAlias = Callable[[Collection[uuid.UUID]], AbstractSet[uuid.UUID]]
"""Of some guids, those that have a current guid now. It reads what is committed; it may raise ``MergeGuardError``."""
FIRST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 60.0
"""Between two looks: the longer the less comes of them."""
PAGE: Final = 1000
"""Events that are looked at together."""
_REMEMBERED: Final = 100_000


@dataclass(slots=True)
class _Woken:
    """An event that was woken, perhaps in vain."""

    times: int
    look: int
    """It is left alone until the look of this number."""


class Waking:
    """Looks at parked events at intervals.

    A server needs one of them: ``Server.beside`` gets its ``run``, and ``ready`` is the processor's ``wake``.

    Args:
        store: the queue.
        lead_somewhere: says which of some guids have a current guid; ``leads`` makes one of a source and its profile.
        ready: is told the queues of events that were woken, so that no worker waits for its next look.
        first: seconds to the next look after one that found something to do.
        longest: seconds to the next look when nothing has changed for long.
    """

    def __init__(
        self,
        store: EventStore,
        lead_somewhere: LeadSomewhere,
        *,
        ready: Callable[[Iterable[Queue]], object] = lambda _queues: None,
        first: float = FIRST_SECONDS,
        longest: float = LONGEST_SECONDS,
    ) -> None:
        self._store = store
        self._lead_somewhere = lead_somewhere
        self._ready = ready
        self._first = first
        self._longest = longest
        self._known: frozenset[int] = frozenset()
        self._woken: dict[int, _Woken] = {}
        self._looks = 0

    def look(self) -> Sequence[ParkedEvent]:
        """Wake the events whose guids all lead somewhere now; return those that were.

        One that was woken before and is parked again is left alone for a while, longer each time: what its importer
        stumbles over may be more than its guids say.

        Raises:
            MergeGuardError: the database could not be read or written.
        """
        self._looks += 1
        woken: list[ParkedEvent] = []
        seen: set[int] = set()
        for page in self._pages():
            seen.update(one.event.id for one in page)
            mended = self._mended([one for one in page if self._is_due(one)])
            if mended:
                self._store.wake([one.event.id for one in mended])
                self._ready({one.event.queue for one in mended})
                woken += mended
        self._remember(woken)
        self._known = frozenset(seen)
        return woken

    def run(self, stop: threading.Event) -> None:
        """Look until ``stop`` is set: soon again after a change, seldom where there is none, and on after an error."""
        pause = self._first
        while not stop.wait(pause):
            before = self._known
            try:
                woken = self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look tries again
                _log.warning("parked events were not looked at", extra={"why": told(error)})
                pause = min(self._longest, pause * 2)
                continue
            if woken:
                _log.info("parked events were woken", extra={"events": len(woken)})
            # A queue with nothing parked costs one question of a second: what is parked then is noticed soon.
            is_quiet = bool(self._known) and not woken and self._known == before
            pause = min(self._longest, pause * 2) if is_quiet else self._first

    def _pages(self) -> Iterator[Sequence[ParkedEvent]]:
        after = 0
        while True:
            page = self._store.parked(limit=PAGE, after=after)
            if page:
                yield page
            if len(page) < PAGE:
                return
            after = page[-1].event.id

    def _mended(self, parked: Sequence[ParkedEvent]) -> list[ParkedEvent]:
        asked = {guid for one in parked for guid in one.parking.guids}
        leading = self._lead_somewhere(asked) if asked else frozenset()
        return [one for one in parked if all(guid in leading for guid in one.parking.guids)]

    def _is_due(self, parked: ParkedEvent) -> bool:
        before = self._woken.get(parked.event.id)
        return before is None or self._looks >= before.look

    def _remember(self, woken: Sequence[ParkedEvent]) -> None:
        if len(self._woken) >= _REMEMBERED:
            self._woken.clear()
        for one in woken:
            before = self._woken.get(one.event.id)
            times = 1 if before is None else before.times + 1
            self._woken[one.event.id] = _Woken(times, self._looks + 2 ** min(times, 10))


def leads(source: Source, profile: Profile) -> LeadSomewhere:
    """Return what asks the tables of merges themselves where guids lead, in a connection of its own each time.

    Raises:
        Unsupported: the target is a file, or its ids are no guids.
    """
    import sqlalchemy as sa  # noqa: PLC0415 - a server whose handler knows another way does without these

    from mergeguard.resources.opened import require_database  # noqa: PLC0415 - as above
    from mergeguard.resources.walk import Walker  # noqa: PLC0415 - as above
    from mergeguard.storage.merging.store import MergingStore  # noqa: PLC0415 - as above

    database = require_database(source, profile)

    def ask(guids: Collection[uuid.UUID]) -> AbstractSet[uuid.UUID]:
        with database.translated():
            # Not a snapshot: of an SQLite file it may read without locks, and the server that asks writes it meanwhile.
            connection = database.connect_to_write()
        try:
            with database.translated():
                opened = database.snapshot_class(database, connection, database.begin_snapshot(connection))
            rows = database.rows(opened)
            store = MergingStore(rows, profile)
            found = Walker(rows, profile, lambda each: store.class_of(rows, each)).read(sorted(guids))
            return frozenset(guid for guid in guids if found.end(guid).current is not None)
        finally:
            with suppress(sa.exc.SQLAlchemyError):
                connection.close()

    return ask
