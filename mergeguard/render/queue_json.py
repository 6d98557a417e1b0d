"""The event queue for programs: JSON in the shape of ``schemas/queue-status-1.json``, and lists of events."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from mergeguard.core.events import Event
from mergeguard.processor.by_hand import ShownEvent, WokenEvents, event_of, status_of
from mergeguard.processor.doctor import QueueCheck
from mergeguard.processor.metrics import chain_state
from mergeguard.processor.report import ChainLine, QueueLine, QueueStatistics
from mergeguard.render.plain import Json, time
from mergeguard.render.queue import decoded
from mergeguard.render.text import sound
from mergeguard.storage.queue.store import DeadEvent, ParkedEvent

SCHEMA_VERSION = 1


def status_json(found: QueueStatistics) -> str:
    """Write the statistics."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "taken": time(found.taken),
        "since": time(found.since),
        "file_limit_bytes": found.file_limit,
        "stranded_chains": found.stranded,
        "queues": [_queue(line) for line in found.queues],
        "chains": [_chain(line) for line in found.chains],
        "lease_holders": [
            {"owner": sound(one.owner), "chains": one.chains, "first_lease_ends": time(one.until)}
            for one in found.holders
        ],
        "dead": [
            {"source": sound(one.source), "priority": one.priority, "events": one.events, "bytes": one.bytes}
            for one in found.dead
        ],
    }
    return _written(document)


def _queue(line: QueueLine) -> Json:
    size = line.size
    return {
        "id": int(size.queue),
        "queue": size.queue.name.lower(),
        "events": size.events,
        "inline_bytes": size.inline_bytes,
        "file_bytes": size.file_bytes,
        "registered": size.registered,
        "done": size.done,
        "retries": size.retries,
        "dead": size.dead,
        "dead_bytes": size.dead_bytes,
        "parked": size.parked,
        "oldest": time(size.oldest),
        "oldest_seconds": line.oldest_seconds,
        "in_per_second": line.in_per_second,
        "out_per_second": line.out_per_second,
    }


def _chain(line: ChainLine) -> Json:
    chain = line.state
    return {
        "source": sound(chain.source),
        "priority": chain.priority,
        "queue": chain.queue.name.lower(),
        "state": chain_state(line),
        "events": chain.events,
        "inline_bytes": chain.inline_bytes,
        "file_bytes": chain.file_bytes,
        "oldest": time(chain.oldest),
        "oldest_seconds": line.oldest_seconds,
        "in_per_second": line.in_per_second,
        "out_per_second": line.out_per_second,
        "tries": chain.tries,
        "owner": None if chain.owner is None else sound(chain.owner),
        "lease_until": time(chain.lease_until),
        "retry_at": time(chain.retry_at),
    }


def events_json(waiting: Sequence[Event | ParkedEvent], dead: Sequence[DeadEvent], form: str) -> str:
    """Write a list of events, without their bodies, as ``json`` or as ``jsonl``."""
    entries = [*map(_event, waiting), *map(_event, dead)]
    if form == "jsonl":
        return "".join(json.dumps(entry) + "\n" for entry in entries)
    return _written({"schema_version": SCHEMA_VERSION, "events": entries})


def event_json(shown: ShownEvent) -> str:
    """Write one event with its body, as text for people and as its exact bytes."""
    body = shown.body
    told = {
        **_event(shown.found),
        "state": status_of(shown.parked or shown.found),
        "later_done": shown.later_done,
        "parked": None if shown.parked is None else _parking(shown.parked),
        "body_missing": shown.why,
        "body_text": None if body is None else sound(decoded(body)),
        "body_base64": None if body is None else base64.b64encode(body).decode("ascii"),
    }
    return _written({"schema_version": SCHEMA_VERSION, **told})


def _event(found: Event | ParkedEvent | DeadEvent) -> dict[str, Json]:
    event, dead = event_of(found), found if isinstance(found, DeadEvent) else None
    return {
        "event": event.id,
        "state": status_of(found),
        "source": str(event.source),
        "priority": event.priority,
        "queue": event.queue.name.lower(),
        "size": event.size,
        "received": time(event.received),
        "tries": event.tries,
        "file": None if event.file is None else sound(event.file),
        "died": None if dead is None else time(dead.died),
        "reason": None if dead is None else str(dead.failure.reason),
        "exception": None if dead is None else sound(dead.failure.kind),
        "message": None if dead is None else sound(dead.failure.message),
        **(_parking(found) if isinstance(found, ParkedEvent) else {}),
    }


def parked_json(parked: Sequence[ParkedEvent]) -> str:
    """Write parked events, each with what parks it."""
    return events_json(parked, (), "json")


def woken_json(done: WokenEvents) -> str:
    """Write which parked events were woken, and how many are parked still."""
    return _written(
        {"schema_version": SCHEMA_VERSION, "woken": [one.event.id for one in done.woken], "left": done.left}
    )


def _parking(parked: ParkedEvent) -> dict[str, Json]:
    why = parked.parking
    return {
        "since": time(parked.since),
        "status": sound(why.status),
        "guids": [str(guid) for guid in why.guids],
        "message": sound(why.message),
    }


def checks_json(checks: Sequence[QueueCheck]) -> str:
    """Write what the doctor found; ``fine`` is null where something could not be looked at."""
    rows = [
        {"check": check.name, "fine": check.fine, "found": sound(check.found), "help": check.help} for check in checks
    ]
    return _written({"schema_version": SCHEMA_VERSION, "checks": rows})


def _written(document: Json) -> str:
    return json.dumps(document, indent=2) + "\n"
