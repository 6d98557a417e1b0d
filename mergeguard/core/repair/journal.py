"""What the journal remembers: runs, and the steps they applied, with everything that takes them back."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mergeguard.core.repair.plan import Image, RowChange

RunKind = Literal["apply", "undo", "unmerge", "merge"]


@dataclass(frozen=True, slots=True)
class Run:
    """One apply, undo, unmerge or merge. One that was killed has no ``finished``; applying its plan again goes on."""

    run_id: str
    """32 hex digits. That of an apply is its plan's id, so that a second apply of a plan finds the first."""
    kind: RunKind
    who: str
    """The account at the operating system, and at the database where that differs."""
    tool_version: str
    started: dt.datetime
    """By the database's clock, aware, UTC."""
    finished: dt.datetime | None = None
    undoes: str | None = None
    """The run that this one takes back, in whole or in part."""
    reason: str = ""
    steps: int = 0
    """How many steps it journalled."""
    undone: int = 0
    """How many of them were taken back since."""


@dataclass(frozen=True, slots=True)
class JournalStep:
    """One step as it was committed, in the same transaction as its changes."""

    run_id: str
    number: int
    """Its place in the run, from 1."""
    component: str
    kinds: tuple[str, ...]
    members: tuple[uuid.UUID, ...]
    survivor: uuid.UUID | None
    confidence: str
    why: str
    changes: tuple[RowChange, ...]
    guard_after: tuple[Image, ...]
    """All rows of the members in the merge table as the step left them: an undo refuses where they differ."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    at: dt.datetime | None = None
    """By the database's clock, aware, UTC; ``None`` before it is written."""
    undone_by: str | None = None
    """The run that took it back."""
