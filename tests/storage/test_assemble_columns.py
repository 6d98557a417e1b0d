"""Columns assembled from batches equal what a dictionary model makes of the same cells."""

from __future__ import annotations

import datetime as dt
import tracemalloc
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core import guids
from mergeguard.core.table import MAX_REJECTED
from mergeguard.storage import assemble
from mergeguard.storage.cells.growing import GrowingColumn
from mergeguard.storage.profile import ByteOrder, Live, Lookup, Merge, Profile, Reference, Types
from mergeguard.storage.source import Batch, Column, GuidCells, Kind, Progress, Selection, silent

POOL = [uuid.UUID(int=number) for number in (0, 1, 2, 3 << 96, (1 << 128) - 1)]
ZERO = str(POOL[0])
SPELLINGS = [str, lambda g: str(g).upper(), lambda g: f"{{{g}}}", lambda g: g.hex, lambda g: f" urn:uuid:{g} "]


@st.composite
def spelled(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(SPELLINGS))(draw(st.sampled_from(POOL)))


cell_texts = st.one_of(
    spelled(), st.none(), st.sampled_from(["", "  ", "gone", "GUID-1", "malware--" + str(POOL[1]), "x" * 300])
)


class Tables:
    """A snapshot of lists of texts that offers what the contract asks of a source."""

    isolation = "a list"
    notes: tuple[str, ...] = ()

    def __init__(self, batch_rows: int = 3, *, hint: int | None = None, **tables: dict[str, list[Any]]) -> None:
        self._tables = tables
        self._batch_rows = batch_rows
        self._hint = hint
        self.default_row_id: str | None = None

    def has_table(self, table: str) -> bool:
        return table in self._tables

    def read(self, selection: Selection, progress: Progress = silent, phase: str = "reading") -> Iterator[Batch]:
        columns = [self._values(selection, column) for column in selection.columns]
        rows = list(zip(*columns, strict=True))
        if selection.counted:
            rows = [(*row, count) for row, count in Counter(rows).items()]
        kinds = [column.kind for column in selection.columns] + [Kind.INTEGER] * selection.counted
        for start in range(0, len(rows), self._batch_rows):
            part = rows[start : start + self._batch_rows]
            progress(phase, start + len(part), self._hint)
            yield tuple(_cells(kind, list(values)) for kind, values in zip(kinds, zip(*part, strict=True), strict=True))

    def _values(self, selection: Selection, column: Column) -> list[Any]:
        table = self._tables[selection.table or "query"]
        return list(range(100, 100 + len(table["old"]))) if column.name == "rowid" else table[column.name]


def _cells(kind: Kind, values: list[Any]) -> Any:
    if kind is Kind.GUID:
        column, good = guids.parse_column(values)
        return GuidCells(column, {i: v and v[:80] for i, v in enumerate(values) if not good[i]})
    if kind is Kind.INTEGER:
        return np.array([-1 if value is None else value for value in values], np.int64)
    if kind is Kind.ROW_ID:
        whole = all(isinstance(value, int) for value in values)
        return np.array(values, np.int64) if whole else [str(value) for value in values]
    return np.array(values, "datetime64[us]") if kind is Kind.TIME else values


def merges(rows: Sequence[tuple[Any, ...]], *names: str) -> dict[str, list[Any]]:
    return {name: [row[at] for row in rows] for at, name in enumerate(("old", "new", *names))}


def profile(**merge: Any) -> Profile:
    return Profile(merge=Merge(table="merges", old="old", new="new", **merge))


def model_guid(text: str | None, ids: str, deleted: Sequence[str] = ()) -> uuid.UUID | None:
    """Ten lines that say what a cell means."""
    stripped = (text or "").strip()
    guid = guids.parse(stripped)
    if any(stripped == value.strip() or (guid and guid == guids.parse(value)) for value in deleted):
        return guids.TOMBSTONE
    if guid is not None or not stripped:
        return guid
    return guids.text_id(stripped) if ids == "text" else None


@given(
    st.lists(st.tuples(cell_texts, cell_texts)),
    st.sampled_from(["guid", "text"]),
    st.lists(st.sampled_from(["", "gone", ZERO, POOL[1].hex]), unique=True),
    st.integers(1, 5),
    st.sampled_from([None, 0, 4, 1000]),
)
def test_the_merge_table_is_what_the_model_says_of_each_row(
    rows: list[tuple[str | None, str | None]], ids: str, deleted: list[str], batch_rows: int, hint: int | None
) -> None:
    meant = [(model_guid(old, ids), model_guid(new, ids, deleted)) for old, new in rows]
    good = [number for number, pair in enumerate(meant, 1) if None not in pair]
    snapshot = Tables(batch_rows, hint=hint, merges=merges(rows))
    table = assemble.merge_table(snapshot, profile(ids=ids, deleted_values=tuple(deleted)))
    assert guids.to_uuids(table.old) == [meant[number - 1][0] for number in good]
    assert guids.to_uuids(table.new) == [meant[number - 1][1] for number in good]
    assert [table.row_id(row) for row in range(len(table))] == good
    assert len(table.rejected) == len(rows) - len(good)
    for bad in table.rejected.rows:
        old, new = rows[int(bad.row_id) - 1]
        found = old if bad.column == "old" else new
        assert bad.value == (found and found[:80])
        assert (bad.column == "old") == (meant[int(bad.row_id) - 1][0] is None)


