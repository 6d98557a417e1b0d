"""A process of workers that tests kill: `python tests/processor/worker_process.py URL FOLDER`, ended by SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from mergeguard.core.events import Event
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.running import run_workers
from mergeguard.processor.settings import Settings
from mergeguard.storage.queue.opening import open_store

ADD = "INSERT INTO effects (event, line) VALUES (?, ?)"


def is_flaky(event: int) -> bool:
    return event % 17 == 0


def is_poison(event: int) -> bool:
    return event % 41 == 0


class Handler:
    """Adds its effect, by the unit of work or through the connection; some events fail."""

    def handle(self, event: Event, _body: bytes, batch: EventBatch) -> None:
        batch.add(ADD, (event.id, f"{event.source}/{event.priority}"))
        if event.id % 5 == 0:
            _ = batch.connection
        if is_poison(event.id) or (is_flaky(event.id) and event.tries < 2):
            raise ValueError(f"event {event.id}")


def main(url: str, folder: str) -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = Settings(
        event_queue_path=Path(folder),
        event_failure_backup_folder=Path("bad"),
        lease_seconds=0.5,
        idle_milliseconds=5,
        sweep_milliseconds=20,
        claim_events=32,
        probe_seconds=0.1,
        fast_threads=2,
        normal_threads=0,
        slow_threads=0,
        large_threads=0,
        priority_threads=0,
    )
    store = open_store(url)
    print("ready", flush=True)  # noqa: T201 - whoever started this waits for it
    ended = run_workers(store, lambda: settings, Handler(), stop)
    store.close()
    return 0 if ended else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
