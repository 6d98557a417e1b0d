"""What reading a file has to give: the csv module's rows, pyarrow's columns, and a dictionary's counts."""

from __future__ import annotations

import csv
import gzip
import io
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mergeguard.core import guids
from mergeguard.errors import UnreadableFile
from mergeguard.storage.files import rows as file_rows
from mergeguard.storage.files import text_blocks
from mergeguard.storage.files.source import FileSource
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Batch, Column, GuidCells, Kind, Options, Selection

Row: TypeAlias = tuple[str, ...]
COLUMNS = ("a", "b", "c")


@dataclass(frozen=True)
class TextFile:
    """A file of delimited text, as some program wrote it, and how it is to be read."""

    rows: tuple[Row, ...]
    quoting: int = csv.QUOTE_MINIMAL
    line_end: str = "\r\n"
    tabs: bool = False
    packed: bool = False
    mark: bool = False
    blanks: int = 0
    """Blank lines before the header and before each row."""
    last_end: bool = True
    """Whether the last line has its end."""
    batch_rows: int = 3
    fast: bool = True
    folder: Path = field(default=Path(), compare=False)

    @property
    def content(self) -> bytes:
        """The bytes of the file, unpacked."""
        out = io.StringIO(newline="")
        writer = csv.writer(
            out, delimiter="\t" if self.tabs else ",", quoting=self._quoting, lineterminator=self.line_end
        )
        for row in (COLUMNS, *self.rows):
            out.write(self.line_end * self.blanks)
            writer.writerow(row)
        text = out.getvalue() if self.last_end else out.getvalue().removesuffix(self.line_end)
        return b"\xef\xbb\xbf" * self.mark + text.encode()

    @property
    def _quoting(self) -> Any:
        # The csv module's writer leaves a line end bare that is not its own.
        bare = any({"\r", "\n"} & set(cell) for row in self.rows for cell in row)
        return csv.QUOTE_ALL if bare else self.quoting

    def written(self) -> Path:
        path = self.folder / f"rows.{'tsv' if self.tabs else 'csv'}{'.gz' if self.packed else ''}"
        path.write_bytes(gzip.compress(self.content, mtime=0) if self.packed else self.content)
        return path

    def read(self, *kinds: Kind, **selection: Any) -> list[tuple[object, ...]]:
        """The rows that the file is read as."""
        return read(self.written(), kinds or (Kind.TEXT,) * 3, self.batch_rows, fast=self.fast, **selection)


def read(
    path: Path, kinds: Sequence[Kind], batch_rows: int, *, fast: bool = True, **selection: Any
) -> list[tuple[object, ...]]:
    columns = tuple(Column(name, kind) for name, kind in zip(COLUMNS, kinds, strict=False))
    source = FileSource(path, Profile(), Options(batch_rows=batch_rows, fast=fast))
    with source.snapshot() as snapshot:
        return [row for batch in snapshot.read(Selection(columns, path.name, **selection)) for row in rows_of(batch)]


def rows_of(batch: Batch) -> Iterator[tuple[object, ...]]:
    return zip(*map(values, batch), strict=True)


def values(cells: Any) -> list[object]:
    """The cells of a column as Python has them; a guid that is none is its text."""
    if isinstance(cells, GuidCells):
        return [cells.bad.get(row, guid) for row, guid in enumerate(guids.to_uuids(cells.column))]
    return cells.tolist() if isinstance(cells, np.ndarray) else list(cells)


def by_the_csv_module(file: TextFile) -> list[Row]:
    """What the csv module reads, the oracle."""
    text = file.content.decode("utf-8-sig")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if file.tabs else ",", strict=True)
    header, *rows = (tuple(row) for row in reader if row)
    assert header == COLUMNS
    return rows


def meant(text: str) -> object:
    """What a cell of a guid column means."""
    found = guids.parse(text)
    return text if found is None else found


# Properties of a text file.


