"""``mergeguard demo --story``: what can go wrong with merges, told on a server of its own, with the real commands.

The server runs in this process, and each command in one of its own, as a person would call it beside a server.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mergeguard.cli import terminal
from mergeguard.errors import MergeGuardError

if TYPE_CHECKING:
    from mergeguard.processor.demo_events import Post
    from mergeguard.processor.demo_site import Site

_PATIENCE: Final = 120.0
_DONE: Final = """
Done, after {seconds:.0f} seconds. It is all still there:

  {database}
      mergeguard journal {database}     what was done to it
      mergeguard serve {database}       the same server, for agents of yours

docs/explanation/importing.md tells how it works, docs/how-to/serve.md how to run it.
"""


def tell(folder: Path) -> None:
    """Make a site in a folder, and tell its story as it happens.

    Raises:
        UsageError: its database exists.
        PermissionDenied: the folder cannot be written.
        RuntimeError: the story did not go as it should: a bug.
    """
    from mergeguard.processor.demo_site import running_site

    began = time.monotonic()
    # What the server logs is told by the story; without a handler warnings would go to stderr.
    logging.getLogger("mergeguard").addHandler(logging.NullHandler())
    with running_site(folder) as site:
        _say("=== 1. A server: its database holds the reference schema, an event queue, and a guard on the merge table")
        told = _Told(site)
        told.run("guard", "install", "story.db", "--yes")
        _inventory(told)
        _merges(told)
        _old_guids(told)
        ring = _circle(told)
        _parked(told)
        _repair(told, ring)
    database = min(str(site.database), os.path.relpath(site.database), key=len)
    _say(_DONE.format(seconds=time.monotonic() - began, database=database).rstrip("\n"))


def _inventory(told: _Told) -> None:
    from mergeguard.processor.demo_events import DOCKED, REINSTALLED, inventory, names

    _say("\n=== 2. Fifty computers post their inventory. Three of them were set up twice, and nobody knows it yet")
    twice = (*DOCKED, REINSTALLED)
    told.post(
        [
            *(inventory(name) for name in names()),
            *(inventory(name, second=True, cards=("second",)) for name in twice),
        ]
    )


def _merges(told: _Told) -> None:
    from mergeguard.processor.demo_events import DOCKED, REINSTALLED, guid_of, inventory

    _say("\n=== 3. Two of these are notebooks. Docked, they report both network cards: each pair becomes one computer")
    told.post(inventory(name, second=True, cards=("first", "second")) for name in DOCKED)
    told.run("merges", "story.db")
    _say("\n=== 4. The third pair has no key in common. A person knows that it is one machine")
    told.run("merge", "story.db", str(guid_of(REINSTALLED)), str(guid_of(REINSTALLED, second=True)), "--yes")


def _old_guids(told: _Told) -> None:
    from mergeguard.processor.demo_events import DOCKED, REINSTALLED, execution

    _say("\n=== 5. Their agents still post under the old guids. All of it lands on the new ones: no reference is stale")
    told.post(execution(name, "backup") for name in (*DOCKED, REINSTALLED))
    told.run("scan", "story.db", "--only", "stale-reference")


def _circle(told: _Told) -> str:
    from mergeguard.processor.demo_events import RING, guid_of
    from mergeguard.storage.merging.demo_circle import close_circle

    ring = [guid_of(name) for name in RING]
    _say(f"\n=== 6. A script that does not look first merges {' into '.join((*RING, RING[0]))}. The guard refuses it")
    try:
        close_circle(told.site.database, ring)
    except MergeGuardError as refused:
        _say(refused.message)
    else:
        raise RuntimeError("the guard let a circle through")
    _say("\nSo somebody takes the guard away and calls the script again. Now none of the three leads anywhere")
    told.run("guard", "remove", "story.db", "--yes")
    close_circle(told.site.database, ring)
    return str(ring[0])


def _parked(told: _Told) -> None:
    from mergeguard.processor.demo_events import BYSTANDERS, RING, inventory

    _say("\n=== 7. Eight computers post. Three events wait, parked, and cost no try; the others are not held up")
    told.post((inventory(name, extra=1) for name in (*RING, *BYSTANDERS)), parked=len(RING))
    told.run("queue", "parked", "story.db")


def _repair(told: _Told, one_of_them: str) -> None:
    _say("\n=== 8. What is wrong? Exit code 1 means that there are findings")
    told.run("scan", "story.db", "--only", "cycle", expect=1)
    told.run("explain", "story.db", one_of_them)
    _say("\n=== 9. The repair retires one row of the circle, by the evidence, and can be undone")
    told.run("repair", "story.db", "--yes")
    _say("\n=== 10. Nobody has to tell the queue: it looks where its parked events lead, and goes on")
    told.settle()
    _say("\n=== 11. The survivor is live again, so rows that lie under the other two can follow. Nothing is wrong then")
    told.run("repair", "story.db", "--yes")
    told.run("guard", "install", "story.db", "--yes")
    told.run("scan", "story.db")


@dataclass(slots=True)
class _Told:
    """The site, as the story tells it."""

    site: Site
    posted: int = 0

    def post(self, posts: Iterable[Post], *, parked: int = 0) -> None:
        """Post events, wait until they are handled, and say what became of all so far."""
        events = self.site.post(posts)
        self.posted += events
        _say(f"{events} events are posted.")
        self.settle(parked=parked)

    def settle(self, *, parked: int = 0) -> None:
        """Wait until all but the parked ones are handled."""
        done, waiting, dead = self.site.settle(parked=parked)
        _say(f"Of {self.posted} events so far {done} are done, {waiting} parked, {dead} dead.")
        if dead:
            raise RuntimeError("events of the story are dead")

    def run(self, *arguments: str, expect: int = 0) -> None:
        """Say a command, call it, and say what it says."""
        _say(f"\n$ mergeguard {' '.join(arguments)}")
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MERGEGUARD_")}
        ran = subprocess.run(  # noqa: S603 - ours
            (sys.executable, "-m", "mergeguard", *arguments),
            cwd=self.site.database.parent,
            env=environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        if ran.stdout:
            _say(ran.stdout.rstrip("\n"))
        if ran.returncode != expect:
            raise RuntimeError(f"'mergeguard {' '.join(arguments)}' ended with {ran.returncode}: {ran.stderr}")


def _say(text: str) -> None:
    terminal.write(text + "\n", terminal.STDOUT)
    sys.stdout.flush()
