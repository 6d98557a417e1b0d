"""What a scan says: findings are values, never exceptions, and look the same to every renderer."""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mergeguard.core.table import RowId

SCHEMA_VERSION = 1
"""Version of the JSON form of a report; raised when a field changes its meaning or goes."""
MAX_FINDINGS = 1000
MAX_WITNESS = 50
MAX_PICTURE = 200


class Severity(enum.Enum):
    """How bad a finding is; comparable, ``error`` being the highest."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for error."""
        return ("info", "warning", "error").index(self.value)


@dataclass(frozen=True, slots=True)
class RowRef:
    """One row of the merge table as a finding names it."""

    row_id: RowId
    old: uuid.UUID
    new: uuid.UUID
    time: dt.datetime | None = None


class Role(enum.Enum):
    """What a node is in a picture."""

    CYCLE = "cycle"
    TREE = "tree"
    """Merged away and leading somewhere."""
    CURRENT = "current"
    """A terminal: nothing leads on from it."""
    SPLIT = "split"
    DEAD = "dead"
    """A terminal that is known not to be live."""
    DELETED = "deleted"
    """The tombstone: what the profile calls deleted."""


@dataclass(frozen=True, slots=True)
class PictureNode:
    """A guid in a picture, with what to print beside it."""

    guid: uuid.UUID
    label: str
    role: Role
    focus: bool = False
    """The guid the user asked about."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A small directed graph to draw: at most ``MAX_PICTURE`` nodes, ``omitted`` more were left out."""

    nodes: tuple[PictureNode, ...]
    edges: tuple[tuple[uuid.UUID, uuid.UUID], ...]
    omitted: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect.

    ``path`` is the witness, the guids of a walk in order; a closed walk repeats its first guid at the end. ``guids``
    and ``references`` are the blast radius: how many guids, and how many rows of the declared reference columns, stand
    behind the defect (``references`` is ``None`` where no reference column is declared). ``fingerprint`` is the same
    each night for the same defect, whatever the row order.
    """

    rule: str
    severity: Severity
    message: str
    fingerprint: str
    subject: uuid.UUID | None = None
    path: tuple[uuid.UUID, ...] = ()
    rows: tuple[RowRef, ...] = ()
    guids: int = 0
    references: int | None = None
    fix: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Rule-specific JSON values (strings, numbers, lists, mappings), e.g. a histogram."""
    picture: Picture | None = None


def fingerprint(rule: str, *identity: uuid.UUID | str) -> str:
    """Return 16 hex digits that name a defect: a hash of the rule and of what the defect *is*, in the order given."""
    text = "\n".join((rule, *map(str, identity)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rule found: an exact count, the first ``MAX_FINDINGS`` findings in full, or why it did not check."""

    rule: str
    name: str
    severity: Severity
    count: int = 0
    findings: tuple[Finding, ...] = ()
    not_checked: str | None = None
    """The reason, e.g. "the profile declares no liveness"; ``None`` where the rule ran."""
    suppressed: int = 0
    """Findings accepted by a baseline; not in ``count``."""
    accepted: tuple[str, ...] = ()
    """Fingerprints of the suppressed findings that were held in full: they are still there, so never *fixed*."""


@dataclass(frozen=True, slots=True)
class ScanReport:
    """The whole answer of a scan, as every renderer and the history get it."""

    run_id: str
    tool_version: str
    target: str
    """With any password masked."""
    profile: str
    started: dt.datetime
    finished: dt.datetime
    rows: int
    guids: int
    """Distinct olds."""
    isolation: str
    """The consistency the read got, in words."""
    complete: bool
    outcomes: tuple[Outcome, ...]
    statuses: Mapping[str, int] = field(default_factory=dict)
    """Olds by status of the lookup: ok, cycle, split, dangling, deleted."""
    depths: Sequence[int] = ()
    """``depths[d]``: how many olds lie ``d`` merges from their current; the last bin holds all deeper ones."""
    max_depth: int = 0
    notes: tuple[str, ...] = ()
    labels: Mapping[uuid.UUID, str] = field(default_factory=dict)
    """Original texts of ids that are not guids, for the guids that stand in the findings."""
    schema_version: int = SCHEMA_VERSION

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings held in full, worst severity first, then in rule order."""
        ranked = sorted(self.outcomes, key=lambda outcome: (-outcome.severity.rank, outcome.rule))
        return tuple(finding for outcome in ranked for finding in outcome.findings)

    def count(self, at_least: Severity = Severity.INFO) -> int:
        """Return the exact number of findings at or above a severity, those not held in full included."""
        return sum(outcome.count for outcome in self.outcomes if outcome.severity.rank >= at_least.rank)

    def label(self, guid: uuid.UUID) -> str:
        """Return what people call a guid: its original text, or the guid."""
        return self.labels.get(guid, str(guid))


@dataclass(frozen=True, slots=True)
class Explanation:
    """The story of one guid."""

    guid: uuid.UUID
    label: str
    status: str
    current: uuid.UUID | None
    depth: int | None
    story: tuple[str, ...]
    """Sentences for a person, in order."""
    path: tuple[uuid.UUID, ...]
    rows: tuple[RowRef, ...]
    picture: Picture
    labels: Mapping[uuid.UUID, str] = field(default_factory=dict)
    target: str = ""
