"""The merge table as columns: what every reader hands to the core."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.guids import Guids

RowId: TypeAlias = int | str
Times: TypeAlias = npt.NDArray[np.datetime64]
"""dtype ``datetime64[us]``, UTC; NaT where the table has none."""

MAX_REJECTED = 1000
"""How many rejected rows are kept in full; all are counted."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that is no edge because one of its two values is not a guid."""

    row_id: RowId
    column: str
    """``old`` or ``new``."""
    value: str | None
    """The value as found, cut to 80 characters; ``None`` for NULL."""

    @property
    def blank(self) -> bool:
        """Whether the value is missing rather than malformed."""
        return self.value is None or not self.value.strip()


@dataclass(slots=True)
class Rejected:
    """Rows with a malformed or missing guid: exact counts, the first ones in full."""

    malformed: int = 0
    blank: int = 0
    rows: list[RejectedRow] = field(default_factory=list)

    def add(self, row: RejectedRow) -> None:
        """Count a row and keep it while there is room (room a kind, so that one kind cannot hide the other)."""
        seen = self.blank if row.blank else self.malformed
        if row.blank:
            self.blank += 1
        else:
            self.malformed += 1
        if seen < MAX_REJECTED:
            self.rows.append(row)

    def __len__(self) -> int:
        return self.malformed + self.blank


@dataclass(frozen=True, slots=True)
class MergeTable:
    """All rows that say "``old`` is now ``new``", in the order they were read.

    ``old`` and ``new`` are columns of ``n`` guids. ``row_ids`` is an ``int64`` array or a sequence of texts of length
    ``n``; ``None`` means that the table has no row id and rows are numbered from 1 as read. ``times`` is ``None`` where
    the profile names no time column. ``labels`` gives the original text of ids that are not guids.
    """

    old: Guids
    new: Guids
    row_ids: npt.NDArray[np.int64] | Sequence[str] | None = None
    times: Times | None = None
    merge_keys: Sequence[str | None] | None = None
    rejected: Rejected = field(default_factory=Rejected)
    labels: Mapping[uuid.UUID, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, column in (("row_ids", self.row_ids), ("times", self.times), ("merge_keys", self.merge_keys)):
            if column is not None and len(column) != len(self.old):
                raise ValueError(f"{name} has {len(column)} values for {len(self.old)} rows")
        if len(self.old) != len(self.new):
            raise ValueError(f"new has {len(self.new)} values for {len(self.old)} rows")

    def __len__(self) -> int:
        return len(self.old)

    def row_id(self, row: int) -> RowId:
        """Return the id of a row: an integer, a text, or its number from 1 where the table has no id."""
        if self.row_ids is None:
            return row + 1
        value = self.row_ids[row]
        return value if isinstance(value, str) else int(value)

    def time(self, row: int) -> dt.datetime | None:
        """Return the time of a row as an aware UTC datetime, or ``None``."""
        if self.times is None:
            return None
        value = self.times[row].astype("datetime64[us]").item()
        return None if value is None else value.replace(tzinfo=dt.UTC)

    @classmethod
    def from_pairs(
        cls,
        pairs: Sequence[tuple[uuid.UUID, uuid.UUID]],
        *,
        row_ids: Sequence[RowId] | None = None,
        times: Sequence[dt.datetime | None] | None = None,
    ) -> MergeTable:
        """Build a table from ``(old, new)`` pairs; for tests, examples and small inputs."""
        ids: npt.NDArray[np.int64] | Sequence[str] | None = None
        if row_ids is not None:
            numeric = all(isinstance(value, int) for value in row_ids)
            ids = np.array(row_ids, np.int64) if numeric else [str(value) for value in row_ids]
        stamps: Times | None = None
        if times is not None:
            naive = [value and value.astimezone(dt.UTC).replace(tzinfo=None) for value in times]
            stamps = np.array(naive, "datetime64[us]")
        return cls(
            guids.from_uuids([old for old, _ in pairs]), guids.from_uuids([new for _, new in pairs]), ids, stamps
        )
