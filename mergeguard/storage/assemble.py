"""Turns a snapshot and a profile into the core's columns; the one place where batches meet.

What is read is appended to growing columns and its batch is dropped, so that a table costs little more than its
columns. A malformed guid is never an error here: it is counted, and in the merge table it is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from mergeguard.core.columns import ReferenceCounts, StoredLookup, TypeTable
from mergeguard.core.guids import Guids
from mergeguard.core.table import MergeTable
from mergeguard.storage.cells.growing import Expected, GrowingColumn
from mergeguard.storage.cells.ids import good_rows, id_reader
from mergeguard.storage.cells.lookup_rows import LookupRows, Names
from mergeguard.storage.cells.merge_rows import MergeRows
from mergeguard.storage.profile import Live, Merge, Profile, Reference
from mergeguard.storage.source import Batch, Column, Kind, Progress, Selection, Snapshot, silent


def merge_table(snapshot: Snapshot, profile: Profile, progress: Progress = silent) -> MergeTable:
    """Read the merge table.

    Rows whose old or new is missing or malformed are rejected, with the old named first where both are. Values of new
    that the profile calls deleted become ``core.guids.TOMBSTONE``. Without a row id, rows count from 1 as read, and the
    numbers of rejected rows are left out.

    Raises:
        UnknownSchema: the table or a column does not exist.
        CannotCheck: any other reason, see ``errors``.
    """
    rows = MergeRows(profile.merge, numbered=_row_id_column(snapshot, profile.merge) is None)
    selection = _merge_selection(snapshot, profile.merge)
    for batch in _batches(snapshot, selection, progress, "reading merges", *rows.columns):
        rows.add(batch)
    return rows.table()


def _row_id_column(snapshot: Snapshot, merge: Merge) -> str | None:
    if merge.row_id is not None:
        return merge.row_id
    return "rowid" if getattr(snapshot, "default_row_id", None) else None


def _merge_selection(snapshot: Snapshot, merge: Merge) -> Selection:
    kind = id_reader(merge).kind
    optional = (
        (_row_id_column(snapshot, merge), Kind.ROW_ID),
        (merge.time, Kind.TIME),
        (merge.merge_key, Kind.TEXT),
    )
    wanted = [Column(merge.old, kind), Column(merge.new, kind)]
    wanted += [Column(name, kind) for name, kind in optional if name is not None]
    return Selection(tuple(wanted), table=merge.table)


def live_guids(snapshot: Snapshot, profile: Profile, progress: Progress = silent) -> Guids | None:
    """Read the guids that are live; ``None`` where the profile declares no liveness. Malformed ones are left out.

    A guid may stand more than once. Raises as ``merge_table`` does.
    """
    if profile.live is None:
        return None
    ids = id_reader(profile.merge)
    column: GrowingColumn[np.uint8] = GrowingColumn(np.uint8, 16)
    for (raw,) in _batches(snapshot, _live_selection(profile.live, ids.kind), progress, "reading live guids", column):
        cells = ids.cells(raw)
        column.append(cells.column, good_rows(cells))
    return column.finish()


def _live_selection(live: Live, kind: Kind) -> Selection:
    # A query has one column, whatever it calls it; readers of queries go by position.
    return Selection((Column(live.guid or "guid", kind),), live.table, live.query, live.where)


def type_table(snapshot: Snapshot, profile: Profile, progress: Progress = silent) -> TypeTable | None:
    """Read the type of each guid; ``None`` where the profile declares no types. Raises as ``merge_table`` does."""
    if profile.types is None:
        return None
    types, ids = profile.types, id_reader(profile.merge)
    selection = Selection((Column(types.guid, ids.kind), Column(types.type, Kind.TEXT)), types.table)
    column: GrowingColumn[np.uint8] = GrowingColumn(np.uint8, 16)
    codes: GrowingColumn[np.int32] = GrowingColumn(np.int32)
    names, skipped = Names(), 0
    for raw, texts in _batches(snapshot, selection, progress, "reading types", column, codes):
        cells = ids.cells(raw)
        skipped += len(cells.bad)
        batch_codes = names.codes(cast("Sequence[str | None]", texts))
        good = batch_codes != names.blank
        good[list(cells.bad)] = False
        column.append(cells.column, good)
        codes.append(batch_codes, good)
    return TypeTable(column.finish(), codes.finish(), names.names, skipped)


def reference_counts(
    snapshot: Snapshot, reference: Reference, profile: Profile, progress: Progress = silent
) -> ReferenceCounts:
    """Read how often a reference column holds each guid. Raises as ``merge_table`` does."""
    ids = id_reader(profile.merge)
    selection = Selection((Column(reference.column, ids.kind),), reference.table, counted=True)
    column: GrowingColumn[np.uint8] = GrowingColumn(np.uint8, 16)
    counts: GrowingColumn[np.int64] = GrowingColumn(np.int64)
    skipped = 0
    for raw, numbers in _batches(snapshot, selection, progress, f"reading {reference}"):
        cells, batch_counts = ids.cells(raw), cast("npt.NDArray[np.int64]", numbers)
        skipped += int(batch_counts[list(cells.bad)].sum())
        column.append(cells.column, good_rows(cells))
        counts.append(batch_counts, good_rows(cells))
    return ReferenceCounts(str(reference), column.finish(), counts.finish(), skipped)


def stored_lookup(snapshot: Snapshot, profile: Profile, progress: Progress = silent) -> StoredLookup | None:
    """Read the lookup as it is stored; ``None`` where its table does not exist. Raises as ``merge_table`` does.

    Where ids are texts, a lookup of guids (as MergeGuard writes it) and one of the texts themselves are both read.
    """
    lookup = profile.lookup
    if not snapshot.has_table(lookup.table):
        return None
    columns = (
        Column(lookup.old, Kind.GUID),
        Column(lookup.current, Kind.GUID),
        Column(lookup.depth, Kind.INTEGER),
        Column(lookup.status, Kind.TEXT),
    )
    rows = LookupRows(id_reader(profile.merge))
    for batch in _batches(snapshot, Selection(columns, lookup.table), progress, "reading the lookup", *rows.columns):
        rows.add(batch)
    return rows.lookup()


def _batches(
    snapshot: Snapshot, selection: Selection, progress: Progress, phase: str, *columns: GrowingColumn[Any]
) -> Iterator[Batch]:
    """Read, and make room in the columns as soon as the number of rows is known."""
    expected = Expected(progress)
    for batch in snapshot.read(selection, expected, phase):
        if expected.rows is not None:
            for column in columns:
                column.reserve(expected.rows)
        yield batch
