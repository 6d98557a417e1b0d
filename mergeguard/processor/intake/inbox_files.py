"""What lies in the inbox folders: files that may be taken in, files on their way, and what is neither.

A file on its way keeps its place in its folder under a name of ours, ``<guid>.<priority>.taken`` and then ``.ready``,
so that a server that ends in the middle leaves behind all that the next one needs to go on.
"""

from __future__ import annotations

import re
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from mergeguard.core.events import NO_SOURCE, Queue
from mergeguard.processor.intake.file_names import LOWEST, parse
from mergeguard.processor.intake.payloads import SUFFIX
from mergeguard.processor.intake.posts import Envelope

PRIORITY_FOLDER: Final = "EvtQPriority"
Step: TypeAlias = Literal["taken", "ready"]
Look: TypeAlias = tuple[int, int, int]
"""Size, time of the last change and number of a file: the same twice, and nobody writes it."""
_ON_ITS_WAY: Final = re.compile(
    r"(?P<guid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(?P<priority>[0-9]{1,4})\.(?P<step>taken|ready)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that somebody put into an inbox."""

    path: Path
    look: Look

    @property
    def size(self) -> int:
        """Its bytes at that look."""
        return self.look[0]

    @property
    def place(self) -> tuple[bool, tuple[int, int, int], int, str]:
        """Return what to sort by: agents' files in the order in which agents send them, then others by age."""
        said = parse(self.path.name)
        return said is None, (0, 0, 0) if said is None else said.place, self.look[1], self.path.name

    def taken(self) -> OnItsWay:
        """Return what the file is called once it is taken."""
        said = parse(self.path.name)
        return OnItsWay(self.path.parent, str(uuid.uuid4()), LOWEST if said is None else said.priority, "taken")


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """A file of an inbox under its name of ours."""

    folder: Path
    guid: str
    priority: int
    step: Step
    """``taken``: surely not registered. ``ready``: its payload is on the disk, and it may be registered."""

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / f"{self.guid}.{self.priority}.{self.step}"

    @property
    def payload(self) -> str:
        """The name of its payload."""
        return f"{self.guid}{SUFFIX}"

    @property
    def ready(self) -> OnItsWay:
        """The same, one step further."""
        return OnItsWay(self.folder, self.guid, self.priority, "ready")

    @property
    def envelope(self) -> Envelope:
        """Whose event it is; a file does not say its source."""
        queue = Queue.PRIORITY if self.folder.name == PRIORITY_FOLDER else None
        return Envelope(NO_SOURCE, self.priority, queue)


@dataclass(frozen=True, slots=True)
class Odd:
    """What cannot be taken in, and why, for people."""

    path: Path
    why: str


Found: TypeAlias = Waiting | OnItsWay | Odd


def found_in(folder: Path) -> Iterator[Found]:
    """Yield what lies in one inbox; what begins with a dot or ends in ``.part`` is nobody's business yet."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as failure:
        yield Odd(folder, f"the folder cannot be read: {failure.strerror or failure}")
        return
    for name in names:
        if not name.startswith(".") and not name.lower().endswith(".part"):
            one = _found(folder / name)
            if one is not None:
                yield one


def look_at(path: Path) -> Look | None:
    """Return what a file looks like now; ``None`` where it is gone.

    Raises:
        OSError: it cannot be looked at.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _found(path: Path) -> Found | None:
    ours = _ON_ITS_WAY.fullmatch(path.name)
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    except OSError as failure:
        return Odd(path, f"it cannot be looked at: {failure.strerror or failure}")
    if stat.S_ISLNK(status.st_mode):
        return Odd(path, "it is a link, which may lead anywhere; put the file itself there")
    if not stat.S_ISREG(status.st_mode):
        return Odd(path, "it is a folder" if stat.S_ISDIR(status.st_mode) else "it is no file")
    if ours is not None:
        step: Step = "taken" if ours["step"] == "taken" else "ready"
        return OnItsWay(path.parent, ours["guid"], int(ours["priority"]), step)
    return Waiting(path, (status.st_size, status.st_mtime_ns, status.st_ino))
