"""Files against the csv module, pyarrow and a dictionary: however written, and read in whatever pieces."""

from __future__ import annotations

import contextlib
import csv
import gzip
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import files_model
import hypothesis
import numpy as np
import pytest
from files_model import ParquetFile, TextFile
from hypothesis import example, given
from hypothesis import strategies as st

from mergeguard.core import guids
from mergeguard.errors import UnreadableFile
from mergeguard.storage.files import csv_reader, plain_block, text_blocks
from mergeguard.storage.files import rows as file_rows
from mergeguard.storage.files.source import FileSource
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import GuidCells, Kind, Options

SEARCH = hypothesis.settings(
    max_examples=3000,
    phases=[hypothesis.Phase.generate],
    database=None,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
some_guids = st.builds(uuid.UUID, int=st.sampled_from([0, 1, 2, 3 << 70, (1 << 128) - 1]))
spelled = st.builds(
    lambda guid, how: how(guid),
    some_guids,
    st.sampled_from([str, lambda g: str(g).upper(), lambda g: f"{{{g}}}", lambda g: g.hex, lambda g: f" {g}"]),
)
# NUL and surrogates stand in no text file.
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
awkward = st.text(st.sampled_from("\"',;\t\r\n \u2028\x0bé"), max_size=5)
cells = st.one_of(words, awkward, spelled, st.sampled_from(["", " ", '"', '""', "a", "b"]))
few = st.sampled_from(["live", "gone", ""])


@st.composite
def text_files(draw: st.DrawFn) -> TextFile:
    return TextFile(
        rows=tuple(draw(st.lists(st.tuples(st.one_of(spelled, cells), st.one_of(few, cells), cells), max_size=9))),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        line_end=draw(st.sampled_from(["\r\n", "\n", "\r"])),
        tabs=draw(st.booleans()),
        packed=draw(st.booleans()),
        mark=draw(st.booleans()),
        blanks=draw(st.sampled_from([0, 0, 1, 2])),
        last_end=draw(st.booleans()),
        batch_rows=draw(st.sampled_from([1, 2, 5, 1000])),
        fast=draw(st.booleans()),
    )


@st.composite
def parquet_files(draw: st.DrawFn) -> ParquetFile:
    texts = st.none() | st.text(st.characters(codec="utf-8"), max_size=5)
    numbers = st.none() | st.integers(-(2**63), 2**63 - 1)
    return ParquetFile(
        rows=tuple(draw(st.lists(st.tuples(st.none() | some_guids, texts, numbers), max_size=15))),
        group_rows=draw(st.sampled_from([1, 2, 7, 1000])),
        batch_rows=draw(st.sampled_from([1, 2, 3, 8, 1000])),
        dictionary=draw(st.booleans()),
        guids_as=draw(st.sampled_from(["text", "large", "binary", "fixed"])),
        compression=draw(st.sampled_from(["none", "snappy", "zstd"])),
    )


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("holds", files_model.OF_TEXT_FILES, ids=lambda holds: holds.__name__)
@given(file=text_files())
@example(file=TextFile((), last_end=False))
@example(file=TextFile((("", "", ""),), quoting=csv.QUOTE_MINIMAL, line_end="\r", batch_rows=1))
def test_any_text_file(holds: Callable[[TextFile], None], folder: Path, file: TextFile) -> None:
    holds(files_model.at(file, folder))


@pytest.mark.parametrize("holds", files_model.OF_PARQUET_FILES, ids=lambda holds: holds.__name__)
@given(file=parquet_files())
def test_any_parquet_file(holds: Callable[[ParquetFile], None], folder: Path, file: ParquetFile) -> None:
    holds(files_model.at(file, folder))


@given(file=text_files().filter(lambda file: not file.packed), data=st.data())
def test_a_byte_that_is_no_text_is_named_with_its_line_and_offset(
    folder: Path, file: TextFile, data: st.DataObject
) -> None:
    content = file.content
    place = data.draw(st.integers(3 * file.mark, len(content)))
    while 0 < place < len(content) and content[place] & 0xC0 == 0x80:  # not into the middle of a letter
        place += 1
    path = folder / "wrong.csv"
    path.write_bytes(content[:place] + b"\xff" + content[place:])
    with pytest.raises(UnreadableFile) as caught:
        [block.text() for block in text_blocks.blocks(path, data.draw(st.sampled_from([3, 7, 1000])))]
    line = files_model.lines_before(content, place) + 1
    assert caught.value.message == f"{path}: line {line} is not UTF-8: byte 0xff at offset {place}"


@given(file=text_files(), data=st.data())
def test_packed_data_that_end_early_or_are_damaged_are_never_read_as_other_rows(
    folder: Path, file: TextFile, data: st.DataObject
) -> None:
    packed = gzip.compress(file.content, mtime=0)
    path = folder / "cut.csv.gz"
    cut = data.draw(st.integers(0, len(packed) - 1))
    path.write_bytes(packed[:cut])
    if cut:
        with pytest.raises(UnreadableFile) as caught:
            list(text_blocks.blocks(path, 1000))
        assert str(path) in caught.value.message
    else:
        assert list(text_blocks.blocks(path, 1000)) == []
    at = data.draw(st.integers(10, len(packed) - 1))  # behind the header, whose time and name nobody checks
    path.write_bytes(packed[:at] + bytes([packed[at] ^ data.draw(st.integers(1, 255))]) + packed[at + 1 :])
    # A bit that pads the last byte means nothing; any other is noticed.
    with contextlib.suppress(UnreadableFile):
        found = b"".join(block.data for block in text_blocks.blocks(path, 1000))
        assert found == file.content[3 * file.mark :]


@given(st.lists(st.tuples(st.one_of(some_guids.map(str), words, st.none()), st.booleans()), max_size=12))
def test_kept_cells_keep_their_places(rows: list[tuple[str | None, bool]]) -> None:
    texts = [text for text, _ in rows]
    good = np.array([keep for _, keep in rows], np.bool_)
    expected = [text for text, keep in rows if keep]
    column, well_formed = guids.parse_column(texts)
    bad = {at: text for at, (text, fine) in enumerate(zip(texts, well_formed.tolist(), strict=True)) if not fine}
    kept = file_rows.kept(GuidCells(column, bad), good)
    assert files_model.values(kept) == [files_model.meant(text) if text else text for text in expected]
    assert files_model.values(file_rows.kept(texts, good)) == expected
    numbers = np.arange(len(rows))
    assert files_model.values(file_rows.kept(numbers, good)) == np.flatnonzero(good).tolist()
    assert file_rows.length(kept) == len(expected)


@given(st.lists(st.integers(-(2**63), 2**63 - 1).map(str) | st.sampled_from(["", "07", "+1", "1_0", "x", "9" * 30])))
def test_row_ids_are_numbers_only_where_all_are_written_as_numbers_are(texts: list[str]) -> None:
    found = csv_reader.row_ids(texts)
    plain = all(text.lstrip("-").isdecimal() and str(int(text)) == text and abs(int(text)) <= 2**63 for text in texts)
    assert [str(one) for one in files_model.values(found)] == texts
    assert isinstance(found, np.ndarray) == (plain and all(-(2**63) <= int(text) < 2**63 for text in texts))


# Faults, planted one at a time.


def first_line_end_wins(patch: pytest.MonkeyPatch) -> None:
    """A block ends at its last newline, and carriage returns end nothing."""
    patch.setattr(text_blocks, "_last_line_end", lambda data: data.rfind(b"\n") + 1)


def half_a_line_end(patch: pytest.MonkeyPatch) -> None:
    """A block may end between the two halves of a line end."""
    patch.setattr(text_blocks, "_last_line_end", lambda data: max(data.rfind(b"\n"), data.rfind(b"\r")) + 1)


def the_mark_stays(patch: pytest.MonkeyPatch) -> None:
    """A byte order mark is taken for text."""
    patch.setattr(text_blocks, "_without_mark", lambda _path, chunk: (chunk, 0))


def carriage_returns_end_no_line(patch: pytest.MonkeyPatch) -> None:
    """Lines are counted by their newlines alone."""
    patch.setattr(text_blocks, "line_ends", lambda data, end: data.count(b"\n", 0, end))


def lines_of_python(patch: pytest.MonkeyPatch) -> None:
    """Lines end where str.splitlines says so."""

    def lines(several: Any) -> Any:
        for block in several:
            yield from block.text().splitlines(keepends=True)

    patch.setattr(csv_reader, "_lines", lines)
    patch.setattr(csv_reader, "plain_block", lambda *_: None)


def quotes_are_letters(patch: pytest.MonkeyPatch) -> None:
    """The fast way takes quotes for text."""

    def cut(block: Any, width: int, delimiter: str) -> Any:
        return plain_block.plain_block(
            block.__class__(block.path, block.data.replace(b'""', b"'"), 0, 0), width, delimiter
        )

    patch.setattr(csv_reader, "plain_block", cut)


def ragged_rows_are_read(patch: pytest.MonkeyPatch) -> None:
    """Fields too many are dropped."""

    def whole(self: Any, rows: Any) -> Any:
        return (row[: len(self.names)] for _, row in rows)

    patch.setattr(csv_reader.CsvTable, "_whole_rows", whole)


def bad_guids_lose_their_row(patch: pytest.MonkeyPatch) -> None:
    """A filter keeps the malformed texts at the rows where they stood."""
    kept = file_rows.kept

    def moved(cells: Any, good: Any) -> Any:
        found = kept(cells, good)
        return GuidCells(found.column, dict(cells.bad)) if isinstance(cells, GuidCells) else found

    patch.setattr(file_rows, "kept", moved)


def filters_that_hold_nothing(patch: pytest.MonkeyPatch) -> None:
    """Of several filters the last one counts, and of none at all every row."""
    patch.setattr(file_rows, "filtered", lambda batches, columns, _values: (batch[:columns] for batch in batches))


def counts_a_batch(patch: pytest.MonkeyPatch) -> None:
    """Values are counted batch by batch."""
    counted = file_rows.counted

    def each(batches: Any, kinds: Any) -> Any:
        for batch in batches:
            yield from counted(iter([batch]), kinds)

    patch.setattr(file_rows, "counted", each)


def guids_counted_by_half(patch: pytest.MonkeyPatch) -> None:
    """Guids are the same where their second halves are."""
    keys = guids.keys
    patch.setattr(file_rows.guids, "keys", lambda column: keys(column)[:, 1:])


def one_batch_too_large(patch: pytest.MonkeyPatch) -> None:
    """The size of a batch is not heeded."""
    from mergeguard.storage.files import parquet  # noqa: PLC0415 - pyarrow is for these tests alone

    made = parquet.ParquetTable.__init__

    def large(self: Any, path: Path, _batch_rows: int, *rest: Any) -> None:
        made(self, path, 10**6, *rest)

    patch.setattr(parquet.ParquetTable, "__init__", large)


def first_column_of_a_name(patch: pytest.MonkeyPatch) -> None:
    """Columns are given in the order of the file, not as asked for."""
    from mergeguard.storage.files import parquet  # noqa: PLC0415 - as above

    batches = parquet.ParquetTable.batches
    patch.setattr(
        parquet.ParquetTable, "batches", lambda self, wanted: batches(self, sorted(wanted, key=lambda w: w[0]))
    )


TEXT_MUTANTS = [
    (the_mark_stays, files_model.blocks_are_whole_lines),
    (half_a_line_end, files_model.blocks_are_whole_lines),
    (carriage_returns_end_no_line, files_model.a_ragged_row_is_refused_by_its_line),
    (lines_of_python, files_model.rows_are_those_of_the_csv_module),
    (quotes_are_letters, files_model.rows_are_those_of_the_csv_module),
    (ragged_rows_are_read, files_model.a_ragged_row_is_refused_by_its_line),
    (bad_guids_lose_their_row, files_model.filters_keep_what_is_equal),
    (filters_that_hold_nothing, files_model.filters_keep_what_is_equal),
    (counts_a_batch, files_model.counts_are_those_of_a_dictionary),
    (guids_counted_by_half, files_model.counts_are_those_of_a_dictionary),
]
PARQUET_MUTANTS = [
    (one_batch_too_large, files_model.parquet_batches_are_of_the_size_asked_for),
    (first_column_of_a_name, files_model.parquet_columns_may_be_asked_for_twice),
    (guids_counted_by_half, files_model.parquet_counts_are_those_of_a_dictionary),
    (counts_a_batch, files_model.parquet_counts_are_those_of_a_dictionary),
]


@pytest.mark.parametrize(
    ("plant", "caught_by", "files"),
    [(*mutant, text_files()) for mutant in TEXT_MUTANTS] + [(*mutant, parquet_files()) for mutant in PARQUET_MUTANTS],
    ids=lambda part: getattr(part, "__name__", "files"),
)
def test_a_planted_fault_is_caught(
    plant: Callable[[pytest.MonkeyPatch], None],
    caught_by: Callable[[Any], None],
    files: st.SearchStrategy[Any],
    folder: Path,
) -> None:
    def caught(file: Any) -> bool:
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            try:
                caught_by(files_model.at(file, folder))
            except (AssertionError, UnreadableFile, ValueError):
                return True
            return False

    file = hypothesis.find(files, caught, settings=SEARCH)
    caught_by(files_model.at(file, folder))  # it is the fault that fails, not the property


def test_blocks_that_end_at_newlines_alone_still_read_right(folder: Path) -> None:
    """Not every change is a fault: a file of carriage returns is then one block, and its rows are the same."""
    file = TextFile((("1", "2", "3"), ("4", "5", "6")), line_end="\r", batch_rows=1, folder=folder)
    with pytest.MonkeyPatch.context() as patch:
        first_line_end_wins(patch)
        assert file.read() == [*file.rows]


def test_reading_closes_the_file(folder: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = TextFile((("1", "2", "3"),) * 50, packed=True, batch_rows=1, folder=folder).written()
    with FileSource(path, Profile(), Options(batch_rows=1)).snapshot() as snapshot:
        batches = snapshot.read(files_model.Selection((files_model.Column("a", Kind.TEXT),), path.name))
        next(batches)
        batches.close()  # type: ignore[attr-defined]
    del batches
    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]
