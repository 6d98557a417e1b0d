"""Doctor of the event queue: proves that nothing is stuck, and that rows and files belong together.

Nothing is changed. Each check that is not fine names the one command or act that helps. What cannot be looked at, the
folder of the queue on another machine above all, is *not checked* and never fine.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergeguard.core.events import Queue
from mergeguard.errors import PermissionDenied
from mergeguard.processor.intake.orphans import FOLDER as ORPHANS
from mergeguard.processor.intake.payloads import Payloads
from mergeguard.processor.report import MOST_CHAINS
from mergeguard.processor.settings import Settings
from mergeguard.storage.queue.store import ChainState, DeadEvent, EventStore, ParkedEvent

YOUNG_SECONDS: Final = 60.0
"""A younger file may be one whose row is about to commit, or that an inbox is about to take in."""
MOST_NAMED: Final = 5
FINDINGS: Final = {
    "cycle": "in a cycle (MG001, MG002)",
    "split": "in a split (MG003)",
    "deleted": "deleted",
}
"""What parks an event, by the status of its guids, as a scan says it."""
_MENDS: Final = {
    "cycle": "'mergeguard repair TARGET' mends it",
    "split": "'mergeguard repair TARGET --override FILE' says which is right; 'mergeguard explain TARGET {guid}' "
    "shows what speaks for each",
    "deleted": "'mergeguard unmerge TARGET {guid}' takes back that it was deleted",
}
_LOOK: Final = "'mergeguard explain TARGET {guid}' shows where it leads"


@dataclass(frozen=True, slots=True)
class QueueCheck:
    """One thing that was looked at."""

    name: str
    found: str
    fine: bool | None
    """``None``: it could not be looked at."""
    help: str | None = None
    """What to do where it is not fine."""


def examine(store: EventStore, settings: Settings, *, clock: Callable[[], float] = time.time) -> tuple[QueueCheck, ...]:
    """Look at everything that could hold an event up or lose it.

    Args:
        store: the queue.
        settings: say where the folders are.
        clock: the time that ages of files are counted from, as the file system has it.

    Raises:
        CannotCheck: the database could not be read.
    """
    chains = store.chains(limit=MOST_CHAINS)
    return (
        _stranded(store.stranded()),
        *_leases(store, chains, settings),
        *_parked(store),
        *_full(store, settings),
        _dead(store),
        *_files(store, settings, clock()),
        _orphans(settings),
        *_inboxes(settings, clock()),
    )


def _fine(name: str, found: str) -> QueueCheck:
    return QueueCheck(name, found, fine=True)


def _bad(name: str, found: str, help_: str) -> QueueCheck:
    return QueueCheck(name, found, fine=False, help=help_)


def _unseen(name: str, found: str, help_: str) -> QueueCheck:
    return QueueCheck(name, found, fine=None, help=help_)


def _stranded(chains: Sequence[ChainState]) -> QueueCheck:
    if not chains:
        return _fine("stranded chains", "none: each chain with events is taken, waits its turn, a retry or a repair")
    events = sum(chain.events for chain in chains)
    words = f"{len(chains)} with {events:,} events: {_named(map(_key, chains))}"
    return _bad("stranded chains", words, "this is a bug; restart the server and report it")


def _leases(store: EventStore, chains: Sequence[ChainState], settings: Settings) -> Iterator[QueueCheck]:
    """A lease that has run out and a retry that is due are nothing, unless nobody sweeps."""
    late = store.now() - dt.timedelta(seconds=max(2 * settings.sweep_milliseconds / 1000, 5.0))
    held = [chain for chain in chains if chain.lease_until is not None]
    expired = [chain for chain in held if chain.lease_until is not None and chain.lease_until < late]
    waiting = [chain for chain in chains if chain.owner is None and chain.retry_at is not None]
    due = [chain for chain in waiting if chain.retry_at is not None and chain.retry_at < late]
    help_ = "no server works on this database, or it hangs: start one with 'mergeguard serve'"
    if expired:
        yield _bad("leases", f"{len(expired)} expired and not taken over: {_named(map(_held, expired))}", help_)
    else:
        yield _fine("leases", f"{len(held)} held, none expired")
    if due:
        yield _bad("retries", f"{len(due)} are due and not made: {_named(map(_key, due))}", help_)
    else:
        yield _fine("retries", f"{len(waiting)} waited for, none overdue")


def _parked(store: EventStore) -> Iterator[QueueCheck]:
    """Group parked events by what parks them: each group has a command that frees it."""
    groups: dict[str, list[ParkedEvent]] = {}
    looked_at = store.parked(limit=MOST_CHAINS)
    least = "at least " if len(looked_at) == MOST_CHAINS else ""
    for one in looked_at:
        groups.setdefault(one.parking.status, []).append(one)
    if not groups:
        yield _fine("parked events", "none")
    for status, parked in sorted(groups.items()):
        guid = next((guid for one in parked for guid in one.parking.guids), "GUID")
        mends = _MENDS.get(status, _LOOK).format(guid=guid)
        words = f"{least}{len(parked):,} with guids {FINDINGS.get(status, status)}: {_named(map(_waiting, parked))}"
        yield _bad(f"parked: {status}", words, f"{mends}; then they go on by themselves, in their order")


def _full(store: EventStore, settings: Settings) -> Iterator[QueueCheck]:
    sizes = store.sizes()
    pending, bytes_ = sum(size.events for size in sizes), sum(size.file_bytes for size in sizes)
    if settings.file_limit and bytes_ >= settings.file_limit:
        words = f"{bytes_:,} bytes pending in files, {settings.file_limit:,} allowed: posts are answered 'server busy'"
        yield _bad("size", words, "look at what holds the queue up before raising MaxFileQSize(KB)")
    else:
        limit = f"of {settings.file_limit:,}" if settings.file_limit else "without a limit"
        yield _fine("size", f"{pending:,} events pending, {bytes_:,} bytes in files {limit}")
    off = [queue for queue, threads in settings.threads.items() if not threads]
    idle = [size.queue.name.lower() for size in sizes if size.queue in off and size.events]
    if idle:
        words = f"no thread here for {', '.join(idle)}, which has events"
        yield _unseen("threads", words, "fine where another server works on that queue")


def _dead(store: EventStore) -> QueueCheck:
    sizes = store.sizes()
    events, bytes_ = sum(size.dead for size in sizes), sum(size.dead_bytes for size in sizes)
    if not events:
        return _fine("dead events", "none")
    keys = [
        f"{one.source or 'no source'} priority {one.priority}: {one.events:,}" for one in store.dead_counts(limit=5)
    ]
    help_ = "see why with 'mergeguard queue list TARGET --dead'; then retry, export or drop them"
    return _bad("dead events", f"{events:,} with {bytes_:,} bytes; {'; '.join(keys)}", help_)


def _files(store: EventStore, settings: Settings, now: float) -> Iterator[QueueCheck]:
    """Hold rows and files against each other; what moves while this looks is looked at again."""
    folder = settings.queue_folder
    payloads = Payloads(folder)
    try:
        there = {*payloads.names(), *payloads.unfinished()}
        rows = store.files()
        strange, after = set(payloads.strangers()) - rows.keys(), set(payloads.names())
    except PermissionDenied as error:
        rows = store.files()
        help_ = "run this on the server, or name the folder of the queue in the settings"
        yield _unseen("files", error.message, help_) if rows else _fine("files", "no row names a file")
        return
    gone = [name for name in rows.keys() - after if _still(store, rows, name) and not (folder / name).exists()]
    yield _verdict(
        "rows without files",
        sorted(gone),
        f"none: all {len(rows):,} files of rows are there",
        "their bodies are gone: restore the folder from a backup, or let these events die",
    )
    yield _verdict(
        "files without rows",
        sorted(name for name in there - rows.keys() if _age(folder / name, now) > YOUNG_SECONDS),
        f"none among {len(there):,} files",
        "left by a server that died while it took them in; the next start of one sees to them",
    )
    yield _verdict(
        "foreign files",
        sorted(strange),
        "none",
        "nothing takes files from here: move them to EvtInbox to have them processed",
    )


def _orphans(settings: Settings) -> QueueCheck:
    files = [file.name for file in _listing(settings.event_queue_path / ORPHANS)]
    help_ = f"look at them in {ORPHANS}: move those that are to be processed to EvtInbox, and remove the others"
    return _verdict("orphans", files, "none was put aside", help_)


def _inboxes(settings: Settings, now: float) -> Iterator[QueueCheck]:
    late = max(YOUNG_SECONDS, 3 * settings.inbox_rescan_seconds)
    files = [file for folder in (settings.inbox_folder, *settings.legacy_folders) for file in _listing(folder)]
    waiting = [f"{file.parent.name}/{file.name}" for file in files if _age(file, now) > late]
    yield _verdict(
        "inboxes",
        waiting,
        "nothing waits in them",
        "no server takes them in, or it may not: see its log for the reason",
    )


def _verdict(name: str, wrong: Sequence[str], fine: str, help_: str) -> QueueCheck:
    return _bad(name, f"{len(wrong):,}: {_named(iter(wrong))}", help_) if wrong else _fine(name, fine)


def _still(store: EventStore, rows: Mapping[str, int], name: str) -> bool:
    """Say whether the row that named a missing file stands yet: an event that is done took its file along."""
    found = store.event(rows[name])
    event = found.event if isinstance(found, DeadEvent) else found
    return event is not None and event.file == name


def _listing(folder: Path) -> list[Path]:
    """Return the files of a folder; none where it cannot be read."""
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_file())
    except OSError:
        return []


def _age(path: Path, now: float) -> float:
    """Return how long ago a file changed, in seconds; 0 for one that has gone."""
    try:
        return now - path.stat().st_mtime
    except OSError:
        return 0.0


def _key(chain: ChainState) -> str:
    return f"{chain.source or 'no source'} priority {chain.priority} ({Queue(chain.queue).name.lower()})"


def _waiting(parked: ParkedEvent) -> str:
    event, guids = parked.event, parked.parking.guids
    key = f"{event.source} priority {event.priority} ({event.queue.name.lower()})"
    more = f" and {len(guids) - 1} more" if len(guids) > 1 else ""
    return (
        f"{key} at event {event.id} since {parked.since:%Y-%m-%d %H:%M:%S} for {', '.join(map(str, guids[:1]))}{more}"
    )


def _held(chain: ChainState) -> str:
    return f"{_key(chain)} by {chain.owner}"


def _named(names: Iterator[str]) -> str:
    listed = list(names)
    more = len(listed) - MOST_NAMED
    return ", ".join(listed[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
