"""The event queue for people: the statistics, lists of events, one event, and what the doctor found.

Whatever came from an agent is spelt out before it is shown: a body must not command the terminal it is read on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Final

from mergeguard.core.events import NO_SOURCE, Event
from mergeguard.processor.by_hand import ExportedEvents, ShownEvent, event_of, status_of
from mergeguard.processor.doctor import QueueCheck
from mergeguard.processor.metrics import chain_state
from mergeguard.processor.report import ChainLine, QueueLine, QueueStatistics
from mergeguard.processor.settings import ENTRIES, Settings
from mergeguard.render.table import aligned
from mergeguard.render.text import columns, fold, visible
from mergeguard.render.words import counted
from mergeguard.storage.queue.store import DeadEvent, ParkedEvent

MOST_SHOWN: Final = 65_536
"""Characters of a body that are printed for people; an export has all of it."""
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_VALUES: Final = 60
"""Columns of a value in the table of settings; what is longer goes on below."""
_MARKS: Final = {True: "ok ", False: "BAD", None: "?  "}


def status_text(found: QueueStatistics) -> str:
    """Write the statistics: each queue, the chains that wait longest, who holds leases, and what is dead."""
    sections = [_queues(found), _chains(found), _holders(found), _dead_counts(found), _foot(found)]
    return "\n".join(filter(None, sections))


def _queues(found: QueueStatistics) -> str:
    heads = ("queue", "events", "in rows", "in files", "oldest", "in/s", "out/s", "done", "retries", "parked", "dead")
    rows = [_queue_row(line, line.size.queue.name.lower()) for line in found.queues]
    return _table([*rows, _queue_row(found.total, "all")], heads, left=(0,))


def _queue_row(line: QueueLine, name: str) -> tuple[str, ...]:
    size = line.size
    return (
        name,
        f"{size.events:,}",
        amount(size.inline_bytes),
        amount(size.file_bytes),
        span(line.oldest_seconds),
        _rate(line.in_per_second),
        _rate(line.out_per_second),
        f"{size.done:,}",
        f"{size.retries:,}",
        f"{size.parked:,}",
        f"{size.dead:,}",
    )


def _chains(found: QueueStatistics) -> str:
    if not found.chains:
        return ""
    heads = (
        "source",
        "priority",
        "queue",
        "events",
        "in rows",
        "in files",
        "oldest",
        "in/s",
        "out/s",
        "tries",
        "state",
        "holder",
    )
    return _table([_chain_row(line) for line in found.chains], heads, left=(0, 2, 10, 11))


def _chain_row(line: ChainLine) -> tuple[str, ...]:
    chain, state = line.state, chain_state(line)
    ends = line.lease_seconds if state in {"leased", "expired"} else line.retry_seconds
    when = "" if ends is None or state in {"waiting", "parked"} else f" {span(abs(ends))}"
    return (
        source_name(chain.source),
        f"{chain.priority}",
        chain.queue.name.lower(),
        f"{chain.events:,}",
        amount(chain.inline_bytes),
        amount(chain.file_bytes),
        span(line.oldest_seconds),
        _rate(line.in_per_second),
        _rate(line.out_per_second),
        f"{chain.tries}",
        state + when,
        visible(chain.owner or "-", 60),
    )


def _holders(found: QueueStatistics) -> str:
    rows = [(visible(one.owner, 60), f"{one.chains:,}", moment(one.until)) for one in found.holders]
    return _table(rows, ("lease holder", "chains", "first lease ends"), left=(0, 2)) if rows else ""


def _dead_counts(found: QueueStatistics) -> str:
    rows = [(source_name(one.source), f"{one.priority}", f"{one.events:,}", amount(one.bytes)) for one in found.dead]
    return _table(rows, ("source of dead events", "priority", "dead", "size"), left=(0,)) if rows else ""


def _foot(found: QueueStatistics) -> str:
    limit = f"of {amount(found.file_limit)} allowed" if found.file_limit else "without a limit"
    lines = [f"at {moment(found.taken)}: {amount(found.total.size.file_bytes)} pending in files, {limit}"]
    if found.since is None:
        lines.append("no rates: nothing was counted before; --over 5s looks twice")
    else:
        lines.append(f"rates since {moment(found.since)}")
    if found.stranded:
        lines.append(f"!! {counted(found.stranded, 'stranded chain')}: 'mergeguard queue doctor' says more")
    return "".join(f"{line}\n" for line in lines)


def events_text(waiting: Sequence[Event | ParkedEvent], dead: Sequence[DeadEvent]) -> str:
    """List events in line in the order of registration, then dead ones, the oldest first."""
    heads = ("event", "status", "source", "priority", "queue", "size", "received (UTC)", "tries", "body")
    sections = []
    if waiting:
        sections.append("in line\n" + _table([_event_row(one) for one in waiting], heads, left=(1, 2, 4, 6, 8)))
    if dead:
        rows = [(*_event_row(one)[:-1], moment(one.died), _reason(one)) for one in dead]
        more = (*heads[:-1], "died (UTC)", "why")
        sections.append("dead\n" + _table(rows, more, left=(1, 2, 4, 6, 8, 9)))
    return "\n".join(sections) or "no such events\n"


def _event_row(found: Event | ParkedEvent | DeadEvent) -> tuple[str, ...]:
    event = event_of(found)
    return (
        f"{event.id}",
        status_of(found),
        source_name(str(event.source)),
        f"{event.priority}",
        event.queue.name.lower(),
        amount(event.size),
        moment(event.received),
        f"{event.tries}",
        visible(event.file or "in its row", 60),
    )


def _reason(dead: DeadEvent) -> str:
    return visible(f"{dead.failure.reason}: {dead.failure.kind}: {dead.failure.message}", 100)


def event_text(shown: ShownEvent) -> str:
    """Write one event: what is known of it, then its body, line by line, with nothing a terminal would obey."""
    return "".join(f"{line}\n" for line in (*_about(shown), "", *_body(shown)))


def _about(shown: ShownEvent) -> Iterator[str]:
    event = shown.event
    dead = shown.found if isinstance(shown.found, DeadEvent) else None
    parked = shown.parked
    yield f"event     {event.id}, {status_of(parked or shown.found)}"
    yield f"source    {source_name(str(event.source))}"
    yield f"priority  {event.priority}"
    yield f"queue     {event.queue.name.lower()}"
    yield f"received  {moment(event.received)} UTC"
    yield f"size      {event.size:,} bytes, {visible('in ' + event.file if event.file else 'in its row', 100)}"
    yield f"tries     {event.tries} failed"
    if parked is not None:
        yield f"parked    {moment(parked.since)} UTC"
        yield f"why       {visible(f'{parked.parking.status}: {parked.parking.message}')}"
        yield from (f"guid      {guid}" for guid in parked.parking.guids)
    if dead is not None:
        yield f"died      {moment(dead.died)} UTC"
        yield f"why       {visible(f'{dead.failure.reason}: {dead.failure.kind}: {dead.failure.message}')}"
        if shown.later_done:
            yield f"order     {counted(shown.later_done, 'later event')} of its source and priority {_are(shown)} done"


def _are(shown: ShownEvent) -> str:
    return "is" if shown.later_done == 1 else "are"


def _body(shown: ShownEvent) -> Iterator[str]:
    if shown.body is None:
        yield f"its body cannot be shown: {visible(shown.why or 'it is gone')}"
        return
    text = decoded(shown.body)
    yield from (visible(line) for line in text[:MOST_SHOWN].splitlines())
    if len(text) > MOST_SHOWN:
        yield f"... and {len(text) - MOST_SHOWN:,} more characters; 'mergeguard queue export' writes all of it"


def decoded(body: bytes) -> str:
    r"""Read a body as text for people: UTF-16 where its mark says so, else UTF-8; other bytes are spelt ``\xff``."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", "backslashreplace")
    return body.decode("utf-8-sig", "backslashreplace")


