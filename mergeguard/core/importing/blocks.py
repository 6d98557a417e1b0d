"""The rows that a message gives for one resource in one data class, read into values and checked."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mergeguard.core.importing.catalogue import Catalogue, DataClass, DataColumn
from mergeguard.core.importing.cells import Cells, Misfit, Reader, Value, partial_reader, reader_of
from mergeguard.core.importing.hashing import data_hash
from mergeguard.core.nse.message import ClassData, Row, Target
from mergeguard.errors import MalformedEvent

Meant: TypeAlias = int | uuid.UUID
"""A resource of the message by its number, or a guid that no resource of the message was sent with."""


@dataclass(frozen=True, slots=True)
class Block:
    """All rows of one resource in one data class, read."""

    data_class: DataClass
    rows: tuple[Cells, ...]
    lines: tuple[int, ...]
    """Of the rows."""
    given: tuple[frozenset[str], ...] = ()
    """Of each row of a partial update: the columns that it gives."""


@dataclass(frozen=True, slots=True)
class SentBlock:
    """All rows of one resource in one data class, as sent: what is unchanged need not be read."""

    data_class: DataClass
    meant: Meant
    sent: tuple[Row, ...]
    place: str
    foreign: frozenset[uuid.UUID]
    """The resources that its rows refer to."""
    partial: bool = False
    hash: str | None = None
    """``None`` for partial updates and events, which are compared with nothing."""

    def read(self) -> Block:
        """Read the cells.

        Raises:
            MalformedEvent: something does not fit; the text names the line and the element.
        """
        data_class, lines = self.data_class, tuple(row.line for row in self.sent)
        readers = _readers(data_class, partial=self.partial)
        rows = tuple([_cells(data_class, row, readers) for row in self.sent])
        if not data_class.event:
            _require_keys(data_class, rows, lines)
        given = tuple(_given(data_class, row) for row in self.sent) if self.partial else ()
        return Block(data_class, rows, lines, given)


def blocks_of(
    data: Iterable[ClassData], catalogue: Catalogue, find: Callable[[Target, str], Meant]
) -> tuple[SentBlock, ...]:
    """Bring together what belongs together, and check it.

    Args:
        data: whose classes are in the catalogue.
        catalogue: of the classes.
        find: tells which resource is meant, or raises.

    Raises:
        MalformedEvent: something does not fit; the text names the line and the element.
    """
    together: dict[tuple[uuid.UUID, Meant], list[ClassData]] = {}
    for each in data:
        meant = find(each.resource, f"line {each.line}, <resource>: what its rows are for")
        together.setdefault((each.data_class, meant), []).append(each)
    return tuple(_block(catalogue.classes[guid], meant, parts) for (guid, meant), parts in together.items())


def _block(data_class: DataClass, meant: Meant, parts: Sequence[ClassData]) -> SentBlock:
    place = f"line {parts[0].line}, <resource>"
    partial = parts[0].partial
    if any(each.partial is not partial for each in parts):
        raise MalformedEvent(
            f"{place}: a part of its rows in {data_class.name} is a partial update, and another is not"
        )
    rows = tuple(row for each in parts for row in each.rows)
    _require_number(data_class, rows, place, partial=partial)
    hash_ = None if partial or data_class.event else data_hash(data_class, [row.cells for row in rows])
    return SentBlock(data_class, meant, rows, place, _foreign(data_class, rows), partial, hash_)


def _foreign(data_class: DataClass, rows: Sequence[Row]) -> frozenset[uuid.UUID]:
    """Return the resources that rows refer to; everything else in them may stay unread."""
    found: set[uuid.UUID] = set()
    for number, column in enumerate(data_class.columns):
        if column.resource:
            read = partial_reader(reader_of(column))
            for row in rows:
                text = row.cells[number] if number < len(row.cells) else None
                value = _cell(data_class, row, number, read, text)
                if isinstance(value, uuid.UUID):
                    found.add(value)
    return frozenset(found)


def _cell(data_class: DataClass, row: Row, number: int, read: Reader, text: str | None) -> Value:
    try:
        return read(text)
    except Misfit as misfit:
        raise MalformedEvent(f"line {row.line}, <row>: c{number} of {data_class.name}: {misfit}") from None


def _require_number(data_class: DataClass, rows: Sequence[Row], place: str, *, partial: bool) -> None:
    if data_class.event and partial:
        raise MalformedEvent(
            f"{place}: rows of {data_class.name} are added as events, so a partial update has nothing to change"
        )
    if not data_class.event and not data_class.multi_row and len(rows) > 1:
        raise MalformedEvent(
            f"line {rows[1].line}, <row>: {data_class.name} has one row a resource, and this is the second one"
        )
    if partial and data_class.multi_row and not any(column.key for column in data_class.columns):
        raise MalformedEvent(
            f"{place}: {data_class.name} has no key columns, so that a partial update cannot tell its rows apart"
        )


def _cells(data_class: DataClass, row: Row, readers: Sequence[Reader]) -> Cells:
    """Read a row; cells that are not given at its end are as those that are not given in between."""
    texts, width = row.cells, len(readers)
    if len(texts) > width and any(cell is not None for cell in texts[width:]):
        raise MalformedEvent(
            f"line {row.line}, <row>: it has a cell c{len(texts) - 1}, and {data_class.name} ends at c{width - 1}"
        )
    if len(texts) != width:
        texts = (*texts[:width], *[None] * (width - len(texts)))
    cells: list[Value] = []
    try:
        for read, text in zip(readers, texts, strict=True):
            cells.append(read(text))  # how many were read says which one does not fit
    except Misfit as misfit:
        raise MalformedEvent(f"line {row.line}, <row>: c{len(cells)} of {data_class.name}: {misfit}") from None
    return tuple(cells)


def _readers(data_class: DataClass, *, partial: bool) -> list[Reader]:
    """Return what reads each column; a partial update leaves as they stand the columns that it does not give."""
    readers = [reader_of(column) for column in data_class.columns]
    if not partial:
        return readers
    return [
        read if column.key else partial_reader(read) for read, column in zip(readers, data_class.columns, strict=True)
    ]


def _require_keys(data_class: DataClass, rows: Sequence[Cells], lines: Sequence[int]) -> None:
    """Require that key columns have values, and tell the rows apart."""
    keys = key_columns(data_class.columns)
    if not keys:
        return
    seen: dict[Cells, int] = {}
    for row, line in zip(rows, lines, strict=True):
        key = tuple(row[number] for number in keys)
        if None in key:
            name = data_class.columns[keys[key.index(None)]].name
            raise MalformedEvent(f"line {line}, <row>: the key column {name} of {data_class.name} has no value")
        if key in seen:
            raise MalformedEvent(f"line {line}, <row>: the row of line {seen[key]} has the same key columns")
        seen[key] = line


def key_columns(columns: Sequence[DataColumn]) -> tuple[int, ...]:
    """Return the numbers of the columns that tell rows of one resource apart."""
    return tuple(number for number, column in enumerate(columns) if column.key)


def _given(data_class: DataClass, row: Row) -> frozenset[str]:
    return frozenset(
        column.name for column, cell in zip(data_class.columns, row.cells, strict=False) if cell is not None
    )


def updates(block: Block) -> list[Mapping[str, Value]]:
    """Return the rows of a partial update by the columns that each gives."""
    names = [column.name for column in block.data_class.columns]
    return [
        {name: cell for name, cell in zip(names, row, strict=True) if name in given}
        for row, given in zip(block.rows, block.given, strict=True)
    ]
