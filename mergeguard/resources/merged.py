"""What a merge did, or would do, with an exact account: as values, and as the JSON that answers a request id."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

WOULD_CIRCLE: Final = frozenset({"self-merge", "cycle", "in-cycle"})
"""Reasons of a refusal that mean: it would close a circle, or there is one already."""


@dataclass(frozen=True, slots=True)
class ColumnMoves:
    """What became of the rows that held the old root in one column."""

    rows: int = 0
    """Rows that held it; the four below add up to this."""
    changed: int = 0
    """Rows that hold the new root now."""
    dropped: int = 0
    """Links that would have linked the new root with itself."""
    collapsed: int = 0
    """Rows that would have said the same as another, or were older than the one datum that may stay."""
    outnumbered: int = 0
    """Links beyond the most that are allowed, the oldest."""
    replaced: int = 0
    """Rows of the new root itself that gave way to a newer one of the old root."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a merge would be refused."""

    reason: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """One merge. Of a preview nothing was written, and ``refused`` says whether it would be refused."""

    old: uuid.UUID
    new: uuid.UUID
    """As they were asked for."""
    old_root: uuid.UUID | None
    new_root: uuid.UUID | None
    """What they were before; a merge leads the one root to the other."""
    already: bool = False
    """Both were one before, so that nothing was to be done."""
    run_id: str | None = None
    """The journal's run, for an undo; ``None`` where nothing was written."""
    request_id: str | None = None
    repeated: bool = False
    """The request id was known: this is what it answered before."""
    row: Mapping[str, str | None] | None = None
    """The row of the merge table that was written, as the database holds it."""
    lookup_rows: int = 0
    """Rows of the stored lookup that were written: the class of the old root, and the old root."""
    live_rows: int = 0
    """Rows of the table of live guids that were taken out."""
    hashes_cleared: int = 0
    columns: Mapping[str, ColumnMoves] = field(default_factory=dict)
    """By ``table.column``; columns without a row of the old root are left out."""
    notes: tuple[str, ...] = ()
    """References that were left alone, and why."""
    preview: bool = False
    refused: Refusal | None = None
    guard: tuple[str, ...] = ()
    """What keeps the guard from its work, in words; empty where it stands. Looked at when the target is opened, and at
    each merge where the profile wants it."""

    @property
    def closes_loop(self) -> bool:
        """Whether it would close a circle, or meets one."""
        return self.refused is not None and self.refused.reason in WOULD_CIRCLE

    @property
    def rows_moved(self) -> int:
        """Rows of references that hold the new root now."""
        return sum(column.changed for column in self.columns.values())


def answer_of(merged: Merged) -> str:
    """Return a merge as JSON of ASCII letters, for the table of requests."""
    document = asdict(merged) | {"refused": None}
    del document["guard"]  # how it stands is told anew each time
    return json.dumps(document, default=str, ensure_ascii=True)


def merged_of(answer: str) -> Merged:
    """Read what ``answer_of`` wrote, as the answer to a request that is asked again."""
    document: dict[str, Any] = json.loads(answer)
    for name in ("old", "new", "old_root", "new_root"):
        document[name] = None if document[name] is None else uuid.UUID(document[name])
    document["columns"] = {name: ColumnMoves(**counts) for name, counts in document["columns"].items()}
    document["notes"] = tuple(document["notes"])
    return replace(Merged(**document), repeated=True)
