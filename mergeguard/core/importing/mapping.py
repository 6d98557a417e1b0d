"""Rows whose guids are mapped: every foreign key is a current guid, and rows that became one are one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

from mergeguard.core.importing.blocks import Block, key_columns
from mergeguard.core.importing.cells import Cells


def mapped(block: Block, current: Callable[[uuid.UUID, int], uuid.UUID]) -> Block:
    """Return a block whose foreign keys are current guids.

    Rows whose key columns are the same now are one row: the one that was sent with current guids stays, else the first.
    Rows of a class without key columns, and events, all stay.

    Args:
        block: as sent.
        current: (guid, line) -> where it leads; it may raise.
    """
    at = [number for number, column in enumerate(block.data_class.columns) if column.resource]
    if not at:
        return block
    rows = [_mapped(row, at, line, current) for row, line in zip(block.rows, block.lines, strict=True)]
    kept = _kept(block, rows)
    return replace(
        block,
        rows=tuple(rows[number] for number in kept),
        lines=tuple(block.lines[number] for number in kept),
        given=tuple(block.given[number] for number in kept) if block.given else (),
    )


def _mapped(row: Cells, at: Sequence[int], line: int, current: Callable[[uuid.UUID, int], uuid.UUID]) -> Cells:
    cells = list(row)
    for number in at:
        cell = cells[number]
        if isinstance(cell, uuid.UUID):
            cells[number] = current(cell, line)
    return tuple(cells)


def _kept(block: Block, rows: Sequence[Cells]) -> list[int]:
    """Return which rows stay, by number."""
    keys = () if block.data_class.event else key_columns(block.data_class.columns)
    if not keys:
        return list(range(len(rows)))
    found: dict[Cells, int] = {}
    for number, row in enumerate(rows):
        key = tuple(row[each] for each in keys)
        before = found.setdefault(key, number)
        if before != number and row == block.rows[number] and rows[before] != block.rows[before]:
            found[key] = number
    return sorted(found.values())
