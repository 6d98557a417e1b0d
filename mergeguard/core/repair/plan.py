"""A plan: reviewed before it is applied, and reversible because every change carries what was there before."""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from mergeguard.core.repair.evidence import Confidence

PLAN_VERSION = 1
"""Version of the JSON form of a plan; a newer one is refused."""

Image: TypeAlias = Mapping[str, str | None]
"""A whole row, exactly: column -> the value as text that the same database turns back into the same bytes; ``None`` is
NULL. Columns that the server makes by itself (rowversion, computed ones) are left out and named in ``TableShape``."""


class Action(enum.Enum):
    """What a change does to a row."""

    RETIRE = "retire"
    """Takes a merge row out of the table; the journal keeps it."""
    REPOINT = "re-point"
    """Writes the current guid into a reference column."""
    DROP_SELF = "drop self-reference"
    """Deletes an association that would link a guid with itself."""
    COLLAPSE = "collapse duplicate"
    """Deletes a row that would say the same as another."""
    CLEAR_HASH = "clear hash"
    """Clears a data hash so that the data is loaded again."""
    KEEP = "keep"
    """Changes nothing: the row must stand as it was seen, because another one is collapsed into it."""
    RESTORE = "restore"
    """Puts a row back: an undo."""
    MERGE = "merge"
    """Puts a row into the merge table; in no plan."""
    REMOVE = "remove"
    """Takes the row of a merged-away guid out of the table of live guids; in no plan."""
    BLACKLIST = "black-list"
    """Puts a merged-away agent on the black list; in no plan."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row that changes: from ``before`` to ``after``. ``None`` stands for a row that is not there."""

    action: Action
    table: str
    """As the profile names it."""
    before: Image | None
    after: Image | None

    def reversed(self) -> RowChange:
        """Return the change that takes this one back."""
        return RowChange(Action.RESTORE, self.table, self.after, self.before)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table that a plan touches."""

    name: str
    type: str
    """As the database spells it, e.g. ``datetime2(7)``."""
    generated: bool = False
    """The server makes its value and nobody can write it: rowversion, computed columns. Not in any image."""
    identity: bool = False


@dataclass(frozen=True, slots=True)
class TableShape:
    """The columns of a table as they were when the plan was made; a table that changed since makes the plan stale."""

    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    """Columns that name a row (a primary key, a NOT NULL unique key, SQLite's row id); empty where none do."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is applied in one transaction: all of it or nothing."""

    component: str
    """The component's id; for references ``references:`` and a number."""
    kinds: tuple[str, ...]
    members: tuple[uuid.UUID, ...]
    """The olds whose rows must still be what ``guard`` says."""
    survivor: uuid.UUID | None
    confidence: Confidence
    why: str
    changes: tuple[RowChange, ...]
    guard: tuple[Image, ...] = ()
    """Images of all rows of the members in the merge table before the step, those that stay too."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """Votes and candidates as JSON values, for people and for the journal."""
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """A hash of all rows that the step touches or relies on, as they must be before it."""
        return images_hash([*self.guard, *(change.before for change in self.changes if change.before is not None)])

    @property
    def guard_after(self) -> tuple[Image, ...]:
        """The members' rows of the merge table as the step leaves them."""
        gone = [dict(change.before) for change in self.changes if change.action is Action.RETIRE and change.before]
        left = []
        for image in self.guard:
            if dict(image) in gone:
                gone.remove(dict(image))
            else:
                left.append(image)
        return tuple(left)


LEADS_INTO: Final = "it leads into component "
"""How the reason begins of a component that is refused because of another one."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A component that the evidence does not decide."""

    component: str
    kinds: tuple[str, ...]
    members: tuple[uuid.UUID, ...]
    reason: str
    override_line: str
    """The exact line for an override file; the survivor is the first candidate and is to be checked."""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def waits_for(self) -> str | None:
        """The refused component that it leads into; with that one decided, the evidence may decide this one."""
        _, leads, rest = self.reason.partition(LEADS_INTO)
        return rest.partition(",")[0] if leads else None


@dataclass(frozen=True, slots=True)
class TargetIdentity:
    """Which database a plan was made for."""

    url: str
    """Without a password, but complete enough to connect: host, port, database, user, driver options."""
    kind: str
    """sqlite, postgresql, mssql."""
    server: str
    database: str
    """What ``apply`` asks a person to type."""
    fingerprint: str
    """A hash of what tells this database from a copy of it elsewhere."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything ``apply`` needs, and everything a person wants to see before it."""

    plan_id: str
    created: dt.datetime
    expires: dt.datetime
    tool_version: str
    target: TargetIdentity
    profile: Mapping[str, Any]
    """The profile as JSON values (``storage.profile_file``), so that a plan is complete in itself."""
    tables: tuple[TableShape, ...]
    steps: tuple[Step, ...]
    """In the order in which they are applied."""
    refused: tuple[Refused, ...] = ()
    left_alone: tuple[Mapping[str, Any], ...] = ()
    """``rule``, ``count``, ``why``: findings that no repair touches."""
    notes: tuple[str, ...] = ()
    version: int = PLAN_VERSION

    @property
    def confidence(self) -> Confidence | None:
        """The least sure of its steps; ``None`` where it has none."""
        return min((step.confidence for step in self.steps), key=lambda one: one.rank, default=None)


def images_hash(images: Iterable[Image]) -> str:
    """Return the SHA-256, in hex, of some rows whatever their order."""
    rows = sorted(json.dumps(dict(image), sort_keys=True, ensure_ascii=True) for image in images)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