def rows_are_those_of_the_csv_module(file: TextFile) -> None:
    assert file.read() == by_the_csv_module(file)
    assert file.read() == [*file.rows] or any(len(row) == 1 for row in file.rows)


def how_it_is_written_changes_nothing(file: TextFile) -> None:
    plain = TextFile(file.rows, quoting=csv.QUOTE_ALL, line_end="\n", batch_rows=1000, folder=file.folder)
    assert file.read() == plain.read()


def guids_are_read_in_any_spelling(file: TextFile) -> None:
    found = file.read(Kind.GUID, Kind.TEXT, Kind.TEXT)
    assert found == [(meant(row[0]), *row[1:]) for row in by_the_csv_module(file)]


def filters_keep_what_is_equal(file: TextFile) -> None:
    rows = by_the_csv_module(file)
    wanted = rows[0][1] if rows else "x"
    expected = [(meant(row[0]), row[2]) for row in rows if row[1] == wanted]
    columns = (Column("a", Kind.GUID), Column("c", Kind.TEXT))
    path = file.written()
    source = FileSource(path, Profile(), Options(batch_rows=file.batch_rows, fast=file.fast))
    with source.snapshot() as snapshot:
        selection = Selection(columns, path.name, where=(("b", wanted),))
        assert [row for batch in snapshot.read(selection) for row in rows_of(batch)] == expected


def counts_are_those_of_a_dictionary(file: TextFile) -> None:
    rows = by_the_csv_module(file)
    for kinds in ((Kind.GUID,), (Kind.GUID, Kind.TEXT), (Kind.TEXT, Kind.TEXT, Kind.TEXT)):
        found = file.read(*kinds, counted=True)
        cells = [
            tuple(meant(text) if kind is Kind.GUID else text for kind, text in zip(kinds, row, strict=False))
            for row in rows
        ]
        assert len({each[:-1] for each in found}) == len(found)
        assert Counter({each[:-1]: each[-1] for each in found}) == Counter(cells)


def blocks_are_whole_lines(file: TextFile) -> None:
    """Whatever the size of a block, the blocks are the file, cut behind line ends, each with its offset and line."""
    content = file.content
    for size in (3, 4, 17, 1000):
        blocks = list(text_blocks.blocks(file.written(), size))
        offset = 3 * file.mark
        assert b"".join(block.data for block in blocks) == content[offset:]
        for block in blocks:
            assert (block.offset, block.line) == (offset, lines_before(content, offset))
            assert block.data == content[offset : offset + len(block.data)]
            offset += len(block.data)
            assert offset == len(content) or content[offset - 1 : offset] in (b"\n", b"\r")
            assert content[offset - 1 : offset + 1] != b"\r\n"
            assert block.text().encode() == block.data


def lines_before(content: bytes, place: int) -> int:
    """How many lines end before a place, one that is cut in two counted as ended by its first half."""
    return len(re.findall(rb"\r\n|\r|\n", content[:place]))


def a_ragged_row_is_refused_by_its_line(file: TextFile) -> None:
    """A field too many is found wherever it stands, and the line that is named is the row's own."""
    torn = file.content.rstrip(b"\r\n") + file.line_end.encode() + (b"\t" if file.tabs else b",").join([b"x"] * 4)
    path = file.written()
    path.write_bytes(gzip.compress(torn) if file.packed else torn)
    # The csv module counts the lines that it was given, however they end.
    last = len(io.StringIO(torn.decode("utf-8-sig"), newline="").readlines())
    try:
        read(path, (Kind.TEXT,) * 3, file.batch_rows, fast=file.fast)
    except UnreadableFile as error:
        assert f"line {last} has 4 fields, the header has 3" in error.message  # noqa: PT017 - the other way is below
    else:
        raise AssertionError("a row of four fields was read as one of three")


OF_TEXT_FILES: tuple[Callable[[TextFile], None], ...] = (
    rows_are_those_of_the_csv_module,
    how_it_is_written_changes_nothing,
    guids_are_read_in_any_spelling,
    filters_keep_what_is_equal,
    counts_are_those_of_a_dictionary,
    blocks_are_whole_lines,
    a_ragged_row_is_refused_by_its_line,
)