def settings_text(settings: Settings, *, origin: bool) -> str:
    """List every setting of the processor and its value, with ``origin`` also where it came from."""
    rows = []
    for entry in ENTRIES:
        value = getattr(settings, entry.name)
        shown = "-" if value is None else visible(f"{value} {entry.unit}".rstrip())
        first, *further = fold(shown.split(" "), _VALUES, "") or [""]
        rows.append((entry.name, first, visible(settings.origin(entry.name))))
        rows += [("", more, "") for more in further]
    heads = ("setting", "value", "from")
    return aligned(rows, heads) if origin else aligned([row[:2] for row in rows], heads[:2])


def exported_text(done: ExportedEvents, folder: str) -> str:
    """Say what an export wrote and what it could not."""
    lines = [f"{counted(len(done.files), 'file')} written to {visible(folder)}"]
    if done.dropped:
        lines.append(f"{counted(done.dropped, 'event')} dropped from the queue")
    lines += [f"event {event} not written: {visible(why)}" for event, why in done.left]
    return "".join(f"{line}\n" for line in lines)


def checks_text(checks: Sequence[QueueCheck]) -> str:
    """List the doctor's checks, each that is not fine with what helps, and end with the verdict."""
    width = max((len(check.name) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"{_MARKS[check.fine]}  {check.name:<{width}}  {visible(check.found)}")
        if check.help is not None and not check.fine:
            lines.append(f"     {'':<{width}}  -> {visible(check.help)}")
    return "".join(f"{line}\n" for line in (*lines, "", _verdict(checks)))


def _verdict(checks: Sequence[QueueCheck]) -> str:
    bad, unseen = sum(check.fine is False for check in checks), sum(check.fine is None for check in checks)
    if bad:
        return f"{bad} of {counted(len(checks), 'check')} found something to act on"
    if unseen:
        return f"nothing found, but {counted(unseen, 'check')} could not be made"
    return "the queue is well: nothing is stuck, nothing is lost"


def source_name(source: str) -> str:
    """Return a source as people read it."""
    return "no source" if not source or source == str(NO_SOURCE) else visible(source, 60)


def moment(when: dt.datetime) -> str:
    """Write a time in UTC to the second."""
    return f"{when.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}"


def span(seconds: float | None) -> str:
    """Write a length of time in its two largest units."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for unit, size, small, part in (("d", 86_400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // part:02}{small}"
    return f"{whole}s"


def amount(size: int) -> str:
    """Write a number of bytes in a unit that fits."""
    number = float(size)
    for unit in _UNITS:
        if number < 1024 or unit == _UNITS[-1]:
            break
        number /= 1024
    return f"{size:,} B" if unit == "B" else f"{number:.1f} {unit}"


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:,.1f}"


def _table(rows: Sequence[tuple[str, ...]], heads: tuple[str, ...], *, left: Sequence[int]) -> str:
    """Set rows in columns; those that are not ``left`` hold numbers and end at one edge."""
    widths = [max(columns(row[at]) for row in (heads, *rows)) for at in range(len(heads))]

    def set_(row: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(cell if at in left else " " * (widths[at] - columns(cell)) + cell for at, cell in enumerate(row))

    return aligned([set_(row) for row in rows], set_(heads))
