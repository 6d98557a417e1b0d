"""Reads delimited text in batches of typed columns: NumPy where a block is plain, the csv module wherever it is not.

Both ways give the same cells. A field may be quoted with ``"``; blank lines are no rows; the first line names the
columns; a row with more or fewer fields than the header is refused, because nobody can tell which cell is missing.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mergeguard.errors import UnreadableFile
from mergeguard.storage.cells import database_cells, iso_times
from mergeguard.storage.files.plain_block import PlainBlock, plain_block
from mergeguard.storage.files.text_blocks import Block, blocks
from mergeguard.storage.source import Batch, Cells, Kind

BYTES_A_ROW = 64
"""Turns a batch size in rows into a block size in bytes."""
_INT64 = range(-(2**63), 2**63)
_QUOTE_HINT = 'look for a quote (") that is not closed, or that stands in the middle of a field and is not doubled'


class CsvTable:
    """A file of delimited text; ``names`` are its columns, all of type text.

    Args:
        path: tab-separated where its name says .tsv, else comma-separated; unpacked where it ends in .gz.
        batch_rows: about how many rows to read at a time.
        fast: read plain blocks with NumPy; without it everything goes through the csv module.

    Raises:
        UnreadableFile: from the constructor or from ``batches``: no header, not UTF-8, not gzip, damaged, ragged.
        TargetNotFound: there is no such file.
        PermissionDenied: the operating system does not allow the read.
    """

    rows: int | None = None
    """How many rows there are is not known before all are read."""

    def __init__(self, path: Path, batch_rows: int, *, fast: bool = True) -> None:
        self.path = path
        self._batch_rows = batch_rows
        self._fast = fast
        self._delimiter = "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","
        self.names, _ = self._opened()
        self.types = ["text"] * len(self.names)

    def batches(self, wanted: Sequence[tuple[int, Kind]]) -> Iterator[Batch]:
        """Yield the wanted columns, each given by its place and kind, in the order of the file."""
        _, rest = self._opened()
        for block in rest:
            plain = plain_block(block, len(self.names), self._delimiter) if self._fast else None
            if plain is not None:
                yield tuple(_plain_cells(plain, column, kind) for column, kind in wanted)
            elif self._fast and b'"' not in block.data:
                yield from self._parsed(iter([block]), wanted)
            else:
                # From such a quote on, only the csv module knows where a row ends.
                yield from self._parsed(itertools.chain([block], rest), wanted)
                return

    def _opened(self) -> tuple[list[str], Iterator[Block]]:
        """Return the header's names, and the blocks behind it."""
        rest = blocks(self.path, self._batch_rows * BYTES_A_ROW)
        for block in rest:
            lines = _Counted(_lines(iter([block])))
            for _, row in self._rows(block.line, lines):
                body = block.after(lines.bytes)
                return [name.strip() for name in row], itertools.chain([body] if body.data else [], rest)
        raise UnreadableFile(f"{self.path} is empty", hint="the first line must name the columns")

    def _parsed(self, several: Iterator[Block], wanted: Sequence[tuple[int, Kind]]) -> Iterator[Batch]:
        """Read blocks with the csv module."""
        first = next(several)
        rows = self._whole_rows(self._rows(first.line, _lines(itertools.chain([first], several))))
        while part := list(itertools.islice(rows, self._batch_rows)):
            yield tuple(text_cells(kind, [row[column] for row in part]) for column, kind in wanted)

    def _whole_rows(self, rows: Iterator[tuple[int, list[str]]]) -> Iterator[list[str]]:
        for line, row in rows:
            if len(row) != len(self.names):
                raise UnreadableFile(
                    f"{self.path}: the row at line {line} has {len(row)} fields, the header has {len(self.names)}",
                    hint="a field that holds the delimiter or a line end must be quoted",
                )
            yield row

    def _rows(self, before: int, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
        """Yield (last line's number, fields) of each row that is not a blank line."""
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        try:
            for row in reader:
                if row:
                    yield before + reader.line_num, row
        except csv.Error as error:
            line = before + reader.line_num
            raise UnreadableFile(f"{self.path}: line {line} cannot be parsed: {error}", hint=_QUOTE_HINT) from None


def _lines(several: Iterator[Block]) -> Iterator[str]:
    for block in several:
        # str.splitlines would split at characters that end no line in a file.
        yield from io.StringIO(block.text(), newline="")


class _Counted(Iterator[str]):
    """Lines, and how many bytes of them have been drawn."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.bytes = 0

    def __next__(self) -> str:
        line = next(self._lines)
        self.bytes += len(line.encode())
        return line


def _plain_cells(block: PlainBlock, column: int, kind: Kind) -> Cells:
    return block.guid_cells(column) if kind is Kind.GUID else text_cells(kind, block.texts(column))


def text_cells(kind: Kind, texts: Sequence[str]) -> Cells:
    """Turn the texts of a column into the cells that ``source.Cells`` promises for its kind."""
    if kind is Kind.ROW_ID:
        return row_ids(texts)
    return iso_times.times(texts) if kind is Kind.TIME else database_cells.cells(kind, texts)


def row_ids(texts: Sequence[str]) -> npt.NDArray[np.int64] | list[str]:
    """Read row ids: numbers where all of the batch are written as Python writes a number, else the texts."""
    try:
        numbers = [int(text) for text in texts]
    except ValueError:
        return list(texts)
    same = all(str(number) == text and number in _INT64 for number, text in zip(numbers, texts, strict=True))
    return np.array(numbers, np.int64) if same else list(texts)
