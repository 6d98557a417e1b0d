"""Find guids in a column: an open-addressing hash table built and asked with NumPy, a chunk at a time.

Joining news to olds is most of a scan's cost. The table holds row numbers only; a match is verified on all 128 bits.
Chunks keep the temporaries in the processor's cache, so that what is paid is one or two random reads a guid.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.guids import Bools, Guids

Rows: TypeAlias = npt.NDArray[np.int32]
Places: TypeAlias = npt.NDArray[np.int64]

MAX_ROWS = 2**31 - 1
MAX_PROBES = 64
"""Steps along the table after which guids are taken for hostile: chosen so that their hashes collide."""
_CHUNK = 1 << 16
_MIX_1, _MIX_2, _MIX_3 = (np.uint64(word) for word in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93))
_HALF = np.uint64(32)


class _Hostile(Exception):
    """Too many guids share a slot."""


def mix(column: Guids) -> npt.NDArray[np.uint64]:
    """Hash each guid of a column to 64 well-mixed bits."""
    words = guids.keys(column)
    value = words[:, 0] * _MIX_1
    value += words[:, 1] * _MIX_2
    value ^= value >> _HALF
    value *= _MIX_3
    value ^= value >> _HALF
    return value


class GuidIndex:
    """Row numbers for the guids of a column, which must not change afterwards.

    ``lead[r]`` is the first row that holds the same guid as row ``r``.

    Raises:
        ValueError: more than 2**31 - 1 rows.
    """

    def __init__(self, column: Guids) -> None:
        if len(column) > MAX_ROWS:
            raise ValueError(f"{len(column)} rows: at most {MAX_ROWS} fit")
        self._column = np.ascontiguousarray(column)
        self._wide = _wide(self._column)
        self.lead: Rows = np.arange(len(column), dtype=np.int32)
        self._sorted: Rows | None = None
        self._shift = np.uint64(64 - max(4, (2 * len(column)).bit_length()))
        self._table: Rows = np.full(1 << (64 - int(self._shift)), -1, np.int32)
        try:
            self._fill()
        except _Hostile:
            self._sort()

    def find(self, wanted: Guids) -> Rows:
        """Return for each wanted guid the first row that holds it, or -1."""
        wanted = np.ascontiguousarray(wanted)
        found = np.full(len(wanted), -1, np.int32)
        for at in range(0, len(wanted), _CHUNK):
            part = wanted[at : at + _CHUNK]
            found[at : at + _CHUNK] = self._search(part) if self._sorted is not None else self._probe(part)
        return found

    def __contains__(self, wanted: Guids) -> bool:
        return bool((self.find(wanted) >= 0).all())

    def _fill(self) -> None:
        """Let every row write itself to its slot, the first row last, so that it stays; then seat the others."""
        rows = len(self._column)
        starts = range(0, rows, _CHUNK)
        for at in reversed(starts):
            part = self._column[at : at + _CHUNK]
            self._table[self._slots(part)[::-1]] = np.arange(at + len(part) - 1, at - 1, -1, dtype=np.int32)
        for at in starts:
            part = self._column[at : at + _CHUNK]
            slots = self._slots(part)
            holder = self._table.take(slots)
            other = np.flatnonzero(holder != np.arange(at, at + len(part), dtype=np.int32))
            self._seat(other + at, slots[other], holder[other])

    def _seat(self, rows: Places, slots: Places, holder: Rows) -> None:
        """Move rows that found their slot taken along the table, until each has a slot or meets its own guid."""
        for _ in range(MAX_PROBES):
            if not len(rows):
                return
            same = _same(self._wide[rows], self._wide[holder.astype(np.intp)])
            self.lead[rows[same]] = holder[same]
            rows, slots = rows[~same], self._next(slots[~same])
            free = np.flatnonzero(self._table.take(slots) < 0)
            # Written backwards, so that of several rows the first stays.
            self._table[slots[free][::-1]] = rows[free][::-1]
            holder = self._table.take(slots)
            other = holder != rows
            rows, slots, holder = rows[other], slots[other], holder[other]
        if len(rows):
            raise _Hostile

    def _slots(self, column: Guids) -> Places:
        return (mix(column) >> self._shift).view(np.int64)

    def _probe(self, wanted: Guids) -> Rows:
        found = np.full(len(wanted), -1, np.int32)
        wide = _wide(wanted)
        slots = self._slots(wanted)
        holder = self._table.take(slots)
        open_ = np.flatnonzero(holder >= 0)
        holder, slots = holder[open_], slots[open_]
        while len(open_):
            same = _same(wide[open_], self._wide[holder.astype(np.intp)])
            hit = np.flatnonzero(same)
            found[open_[hit]] = holder[hit]
            missed = np.flatnonzero(~same)
            open_, slots = open_[missed], self._next(slots[missed])
            holder = self._table.take(slots)
            taken = np.flatnonzero(holder >= 0)
            open_, slots, holder = open_[taken], slots[taken], holder[taken]
        return found

    def _next(self, slots: Places) -> Places:
        return (slots + 1) & (len(self._table) - 1)

    def _sort(self) -> None:
        """Give the table up for a sorted column: slower, but no choice of guids can hurt it."""
        self._table = np.empty(0, np.int32)
        words = guids.keys(self._column)
        ranked = np.lexsort((np.arange(len(words)), words[:, 1], words[:, 0])).astype(np.int32)
        first = np.ones(len(ranked), np.bool_)
        first[1:] = (words[ranked[1:]] != words[ranked[:-1]]).any(axis=1)
        self.lead[ranked] = ranked[np.flatnonzero(first)[np.cumsum(first) - 1]]
        self._sorted = ranked[first]

    def _search(self, wanted: Guids) -> Rows:
        """Find guids by binary search over the distinct guids of the column."""
        assert self._sorted is not None  # noqa: S101 - for the type checker; ``find`` asked
        sorted_keys = guids.keys(self._column)[self._sorted].view("u8,u8").reshape(-1)
        keys = guids.keys(wanted).view("u8,u8").reshape(-1)
        place = np.minimum(np.searchsorted(sorted_keys, keys), len(self._sorted) - 1)
        found: Rows = np.where(sorted_keys[place] == keys, self._sorted[place], -1).astype(np.int32)
        return found


def _wide(column: Guids) -> npt.NDArray[np.complex128]:
    """View a column as 16-byte scalars, which NumPy gathers fastest. They are never computed with."""
    return column.view(np.complex128).reshape(-1)


def _same(one: npt.NDArray[np.complex128], other: npt.NDArray[np.complex128]) -> Bools:
    """Compare gathered guids bit by bit, two words each."""
    left, right = one.view(np.uint64), other.view(np.uint64)
    same: Bools = (left[0::2] == right[0::2]) & (left[1::2] == right[1::2])
    return same
