"""Takes in what is put into ``EvtInbox`` and the folders of old, in steps that a crash may come between.

1. The file has not changed for a while and can be opened: it is renamed, in its folder, to ``<guid>.<priority>.taken``.
2. Its content, inflated, becomes the payload ``EvtQueue/<guid>.NSE``, synced to the disk.
3. It is renamed to ``.ready``: from now on a row may hold the payload.
4. The event is registered.
5. The ``.ready`` file is removed.

Whoever finds ``.taken`` begins again at 2. Whoever finds ``.ready`` asks the database: a row holds the payload, go on
at 5; there is neither row nor payload, the event is done already, likewise 5; else 4 never came to pass, go on there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, Literal, Protocol, TypeVar

from mergeguard.core.events import Registered
from mergeguard.errors import MergeGuardError
from mergeguard.processor.intake.inbox_files import Found, Look, Odd, OnItsWay, Waiting, found_in
from mergeguard.processor.intake.inbox_steps import InboxSteps, Ready
from mergeguard.processor.intake.refusals import Busy
from mergeguard.processor.intake.registration import Outcome
from mergeguard.processor.settings import Settings
from mergeguard.storage.queue.store import EventStore

AT_ONCE: Final = 100
"""Files that are registered in one group."""
_File = TypeVar("_File")
_Done = TypeVar("_Done")
_log = logging.getLogger(__name__)


class Counts(Protocol):
    """Who counts the files."""

    def taken_from_inbox(self, outcome: Literal["accepted", "dead", "left"], files: int = 1) -> None:
        """Count files of the inboxes by what became of them."""


@dataclass(slots=True)
class Inbox:
    """The inbox folders of one queue. For one thread."""

    store: EventStore
    steps: InboxSteps
    settings: Callable[[], Settings]
    counts: Counts
    clock: Callable[[], float] = time.monotonic
    _seen: dict[Path, tuple[Look, float]] = field(default_factory=dict)
    """What each file looked like, and since when."""
    _changing: bool = False
    """Whether some files were not complete at the last look."""
    _strangers: frozenset[Odd] = frozenset()
    _listed: float | None = None
    """When the strangers were looked for."""
    _told: set[Odd] = field(default_factory=set)
    """What was complained of already, and still is so."""
    _odd: set[Odd] = field(default_factory=set)

    @property
    def odd(self) -> frozenset[Odd]:
        """What could not be taken in at the last look, and why."""
        return frozenset(self._told)

    def payload_names(self) -> frozenset[str]:
        """Return the names of the payloads whose files are on their way: they are no orphans."""
        return frozenset(one.payload for one in self._found() if isinstance(one, OnItsWay))

    def run(self, wait: Callable[[float], bool]) -> None:
        """Look again and again.

        Args:
            wait: until so many seconds are over or something has changed; ``False``: it is time to end.
        """
        seconds = 0.0
        while wait(seconds):
            seconds = self.look()

    def look(self) -> float:
        """Take in what is complete; return after how many seconds to look again where nothing changes."""
        self._odd = set()
        try:
            self._odd.update(self._by_hand())
            self._look()
        except MergeGuardError as failure:  # database or disk: what lies in the inboxes lies well
            self._odd.add(Odd(self.settings().inbox_folder, failure.message))
        except Exception:  # noqa: BLE001 - a bug with one file must not end the intake of all others
            _log.exception("a look into the inboxes failed")
        self._complain()
        settings = self.settings()
        return settings.inbox_settle_milliseconds / 1000 if self._changing else settings.inbox_rescan_seconds

    def _look(self) -> None:
        found = list(self._found())
        self._odd.update(one for one in found if isinstance(one, Odd))
        complete = self._complete([one for one in found if isinstance(one, Waiting)])
        self._register(self._unfinished([one for one in found if isinstance(one, OnItsWay)]))
        self._register(self._each(self.steps.take, self._with_room(complete)))

    def _found(self) -> Iterator[Found]:
        settings = self.settings()
        for folder in (settings.inbox_folder, *settings.legacy_folders):
            yield from found_in(folder)

    def _by_hand(self) -> frozenset[Odd]:
        """Return what somebody put beside the payloads; a folder of many files is not read at each change."""
        now = self.clock()
        if self._listed is None or now - self._listed >= self.settings().inbox_rescan_seconds:
            payloads = self.steps.payloads
            why = f"put by hand where payloads are; the way in is {self.settings().inbox_folder.name}"
            self._strangers = frozenset(Odd(payloads.folder / name, why) for name in payloads.strangers())
            self._listed = now
        return self._strangers

    def _complete(self, files: Sequence[Waiting]) -> list[Waiting]:
        """Return the files that looked the same for long enough, in the order in which they are to go."""
        now, enough = self.clock(), self.settings().inbox_settle_milliseconds / 1000
        before, self._seen = self._seen, {}
        complete = []
        for file in files:
            look, since = before.get(file.path, (None, now))
            if look == file.look and now - since >= enough:
                complete.append(file)
            self._seen[file.path] = (file.look, since if look == file.look else now)
        self._changing = len(complete) < len(files)
        return sorted(complete, key=lambda file: file.place)

    def _with_room(self, files: Sequence[Waiting]) -> Iterator[Waiting]:
        """Yield the files that the limit of the queue has room for; the others stay where they are."""
        limit = self.settings().file_limit
        pending = sum(size.file_bytes for size in self.store.sizes()) if files else 0
        for file in files:
            if limit and pending + file.size > limit:
                self._leave(Odd(file.path, f"the queue is full: it would hold more than {limit:,} bytes in files"))
            else:
                pending += file.size
                yield file

    def _unfinished(self, files: Sequence[OnItsWay]) -> Iterator[OnItsWay]:
        """Yield the files of an earlier look that are still to be registered; finish the others."""
        rows = self.store.files() if any(one.step == "ready" for one in files) else {}
        for one in files:
            if self.steps.registered(one, rows):
                self._each(self.steps.finish, [one])
            else:
                yield one

    def _register(self, files: Iterable[OnItsWay]) -> None:
        files = iter(files)
        while group := list(islice(files, AT_ONCE)):
            ready = self._each(self.steps.prepare, group)
            self.steps.sync(ready)
            outcomes = self.steps.register(ready)
            done = [one for one, outcome in zip(ready, outcomes, strict=True) if isinstance(outcome, Registered)]
            self._each(self.steps.finish, [one.file for one in done])
            for one, outcome in zip(ready, outcomes, strict=True):
                self._note(one, outcome)

    def _note(self, one: Ready, outcome: Outcome) -> None:
        if isinstance(outcome, Busy):
            self._leave(Odd(one.file.path, outcome.message))
            return
        self.counts.taken_from_inbox("accepted" if one.whole else "dead")
        _log.info("an event was taken from an inbox", extra={"event": outcome.id, "file": one.file.payload})

    def _each(self, step: Callable[[_File], _Done | Odd], files: Iterable[_File]) -> list[_Done]:
        """Take each file a step further; complain of those that cannot go it."""
        done = []
        for file in files:
            result = step(file)
            if isinstance(result, Odd):
                self._leave(result)
            else:
                done.append(result)
        return done

    def _leave(self, odd: Odd) -> None:
        self._odd.add(odd)
        self.counts.taken_from_inbox("left")

    def _complain(self) -> None:
        """Tell of what is odd, once for as long as it is so."""
        for odd in sorted(self._odd - self._told, key=lambda odd: str(odd.path)):
            _log.warning("left in the inbox", extra={"path": str(odd.path), "why": odd.why})
        self._told = self._odd
