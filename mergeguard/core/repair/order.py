"""Which row is the newest: by a declared integer row id and a declared time, never by the place of a row in the file.

Times count only where they lie further apart than the clocks of two servers may; a row without a time makes the times
say nothing, because it may be the newest. Where ids and times name different rows, neither counts.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from mergeguard.core.repair.component import DamagedRow
from mergeguard.core.repair.evidence import Policy, ReadFrom

Groups: TypeAlias = Mapping[uuid.UUID, Sequence[DamagedRow]]


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest row and the group it belongs to; ``row`` is ``None`` for a tie or where nothing orders the rows."""

    key: uuid.UUID | None = None
    row: DamagedRow | None = None
    read_from: str = ""
    disagree: str = ""
    """Set where ids and times name different groups: what each says."""


@dataclass(frozen=True, slots=True)
class RowOrder:
    """What the profile declares about the order of rows."""

    row_id: str | None
    time: str | None
    skew: dt.timedelta

    @classmethod
    def declared(cls, read_from: ReadFrom, policy: Policy) -> RowOrder:
        """Take the columns that count as an order."""
        return cls(read_from.row_id, read_from.time, policy.clock_skew)

    def newest(self, groups: Groups) -> Newest:
        """Find the group that holds the newest row; of one group there is nothing to find out.

        Several rows of one group may tie: they say the same.
        """
        by_id = self._top(groups, _id, 0) if self.row_id else None
        by_time = self._top(groups, _time, self.skew.total_seconds()) if self.time else None
        if by_id and by_time and by_id[0] != by_time[0]:
            words = f"{self.row_id} says row {by_id[1].ref.row_id} is the newest, {self.time} says row"
            return Newest(disagree=f"{words} {by_time[1].ref.row_id}")
        found = by_id or by_time
        if not found:
            return Newest()
        sources = [name for name, top in ((self.row_id, by_id), (self.time, by_time)) if top and name]
        return Newest(found[0], found[1], ", ".join(sources))

    def oldest(self, rows: Sequence[DamagedRow]) -> DamagedRow:
        """Pick the oldest of rows that say the same.

        They are interchangeable, so there is always an answer: by declared id, then declared time, then the text of
        the row id; a row without a time counts as younger than one with.
        """
        return rows[0] if len(rows) == 1 else min(rows, key=self._age)  # mostly there is one

    def rank(self, rows: Sequence[DamagedRow]) -> tuple[Any, ...]:
        """Give a key that sorts the group with the newest row first; for choices that no evidence makes."""
        newest = max((self._age(row)[:2] for row in rows), default=(0.0, 0.0))
        return tuple(-part for part in newest)

    def _age(self, row: DamagedRow) -> tuple[Any, ...]:
        number, stamp = _id(row), _time(row)
        return (
            number if self.row_id and number is not None else 0,
            stamp if self.time and stamp is not None else float("inf") if self.time else 0.0,
            str(row.ref.row_id),
            str(row.ref.time),
            row.number,
        )

    @staticmethod
    def _top(
        groups: Groups, stamp: Callable[[DamagedRow], float | None], gap: float
    ) -> tuple[uuid.UUID, DamagedRow] | None:
        """Return the group whose newest row is newer than every other group's by more than ``gap``."""
        tops: list[tuple[float, uuid.UUID, DamagedRow]] = []
        for key, rows in groups.items():
            stamped = [(value, row) for row in rows if (value := stamp(row)) is not None]
            if len(stamped) < len(rows) or not rows:
                return None
            best = max(value for value, _ in stamped)
            tops.append((best, key, min((row for value, row in stamped if value == best), key=_name)))
        tops.sort(key=lambda top: -top[0])
        if not tops or (len(tops) > 1 and tops[0][0] - tops[1][0] <= gap):
            return None
        return tops[0][1], tops[0][2]


def _id(row: DamagedRow) -> int | None:
    return row.ref.row_id if isinstance(row.ref.row_id, int) else None


def _time(row: DamagedRow) -> float | None:
    return None if row.ref.time is None else row.ref.time.timestamp()


def _name(row: DamagedRow) -> str:
    return str(row.ref.row_id)