# Parquet.


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file, as some program wrote it, and how it is to be read."""

    rows: tuple[tuple[uuid.UUID | None, str | None, int | None], ...]
    group_rows: int = 1000
    batch_rows: int = 3
    dictionary: bool = True
    guids_as: str = "text"
    """``text``, ``binary``, ``fixed`` or ``large``."""
    compression: str = "snappy"
    folder: Path = field(default=Path(), compare=False)

    def written(self) -> Path:
        kinds = {
            "text": (pa.string(), str),
            "large": (pa.large_string(), str),
            "binary": (pa.binary(), lambda one: one.bytes),
            "fixed": (pa.binary(16), lambda one: one.bytes),
        }
        kind, spell = kinds[self.guids_as]
        columns = list(zip(*self.rows, strict=True)) or [(), (), ()]
        spelled = [None if one is None else spell(one) for one in columns[0]]
        table = pa.table({
            "a": pa.array(spelled, kind),
            "b": pa.array(columns[1], pa.string()),
            "c": pa.array(columns[2], pa.int64()),
        })  # fmt: skip
        path = self.folder / "rows.parquet"
        pq.write_table(
            table, path, row_group_size=self.group_rows, use_dictionary=self.dictionary, compression=self.compression
        )
        return path


def parquet_rows_come_in_their_order(file: ParquetFile) -> None:
    found = read(file.written(), (Kind.GUID, Kind.TEXT, Kind.ROW_ID), file.batch_rows)
    numbers = [row[2] for row in file.rows]
    assert [row[:2] for row in found] == [row[:2] for row in file.rows]
    if None not in numbers:
        assert [row[2] for row in found] == numbers


def parquet_batches_are_of_the_size_asked_for(file: ParquetFile) -> None:
    path = file.written()
    source = FileSource(path, Profile(), Options(batch_rows=file.batch_rows))
    told: list[tuple[int, int | None]] = []
    with source.snapshot() as snapshot:
        selection = Selection((Column("b", Kind.TEXT),), path.name)
        sizes = [
            file_rows.length(batch[0])
            for batch in snapshot.read(selection, lambda _p, done, all_: told.append((done, all_)))
        ]
    assert sum(sizes) == len(file.rows)
    assert all(0 < size <= file.batch_rows for size in sizes)
    assert [done for done, _ in told] == [sum(sizes[: at + 1]) for at in range(len(sizes))]
    assert {every for _, every in told} <= {len(file.rows)}


def parquet_columns_may_be_asked_for_twice(file: ParquetFile) -> None:
    path = file.written()
    columns = tuple(Column(name, kind) for name, kind in (("b", Kind.TEXT), ("a", Kind.GUID), ("b", Kind.TEXT)))
    with FileSource(path, Profile(), Options(batch_rows=file.batch_rows)).snapshot() as snapshot:
        found = [row for batch in snapshot.read(Selection(columns, path.name)) for row in rows_of(batch)]
    assert found == [(row[1], row[0], row[1]) for row in file.rows]


def parquet_counts_are_those_of_a_dictionary(file: ParquetFile) -> None:
    found = read(file.written(), (Kind.GUID,), file.batch_rows, counted=True)
    assert Counter({row[0]: row[1] for row in found}) == Counter(row[0] for row in file.rows)
    assert len(found) == len({row[0] for row in file.rows})


OF_PARQUET_FILES: tuple[Callable[[ParquetFile], None], ...] = (
    parquet_rows_come_in_their_order,
    parquet_batches_are_of_the_size_asked_for,
    parquet_columns_may_be_asked_for_twice,
    parquet_counts_are_those_of_a_dictionary,
)


def at(file: Any, folder: Path) -> Any:
    """The same file in another folder."""
    return replace(file, folder=folder)
