"""Holds rows of the merge table as they stand against rows as they were seen, and says in words what is different."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import eq, itemgetter
from typing import TypeAlias

from mergeguard.core.repair.plan import Image
from mergeguard.integrity.merges_now import MergesNow

RowKey: TypeAlias = tuple[tuple[str, str | None], ...]
"""The cells of a row by the names of their columns, in the order of the names."""
MAX_TOLD = 20
"""Rows that differ are named up to this many; all are counted."""


def key_of(image: Image) -> RowKey:
    """Return what two equal images have in common."""
    return tuple(sorted(image.items(), key=itemgetter(0)))


def same(one: Sequence[Image], other: Sequence[Image]) -> bool:
    """Say whether two collections hold the same rows, each as often."""
    return _alike(one, other) or Counter(map(key_of, one)) == Counter(map(key_of, other))


def differences(merges: MergesNow, expected: Sequence[Image], found: Sequence[Image], *, since: str) -> tuple[str, ...]:
    """Compare rows as multisets; return in words which are gone and which are newer.

    Args:
        merges: tells which guids a row is about.
        expected: the rows as they were seen.
        found: the rows as they are.
        since: when they were seen, e.g. ``the plan``.
    """
    if _alike(expected, found):
        return ()
    before, after = Counter(map(key_of, expected)), Counter(map(key_of, found))
    gone, new = before - after, after - before
    if not gone and not new:
        return ()
    images = {key_of(image): image for image in (*expected, *found)}
    lines = [f"{_row(merges, images[key])}: as it was for {since}, it is not there any more" for key in gone.elements()]
    lines += [f"{_row(merges, images[key])}: newer than {since}" for key in new.elements()]
    return cut(lines)


def _alike(one: Sequence[Image], other: Sequence[Image]) -> bool:
    """Say whether two collections are the same row by row, as they nearly always are; it costs little to ask."""
    return len(one) == len(other) and all(map(eq, one, other))


def cut(lines: Sequence[str]) -> tuple[str, ...]:
    """Keep the first lines, and say how many more there are."""
    more = len(lines) - MAX_TOLD
    return (*lines[:MAX_TOLD], *([f"and {more:,} more"] if more > 0 else []))


def by_old(merges: MergesNow, images: Iterable[Image]) -> Mapping[uuid.UUID | None, list[Image]]:
    """Sort rows of the merge table by their old."""
    found: dict[uuid.UUID | None, list[Image]] = {}
    for image in images:
        found.setdefault(merges.read(image).old, []).append(image)
    return found


def _row(merges: MergesNow, image: Image) -> str:
    """Name a row by all that a person needs to find it."""
    row, table = merges.read(image), merges.rows.table(merges.table)
    cells = ", ".join(f"{name} {table.spoken(cell)}" for name, cell in image.items())
    return f"{merges.table}, {row.old} -> {row.new} ({cells})" if row.new else f"{merges.table} ({cells})"
