"""The rows of a merge table while it is being read: good ones as growing columns, bad ones counted and named."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from mergeguard.core.guids import Bools
from mergeguard.core.table import MergeTable, Rejected, RejectedRow, RowId, Times
from mergeguard.storage.cells.growing import GrowingColumn
from mergeguard.storage.cells.ids import CUT, Deleted, id_reader
from mergeguard.storage.profile import Merge
from mergeguard.storage.source import Batch, GuidCells

RowIds: TypeAlias = npt.NDArray[np.int64] | Sequence[str]
_MAX_INTERNED = 100_000


class MergeRows:
    """The rows read so far.

    Args:
        merge: the profile's part on the merge table; batches hold its columns in the order old, new, row id, time,
            merge key, those that it does not name left out.
        numbered: batches hold no row id, so rows count from 1 as read.
    """

    def __init__(self, merge: Merge, *, numbered: bool) -> None:
        self._ids = id_reader(merge)
        self._deleted = Deleted(merge.deleted_values)
        self._numbered = numbered
        self._old: GrowingColumn[np.uint8] = GrowingColumn(np.uint8, 16)
        self._new: GrowingColumn[np.uint8] = GrowingColumn(np.uint8, 16)
        self._row_ids = None if numbered else RowIdColumn()
        self._times: GrowingColumn[np.datetime64] | None = GrowingColumn("datetime64[us]") if merge.time else None
        self._merge_keys: list[str | None] | None = [] if merge.merge_key else None
        self._interned: dict[str | None, str | None] = {}
        self._rejected = Rejected()
        self._gaps: GrowingColumn[np.int64] = GrowingColumn(np.int64)
        self._seen = 0

    @property
    def columns(self) -> tuple[GrowingColumn[Any], ...]:
        """The columns in which to make room."""
        times = () if self._times is None else (self._times,)
        return self._old, self._new, *times

    def add(self, batch: Batch) -> None:
        """Add a batch."""
        cells = iter(batch)
        old, new = self._ids.cells(next(cells)), self._ids.cells(next(cells), self._deleted)
        row_ids = None if self._row_ids is None else cast("RowIds", next(cells))
        good = self._reject(old, new, row_ids)
        self._old.append(old.column, good)
        self._new.append(new.column, good)
        if self._row_ids is not None and row_ids is not None:
            self._row_ids.append(row_ids, good)
        if self._times is not None:
            self._times.append(cast("Times", next(cells)), good)
        if self._merge_keys is not None:
            self._merge_keys += map(self._intern, _kept(cast("Sequence[str | None]", next(cells)), good))
        self._seen += len(old.column)

    def table(self) -> MergeTable:
        """Return all rows; the object is empty afterwards."""
        if self._row_ids is not None and self._row_ids.texts:
            # An early batch may have had numbers only; a column has one type.
            self._rejected.rows = [replace(row, row_id=str(row.row_id)) for row in self._rejected.rows]
        return MergeTable(
            self._old.finish(),
            self._new.finish(),
            self._numbers() if self._row_ids is None else self._row_ids.finish(),
            None if self._times is None else self._times.finish(),
            self._merge_keys,
            self._rejected,
            self._ids.labels,
        )

    def _reject(self, old: GuidCells, new: GuidCells, row_ids: RowIds | None) -> Bools | None:
        """Note the bad rows of a batch; return which rows are good, ``None`` for all."""
        if not old.bad and not new.bad:
            return None
        places = sorted({*old.bad, *new.bad})
        for place in places:
            column, bad = ("old", old.bad) if place in old.bad else ("new", new.bad)
            value = bad[place]
            self._rejected.add(RejectedRow(self._name(place, row_ids), column, value and value[:CUT]))
        if self._numbered:
            self._gaps.append(np.array(places, np.int64) + self._seen)
        good = np.ones(len(old.column), np.bool_)
        good[places] = False
        return good

    def _name(self, place: int, row_ids: RowIds | None) -> RowId:
        if row_ids is None:
            return self._seen + place + 1
        value = row_ids[place]
        return value if isinstance(value, str) else int(value)

    def _numbers(self) -> npt.NDArray[np.int64] | None:
        """Return the numbers of the rows as read, or ``None`` where they count from 1 without a gap."""
        if not len(self._gaps):
            return None
        return np.delete(np.arange(1, self._seen + 1, dtype=np.int64), self._gaps.finish())

    def _intern(self, key: str | None) -> str | None:
        """Share equal merge keys; few distinct ones name many rows. Bounded, because they need not be few."""
        if len(self._interned) < _MAX_INTERNED:
            return self._interned.setdefault(key, key)
        return self._interned.get(key, key)


class RowIdColumn:
    """Row ids: integers while all of them are, else texts."""

    def __init__(self) -> None:
        self._integers: GrowingColumn[np.int64] = GrowingColumn(np.int64)
        self._texts: list[str] | None = None

    @property
    def texts(self) -> bool:
        """Whether a row id that is no integer has been met."""
        return self._texts is not None

    def append(self, values: RowIds, good: Bools | None) -> None:
        """Add the row ids of a batch's good rows."""
        if self._texts is None and isinstance(values, np.ndarray):
            self._integers.append(values, good)
            return
        if self._texts is None:
            self._texts = [str(number) for number in self._integers.finish().tolist()]
        texts = values.tolist() if isinstance(values, np.ndarray) else values
        self._texts += map(str, _kept(texts, good))

    def finish(self) -> RowIds:
        """Return the whole column."""
        return self._integers.finish() if self._texts is None else self._texts


def _kept(values: Sequence[Any], good: Bools | None) -> Sequence[Any]:
    return values if good is None else list(itertools.compress(values, good.tolist()))
