"""One process of workers for ``processing.py``: says ``ready``, waits for a line, works until SIGTERM.

    python scripts/bench/processing_worker.py WAY URL FOLDER

Ways say what the handler does with its one INSERT: ``add`` (the batch's unit of work), ``driver`` (the driver's
cursor), ``sqlalchemy``; ``fails`` adds, and one event in a hundred fails its first try; ``slow`` adds and takes 5 ms.
A retry comes after 1 ms here: with the usual 100 ms the busiest source would do nothing but wait.
"""
# ruff: noqa: PLC0415 - what is imported before "ready" is not timed

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mergeguard.core.events import Event
    from mergeguard.storage.queue.store import Batch

EFFECT = "INSERT INTO effect (event) VALUES (?)"
SLOW = 0.005


class Inserting:
    """A handler."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.placeholder = "INSERT INTO effect (event) VALUES (%s)"

    def handle(self, event: Event, _body: bytes, batch: Batch, /) -> None:
        if self.way == "driver":
            batch.connection.connection.driver_connection.execute(self.placeholder, (event.id,))
        elif self.way == "sqlalchemy":
            batch.connection.exec_driver_sql(self.placeholder, (event.id,))
        else:
            batch.add(EFFECT, (event.id,))
        if self.way == "fails" and event.id % 100 == 0 and event.tries == 0:
            raise ValueError("the first try of one in a hundred")
        if self.way == "slow":
            time.sleep(SLOW)


def main() -> None:
    import logging

    import psycopg  # noqa: F401
    import sqlalchemy  # noqa: F401

    from mergeguard.processor.running import run_workers
    from mergeguard.processor.settings import Settings
    from mergeguard.storage.queue.opening import open_store

    way, url, folder = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    none = {f"{queue}_threads": 0 for queue in ("priority", "normal", "slow", "large")}
    settings = Settings(
        event_queue_path=Path(folder),
        fast_threads=1,
        idle_milliseconds=2,
        sweep_milliseconds=50,
        retry_step_milliseconds=1,
        **none,
    )
    store = open_store(url)
    store.sizes()  # connects
    print("ready", flush=True)
    sys.stdin.readline()
    run_workers(store, lambda: settings, Inserting(way), stop)


if __name__ == "__main__":
    main()
