"""One table, whatever the format, the spelling, the row order and the way in which it is read."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mergeguard.core import guids
from mergeguard.core.table import MergeTable
from mergeguard.storage import assemble
from mergeguard.storage.files.plain_block import plain_block
from mergeguard.storage.files.source import FileSource
from mergeguard.storage.files.text_blocks import Block
from mergeguard.storage.profile import Live, Merge, Profile, Reference, Types
from mergeguard.storage.source import Batch, Column, GuidCells, Kind, Options, Selection

Row = Sequence[str]
NAMES = ("OldGuid", "NewGuid", "id", "when", "why")
PROFILE = Profile(merge=Merge(row_id="id", time="when", merge_key="why"))
some_guids = st.builds(uuid.UUID, int=st.sampled_from([0, 1, 2, 3 << 70, (1 << 128) - 1]))
spellings: st.SearchStrategy[Callable[[uuid.UUID], str]] = st.sampled_from(
    [str, lambda g: str(g).upper(), lambda g: f"{{{g}}}", lambda g: g.hex, lambda g: g.urn, lambda g: f"  {g} "]
)
# NUL and surrogates stand in no text file.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
plain_texts = st.text(st.sampled_from("ab é\u2028\x0b'"), max_size=4)
times = st.one_of(
    st.datetimes().map(str), st.dates().map(str), st.sampled_from(["", "never", "2024-02-30", "2020-01-01T00:00:00Z"])
)
row_ids = st.one_of(st.integers(-9, 9).map(str), st.sampled_from(["", "07", "x"]))


@st.composite
def guid_cells(draw: st.DrawFn, others: st.SearchStrategy[str]) -> str:
    return draw(st.one_of(some_guids.map(str), st.builds(lambda spell, g: spell(g), spellings, some_guids), others))


def rows_of(others: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple[str, ...]]]:
    cells = guid_cells(others)
    return st.lists(st.tuples(cells, cells, row_ids, times, others), max_size=12)


def delimited(rows: Sequence[Row], delimiter: str = ",", **how: Any) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, **how).writerows([NAMES[: len(rows[0])] if rows else NAMES, *rows])
    return out.getvalue().encode()


def parquet(rows: Sequence[Row]) -> bytes:
    out = io.BytesIO()
    columns = list(zip(*rows, strict=True)) or [()] * len(NAMES)
    arrays = {name: pa.array(column, pa.string()) for name, column in zip(NAMES, columns, strict=False)}
    pq.write_table(pa.table(arrays), out)
    return out.getvalue()


@contextmanager
def written(content: bytes, name: str = "merges.csv") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path


def table_of(content: bytes, name: str = "merges.csv", profile: Profile = PROFILE, **options: Any) -> MergeTable:
    with written(content, name) as path, FileSource(path, profile, Options(**options)).snapshot() as snapshot:
        return assemble.merge_table(snapshot, profile)


def content_of(table: MergeTable) -> list[tuple[Any, ...]]:
    keys = table.merge_keys or [None] * len(table)
    return [
        (guids.to_uuid(table.old, row), guids.to_uuid(table.new, row), table.row_id(row), table.time(row), keys[row])
        for row in range(len(table))
    ]


def same(one: MergeTable, other: MergeTable) -> bool:
    return content_of(one) == content_of(other) and one.rejected == other.rejected and one.labels == other.labels


@given(
    rows_of(st.one_of(texts, plain_texts)),
    st.sampled_from([1, 3, 1000]),
    st.sampled_from(["\r\n", "\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_the_fast_way_reads_what_the_csv_module_reads(
    rows: list[Row], batch_rows: int, line_end: str, quoting: int
) -> None:
    if any({"\r", "\n"} & set(cell) for row in rows for cell in row):
        # The csv module's writer leaves a line end bare that is not its own.
        quoting = csv.QUOTE_ALL
    content = delimited(rows, lineterminator=line_end, quoting=quoting)
    fast = table_of(content, batch_rows=batch_rows)
    assert same(fast, table_of(content, fast=False, batch_rows=7))
    assert len(fast) + len(fast.rejected) == len(rows)


@given(rows_of(plain_texts), st.sampled_from([2, 1000]))
def test_every_format_gives_the_same_table(rows: list[Row], batch_rows: int) -> None:
    expected = table_of(delimited(rows), batch_rows=batch_rows)
    tabbed = delimited(rows, "\t")
    assert same(table_of(tabbed, "merges.tsv"), expected)
    assert same(table_of(gzip.compress(tabbed), "merges.tsv.gz", batch_rows=batch_rows), expected)
    assert same(table_of(gzip.compress(delimited(rows)), "merges.CSV.GZ"), expected)
    assert same(table_of(b"\xef\xbb\xbf" + delimited(rows)), expected)
    # Parquet says itself what is a number; a column of texts stays one.
    found = table_of(parquet(rows), "merges.parquet", batch_rows=batch_rows)
    texts_only = [(*row[:2], str(row[2]), *row[3:]) for row in content_of(expected)]
    assert [(*row[:2], str(row[2]), *row[3:]) for row in content_of(found)] == texts_only
    assert found.rejected.malformed == expected.rejected.malformed


@given(st.lists(st.tuples(some_guids, some_guids)), st.data())
def test_spelling_and_order_change_nothing(pairs: list[tuple[uuid.UUID, uuid.UUID]], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(pairs))
    spelled = [[data.draw(spellings)(guid) for guid in pair] for pair in shuffled]
    table = table_of(delimited([*spelled, ["", ""]]), profile=Profile(), batch_rows=2)
    found = zip(guids.to_uuids(table.old), guids.to_uuids(table.new), strict=True)
    assert Counter(found) == Counter(pairs)
    assert table.rejected.blank == 1


def test_a_plain_file_takes_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("the csv module parsed a plain row")

    rows = [[str(uuid.UUID(int=n)), f"{{{uuid.UUID(int=n + 1)}}}", str(n), "2024-01-01", "é"] for n in range(50)]
    expected = table_of(delimited(rows), fast=False)
    monkeypatch.setattr("mergeguard.storage.files.csv_reader.CsvTable._parsed", refuse)
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC):
        assert same(table_of(delimited(rows, quoting=quoting), batch_rows=10), expected)


def test_rows_without_an_id_are_named_by_their_number_among_the_data_rows() -> None:
    a, b = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
    content = f"OldGuid,NewGuid\n{a},{b}\n\nnonsense,{b}\n{b},{a}\n".encode()
    for fast in (True, False):
        table = table_of(content, profile=Profile(), fast=fast)
        assert [table.row_id(row) for row in range(len(table))] == [1, 3]
        assert [(bad.row_id, bad.column, bad.value) for bad in table.rejected.rows] == [(2, "old", "nonsense")]


def test_a_cell_of_300_characters_is_cut_in_the_report() -> None:
    table = table_of(delimited([["x" * 300, str(uuid.UUID(int=1))]]), profile=Profile())
    assert [bad.value for bad in table.rejected.rows] == ["x" * 80]


def test_a_file_with_a_header_alone_is_an_empty_table() -> None:
    for name, content in (("m.csv", delimited([])), ("m.parquet", parquet([])), ("m.csv", b'"OldGuid","NewGuid"')):
        table = table_of(content, name, Profile())
        assert (len(table), len(table.rejected), table.old.shape) == (0, 0, (0, 16))


def test_the_header_may_be_quoted_and_padded_and_come_late() -> None:
    a, b = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
    content = f'\n\r\n"OldGuid", NewGuid \n{a},{b}'.encode()
    for batch_rows in (1, 1000):
        assert len(table_of(content, profile=Profile(), batch_rows=batch_rows)) == 1


@settings(max_examples=1000)
@given(
    st.lists(st.sampled_from([",", "\n", "\r\n", '"', '""', '"a"', '"é"', "a\u2028"])).map("".join), st.integers(1, 3)
)
@example('"",""\n"a",b', 2)
@example('"a"",""b"\n', 2)
@example('a,"b\nc",d\n', 2)
def test_a_block_is_cut_as_the_csv_module_would_or_not_at_all(text: str, width: int) -> None:
    block = plain_block(Block(Path("x.csv"), text.encode(), 0, 0), width, ",") if text else None
    if block is not None:
        parsed = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
        found = [block.texts(column) for column in range(width)]
        assert found == [[row[column] for row in parsed] for column in range(width)]
        assert {len(row) for row in parsed} == {width}


cells_of_a_pair = st.lists(
    st.tuples(guid_cells(plain_texts), st.sampled_from(["live", "dead", ""]), st.integers(0, 3).map(str)), max_size=15
)


@given(cells_of_a_pair, st.sampled_from(["items.csv", "items.parquet"]), st.sampled_from([1, 4, 1000]))
def test_filters_and_counts_are_what_a_database_would_say(rows: list[Row], name: str, batch_rows: int) -> None:
    content = delimited(rows) if name.endswith("csv") else parquet(rows)
    with written(content, name) as path:
        (path.parent / "m.csv").write_bytes(b"OldGuid,NewGuid\n")
        with FileSource(path.parent / "m.csv", Profile(), Options(batch_rows=batch_rows)).snapshot() as snapshot:
            one = (Column("OldGuid", Kind.GUID),)
            where = (("NewGuid", "live"),)
            assert Counter(plain(snapshot.read(Selection(one, name, where=where)))) == Counter(
                (meant(row[0]),) for row in rows if row[1] == "live"
            )
            assert counts(snapshot.read(Selection(one, name, counted=True))) == Counter(
                (meant(row[0]),) for row in rows
            )
            several = (*one, Column("NewGuid", Kind.TEXT), Column("id", Kind.INTEGER))
            assert counts(snapshot.read(Selection(several, name, counted=True))) == Counter(
                (meant(row[0]), row[1], int(row[2])) for row in rows
            )


def meant(text: str) -> object:
    guid = guids.parse(text)
    return text if guid is None else guid


def plain(batches: Iterator[Batch]) -> Iterator[tuple[object, ...]]:
    for batch in batches:
        yield from zip(*map(values, batch), strict=True)


def counts(batches: Iterator[Batch]) -> Counter[tuple[object, ...]]:
    found = list(plain(batches))
    assert len({row[:-1] for row in found}) == len(found)
    return Counter({row[:-1]: row[-1] for row in found})  # type: ignore[dict-item]


def values(cells: Any) -> list[object]:
    if isinstance(cells, GuidCells):
        return [cells.bad.get(row, guid) for row, guid in enumerate(guids.to_uuids(cells.column))]
    return cells.tolist() if isinstance(cells, np.ndarray) else list(cells)


def test_the_other_files_of_the_folder_are_the_other_tables(tmp_path: Path) -> None:
    a, b, c = (str(uuid.UUID(int=n)) for n in (1, 2, 3))
    (tmp_path / "merges.csv").write_text(f"OldGuid,NewGuid\n{a},{b}\n")
    (tmp_path / "items.tsv").write_text(f"guid\ttype\tstate\n{a}\tComputer\tgone\n{b}\tComputer\tlive\n{c}\t\tlive\n")
    pq.write_table(pa.table({"owner": [a, a, None]}), tmp_path / "rows.parquet")
    profile = Profile(
        live=Live("items.tsv", "guid", where=(("state", "live"),)), types=Types("items.tsv", "guid", "type")
    )
    with FileSource(tmp_path / "merges.csv", profile, Options()).snapshot() as snapshot:
        live = assemble.live_guids(snapshot, profile)
        types = assemble.type_table(snapshot, profile)
        found = assemble.reference_counts(snapshot, Reference("rows.parquet", "owner"), profile)
        assert assemble.stored_lookup(snapshot, profile) is None
        assert snapshot.tables() == ["merges.csv", "items.tsv", "rows.parquet"]
        assert snapshot.columns("rows.parquet") == [("owner", "string")]
        assert snapshot.has_table("items.tsv")
        assert not snapshot.has_table("item.tsv")
        assert not snapshot.has_table(".")
    assert live is not None
    assert types is not None
    assert [str(guid) for guid in guids.to_uuids(live)] == [b, c]
    assert ([str(guid) for guid in guids.to_uuids(types.guids)], types.names[types.codes[0]]) == ([a, b], "Computer")
    assert ([str(guid) for guid in guids.to_uuids(found.guids)], found.counts.tolist(), found.skipped) == ([a], [2], 1)