@given(st.lists(st.tuples(cell_texts, cell_texts)), st.integers(1, 5))
def test_every_text_id_keeps_its_text(rows: list[tuple[str | None, str | None]], batch_rows: int) -> None:
    table = assemble.merge_table(Tables(batch_rows, merges=merges(rows)), profile(ids="text"))
    texts = {(text or "").strip() for row in rows for text in row} - {""}
    assert table.labels == {guids.text_id(text): text for text in texts if guids.parse(text) is None}
    assert len(table.labels) == len(set(table.labels))


def test_a_type_before_a_guid_makes_it_a_text_id_of_its_own() -> None:
    text = f"malware--{POOL[1]}"
    table = assemble.merge_table(Tables(merges=merges([(text, str(POOL[1]))])), profile(ids="text"))
    assert guids.to_uuid(table.old, 0) == guids.text_id(text) != POOL[1] == guids.to_uuid(table.new, 0)


def test_a_text_can_be_an_id_on_one_side_and_mean_deleted_on_the_other() -> None:
    declared = profile(ids="text", deleted_values=("gone",))
    table = assemble.merge_table(Tables(merges=merges([("gone", "a"), ("b", " gone ")])), declared)
    assert guids.to_uuids(table.old) == [guids.text_id("gone"), guids.text_id("b")]
    assert guids.to_uuids(table.new) == [guids.text_id("a"), guids.TOMBSTONE]


@pytest.mark.parametrize("order", ["text", "sqlserver"])
def test_raw_bytes_read_as_text_are_still_the_guid(order: ByteOrder) -> None:
    guid = uuid.uuid4()
    raw = guid.bytes_le if order == "sqlserver" else guid.bytes
    declared = profile(ids="text", byte_order=order)
    table = assemble.merge_table(Tables(merges=merges([("0x" + raw.hex(), "0x12")])), declared)
    assert guids.to_uuids(table.old) == [guid]
    assert table.labels == {guids.text_id("0x12"): "0x12"}


@given(st.lists(st.one_of(st.integers(-5, 5), st.sampled_from(["7", "a"]))), st.integers(1, 4))
def test_row_ids_are_integers_while_all_are(ids: list[int | str], batch_rows: int) -> None:
    rows = [(str(POOL[1]), str(POOL[2]), value) for value in ids]
    table = assemble.merge_table(Tables(batch_rows, merges=merges(rows, "id")), profile(row_id="id"))
    whole = all(isinstance(value, int) for value in ids)
    assert [table.row_id(row) for row in range(len(table))] == (ids if whole else [str(value) for value in ids])
    assert isinstance(table.row_ids, np.ndarray if whole else list)


def test_the_row_id_of_the_source_stands_in_where_the_profile_names_none() -> None:
    snapshot = Tables(merges=merges([("bad", ZERO), (ZERO, ZERO)]))
    snapshot.default_row_id = "rowid"
    table = assemble.merge_table(snapshot, profile())
    assert [row.row_id for row in table.rejected.rows] == [100]
    assert [table.row_id(row) for row in range(len(table))] == [101]


@given(st.lists(st.tuples(cell_texts, st.none() | st.datetimes(), st.none() | st.sampled_from("ab"))))
def test_times_and_merge_keys_stay_with_their_rows(rows: list[tuple[Any, ...]]) -> None:
    found = [(old, ZERO, time, key) for old, time, key in rows]
    snapshot = Tables(merges=merges(found, "time", "key"))
    table = assemble.merge_table(snapshot, profile(time="time", merge_key="key"))
    good = [(time, key) for old, time, key in rows if guids.parse(old) is not None]
    assert table.merge_keys is not None
    seen = [(table.time(row), table.merge_keys[row]) for row in range(len(table))]
    assert seen == [(time and time.replace(tzinfo=dt.UTC), key) for time, key in good]


def test_every_bad_row_is_counted_and_the_first_thousand_of_a_kind_are_kept() -> None:
    rows = [("nonsense", ZERO)] * (MAX_REJECTED + 7) + [(None, ZERO)] * 5 + [("", ZERO)] * MAX_REJECTED
    table = assemble.merge_table(Tables(500, merges=merges(rows)), profile())
    assert (table.rejected.malformed, table.rejected.blank, len(table)) == (MAX_REJECTED + 7, MAX_REJECTED + 5, 0)
    assert len(table.rejected.rows) == 2 * MAX_REJECTED


