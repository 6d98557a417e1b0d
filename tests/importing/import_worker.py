"""A process of tests/importing: `python tests/importing/import_worker.py import|merge|repair URL FOLDER [PAIRS]`.

``import`` takes events until the queue is empty, parked ones are woken again and again; one event in seven fails its
first try after it has written all. ``merge`` merges pairs of numbers. ``repair`` plans and applies until there is
nothing left to decide. All of them begin when a line comes on stdin.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from pathlib import Path
from typing import Any

from import_oracle import Merge
from importing.import_world import World, world_of
from merge_model import guid

from mergeguard import api
from mergeguard.errors import Stale

NEVER = threading.Event()


class Flaky:
    """The importer, but one event in seven fails its first try."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def handle(self, event: Any, body: bytes, batch: Any) -> None:
        self._handler.handle(event, body, batch)
        if event.id % 7 == 0 and event.tries == 0:
            raise ValueError(f"the first try of event {event.id}")


def imports(world: World) -> int:
    """Work until nothing is left; return how many claims were taken."""
    flaky, taken = Flaky(world.importer), 0
    while True:
        claim = world.claimed(4)
        if claim is not None:
            world.handle(claim, flaky)
            taken += 1
            continue
        if not sum(size.events for size in world.queue.sizes()):
            return taken
        world.queue.wake([parked.event.id for parked in world.queue.parked()])
        world.queue.sweep()
        NEVER.wait(0.002)  # others hold what is left, or a retry is not due


def merges(world: World, pairs: str) -> int:
    """Merge; return how many rows that gave."""
    return sum(world.merge(Merge(guid(old), guid(new))) == "merged" for old, new in json.loads(pairs))


def repairs(world: World) -> int:
    """Repair until every plan is empty; return how many steps were made."""
    steps = 0
    while True:
        plan = api.plan(world.url, world.profile)
        if not plan.steps:
            return steps
        try:
            steps += api.apply(plan, world.url).applied
        except Stale:  # somebody merged meanwhile
            continue


def main(what: str, url: str, folder: str, *rest: str) -> None:
    logging.disable(logging.CRITICAL)
    with world_of(url, Path(folder)) as world:
        if what == "merge":
            world.merges(0)
        print("ready", flush=True)  # noqa: T201 - whoever started this waits for it
        sys.stdin.readline()
        done = {"import": imports, "merge": merges, "repair": repairs}[what](world, *rest)
        print(done, flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main(*sys.argv[1:])
