"""What a database would do for us and a file does not: equality filters and value counts over batches."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np

from mergeguard.core import guids
from mergeguard.core.guids import Bools
from mergeguard.storage.cells.growing import GrowingColumn
from mergeguard.storage.cells.ids import good_rows
from mergeguard.storage.source import Batch, Cells, GuidCells, Kind


def filtered(batches: Iterator[Batch], columns: int, values: Sequence[str]) -> Iterator[Batch]:
    """Keep the rows whose texts behind the first ``columns`` columns equal ``values``, and drop those texts."""
    for batch in batches:
        good = np.ones(length(batch[0]), np.bool_)
        for texts, value in zip(batch[columns:], values, strict=True):
            good &= np.fromiter((text == value for text in cast("Sequence[str | None]", texts)), np.bool_, len(good))
        yield batch[:columns] if good.all() else tuple(kept(cells, good) for cells in batch[:columns])


def length(cells: Cells) -> int:
    """Return how many rows a batch's column has."""
    return len(cells.column if isinstance(cells, GuidCells) else cells)


def kept(cells: Cells, good: Bools) -> Cells:
    """Return the good rows of a column."""
    if isinstance(cells, GuidCells):
        place = np.cumsum(good) - 1
        return GuidCells(cells.column[good], {int(place[row]): value for row, value in cells.bad.items() if good[row]})
    if isinstance(cells, np.ndarray):
        return cells[good]
    return list(itertools.compress(cells, good.tolist()))


def counted(batches: Iterator[Batch], kinds: Sequence[Kind]) -> Iterator[Batch]:
    """Yield each distinct combination of the columns once, with its count behind."""
    return _counted_guids(batches) if list(kinds) == [Kind.GUID] else _counted_rows(batches, kinds)


def _counted_guids(batches: Iterator[Batch]) -> Iterator[Batch]:
    column: GrowingColumn[np.uint8] = GrowingColumn(np.uint8, 16)
    bad: Counter[str | None] = Counter()
    for (raw,) in batches:
        cells = cast("GuidCells", raw)
        column.append(cells.column, good_rows(cells))
        bad.update(cells.bad.values())
    if len(column):
        yield _distinct(column.finish())
    if bad:
        cells = GuidCells(np.zeros((len(bad), 16), np.uint8), dict(enumerate(bad)))
        yield cells, np.fromiter(bad.values(), np.int64, len(bad))


def _distinct(column: guids.Guids) -> Batch:
    ranked = column[guids.order(column)]
    words = guids.keys(ranked)
    starts = np.flatnonzero(np.concatenate(([True], (words[1:] != words[:-1]).any(axis=1))))
    return GuidCells(ranked[starts]), np.diff(starts, append=len(ranked)).astype(np.int64)


def _counted_rows(batches: Iterator[Batch], kinds: Sequence[Kind]) -> Iterator[Batch]:
    rows: Counter[tuple[object, ...]] = Counter()
    for batch in batches:
        rows.update(zip(*map(_hashable, batch), strict=True))
    if rows:
        columns = zip(*rows, strict=True)
        cells = [_rebuilt(kind, values) for kind, values in zip(kinds, columns, strict=True)]
        yield (*cells, np.fromiter(rows.values(), np.int64, len(rows)))


def _hashable(cells: Cells) -> Sequence[object]:
    """Return values of which equal ones mean the same: packed guids, bad texts, numbers, microseconds."""
    if isinstance(cells, GuidCells):
        packed = cells.column.tobytes()
        values: list[object] = [packed[at : at + 16] for at in range(0, len(packed), 16)]
        for row, value in cells.bad.items():
            values[row] = value
        return values
    if isinstance(cells, np.ndarray):
        # As integers, because NaT equals nothing, not even itself.
        return cast("list[object]", cells.view(np.int64).tolist())
    return cells


def _rebuilt(kind: Kind, values: Sequence[object]) -> Cells:
    if kind is Kind.GUID:
        packed = [value if isinstance(value, bytes) else bytes(16) for value in values]
        bad = {row: cast("str | None", value) for row, value in enumerate(values) if not isinstance(value, bytes)}
        return GuidCells(guids.from_bytes(b"".join(packed)), bad)
    if kind is Kind.TIME:
        return np.array(values, np.int64).view("datetime64[us]")
    if kind is Kind.TEXT:
        return cast("Sequence[str | None]", values)
    if kind is Kind.ROW_ID and not all(isinstance(value, int) for value in values):
        return [str(value) for value in values]
    return np.array(values, np.int64)