@given(st.lists(cell_texts), st.sampled_from(["guid", "text"]))
def test_live_guids_and_references_are_what_the_model_says(texts: list[str | None], ids: str) -> None:
    snapshot = Tables(items={"guid": texts})
    declared = Profile(merge=Merge(ids=ids), live=Live("items", "guid"))  # type: ignore[arg-type]
    meant = [model_guid(text, ids) for text in texts]
    live = assemble.live_guids(snapshot, declared)
    assert live is not None
    assert guids.to_uuids(live) == [guid for guid in meant if guid is not None]
    counts = assemble.reference_counts(snapshot, Reference("items", "guid"), declared)
    total: Counter[uuid.UUID | None] = Counter()
    for guid, count in zip(guids.to_uuids(counts.guids), counts.counts.tolist(), strict=True):
        total[guid] += count
    total[None] = counts.skipped
    assert total == Counter(meant)
    assert counts.reference == "items.guid"


@given(st.lists(st.tuples(cell_texts, st.none() | st.sampled_from(["", " ", "Computer", " Computer ", "User"]))))
def test_types_are_numbered_and_untyped_guids_left_out(rows: list[tuple[str | None, str | None]]) -> None:
    items = {"guid": [guid for guid, _ in rows], "type": [name for _, name in rows]}
    table = assemble.type_table(Tables(items=items), Profile(types=Types("items", "guid", "type")))
    assert table is not None
    seen = [(guid, table.names[code]) for guid, code in zip(guids.to_uuids(table.guids), table.codes, strict=True)]
    meant = [(guids.parse(guid), (name or "").strip()) for guid, name in rows]
    assert seen == [(guid, name) for guid, name in meant if guid is not None and name]
    assert table.skipped == sum(guid is None for guid, _ in meant)


lookup_rows = st.tuples(cell_texts, cell_texts, st.none() | st.integers(0, 9), st.sampled_from([None, "ok", "cycle"]))


@given(st.lists(lookup_rows), st.sampled_from(["guid", "text"]))
def test_the_stored_lookup_is_read_whole(rows: list[tuple[Any, ...]], ids: str) -> None:
    # A cell that was cut when it was read no longer says which text it was.
    rows = [tuple(None if value == "x" * 300 else value for value in row) for row in rows]
    names = ("old_guid", "current_guid", "depth", "status")
    stored = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    declared = Profile(merge=Merge(ids=ids), lookup=Lookup(table="lookup"))  # type: ignore[arg-type]
    lookup = assemble.stored_lookup(Tables(lookup=stored), declared)
    assert lookup is not None
    meant = [(model_guid(row[0], ids), model_guid(row[1], ids), row[2], row[3] or "") for row in rows]
    good = [row for row in meant if row[0] is not None]
    assert guids.to_uuids(lookup.olds) == [row[0] for row in good]
    currents = zip(guids.to_uuids(lookup.currents), lookup.has_current, strict=True)
    assert [guid if there else None for guid, there in currents] == [row[1] for row in good]
    assert lookup.depths.tolist() == [-1 if row[2] is None else row[2] for row in good]
    assert [lookup.status_names[code] for code in lookup.statuses] == [row[3] for row in good]
    assert lookup.skipped == len(rows) - len(good)


def test_a_lookup_full_of_strange_statuses_still_fits_one_byte() -> None:
    rows = 300
    stored: dict[str, list[Any]] = {"old_guid": [ZERO] * rows, "current_guid": [ZERO] * rows, "depth": [0] * rows}
    lookup = assemble.stored_lookup(
        Tables(lookup={**stored, "status": [f"odd {row}" for row in range(rows - 1)] + [None]}),
        Profile(lookup=Lookup(table="lookup")),
    )
    assert lookup is not None
    assert len(lookup.status_names) == 256
    assert lookup.statuses.tolist() == [*range(256), *[255] * (rows - 256)]


def test_what_is_not_declared_is_none() -> None:
    snapshot = Tables()
    assert assemble.live_guids(snapshot, Profile()) is None
    assert assemble.type_table(snapshot, Profile()) is None
    assert assemble.stored_lookup(snapshot, Profile()) is None


def test_a_progress_that_raises_stops_the_read() -> None:
    def enough(_phase: str, done: int, _total: int | None) -> None:
        if done > 3:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        assemble.merge_table(Tables(merges=merges([(ZERO, ZERO)] * 9)), profile(), enough)


@given(st.lists(st.lists(st.integers(-9, 9), max_size=9)), st.integers(0, 30))
def test_a_growing_column_is_its_batches_in_a_row(batches: list[list[int]], hint: int) -> None:
    column: GrowingColumn[np.int64] = GrowingColumn(np.int64)
    column.reserve(hint)
    for batch in batches:
        column.append(np.array(batch, np.int64))
    flat = [value for batch in batches for value in batch]
    assert len(column) == len(flat)
    assert column.finish().tolist() == flat
    assert len(column) == 0


def test_growing_never_holds_a_column_twice() -> None:
    batch = np.ones((65_536, 16), np.uint8)
    tracemalloc.start()
    column: GrowingColumn[np.uint8] = GrowingColumn(np.uint8, 16)
    for _ in range(100):
        column.append(batch)
    _, peak = tracemalloc.get_traced_memory()
    found = column.finish()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.nbytes == 100 * batch.nbytes
    assert peak < 1.4 * found.nbytes
    assert kept < found.nbytes + batch.nbytes
