"""One worker for ``importing.py``: a number on stdin is a turn, the answer is how long its inventories took.

python scripts/bench/importing_worker.py prepare|importer|importer-forgets|orm|orm-bulk URL FOLDER FIRST COMPUTERS
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from importing_peer import OrmImporter
from importing_work import bodies, importer, prepare

from mergeguard.cli import process
from mergeguard.core.events import NewEvent, Queue
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.settings import Settings
from mergeguard.processor.worker import Worker
from mergeguard.storage.queue.opening import open_store

if TYPE_CHECKING:
    from mergeguard.processor.handlers import Handler
    from mergeguard.storage.queue.store import EventStore


def handler_of(way: str, url: str, settings: Settings) -> Handler:
    if way.startswith("importer"):
        return importer(url, settings, forgets=way == "importer-forgets")
    return OrmImporter(bulk=way == "orm-bulk")


def worked(store: EventStore, worker: Worker, settings: Settings) -> None:
    """Take all events to their end."""
    most = {"events": settings.claim_events, "chains": settings.claim_chains}
    while (claim := store.claim(Queue.FAST, "bench", settings.lease, **most)) is not None:
        handled = worker.handle(claim)
        if not handled.released:
            store.release(claim)
        if handled.error is not None or any(ran.failure for ran in handled.ran):
            raise SystemExit(f"an event failed: {handled.told or handled.ran}")


def main() -> None:
    way, url, folder, first, count = sys.argv[1:]
    computers = range(int(first), int(first) + int(count))
    logging.disable(logging.CRITICAL)
    if way == "prepare":
        prepare(url)
        return
    # A claim is one transaction, or the slower way would have more of them, and more of what the queue itself costs.
    settings = Settings(event_queue_path=Path(folder), batch_milliseconds=60_000)
    settings.queue_folder.mkdir(parents=True, exist_ok=True)
    store = open_store(url)
    worker = Worker(
        store,
        lambda: settings,
        handler_of(way, url, settings),
        EventBodies(settings.queue_folder),
        clock=time.monotonic,
        is_stopping=lambda: False,
    )
    print("{}", flush=True)
    with process.tuned():  # as the server is, the peers for once as well
        answer(store, worker, settings, computers)


def answer(store: EventStore, worker: Worker, settings: Settings, computers: range) -> None:
    """Take the events of one turn after the other to their end, and tell how long it took."""
    for line in sys.stdin:
        events = [NewEvent(source, 0, Queue.FAST, len(body), body) for source, body in bodies(computers, int(line))]
        store.register(events)
        begin = time.perf_counter()
        worked(store, worker, settings)
        print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)


if __name__ == "__main__":
    main()
