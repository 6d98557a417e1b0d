"""What a table says of a handful of guids: how many rows hold each, the text beside it, its latest time."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.index import GuidIndex
from mergeguard.core.repair.plan import Image
from mergeguard.core.table import Times
from mergeguard.errors import Unsupported
from mergeguard.storage.cells import counted_times, row_cells
from mergeguard.storage.cells.ids import id_reader
from mergeguard.storage.database.table_indexes import is_indexed
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Cells, Column, Kind, Selection, Snapshot

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows


FEW = 256
"""For so many guids a table is searched even without an index; for more, one reading of two columns costs less."""
_Value = TypeVar("_Value")


class KnownGuids:
    """Reads what is known of some guids from one snapshot, in any usual spelling.

    A database is asked for the rows of these guids where that is less work than reading all; a file is read.

    Args:
        snapshot: the view to read.
        profile: what guids look like in it.
        wanted: the guids.
        labels: the texts of guids that stand for text ids.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        profile: Profile,
        wanted: Collection[uuid.UUID],
        labels: Mapping[uuid.UUID, str] | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._ids = id_reader(profile.merge)
        self._wanted = sorted(set(wanted))
        self._index = GuidIndex(guids.from_uuids(self._wanted))
        self._rows = _rows(snapshot)
        if self._rows is not None:
            self._rows.labels = labels or {}

    def counts(self, table: str, column: str) -> Mapping[uuid.UUID, int]:
        """Count the rows whose ``column`` holds each guid; guids that none holds are left out."""
        found: Counter[uuid.UUID] = Counter()
        if (rows := self._searching(table, column)) is not None:
            found.update(guid for guid, _ in self._images(rows, table, column))
            return found
        selection = Selection((Column(column, self._ids.kind),), table, counted=True)
        for guid, cells, row in self._read(selection):
            found[guid] += int(cast("npt.NDArray[np.int64]", cells)[row])
        return found

    def texts(self, table: str, column: str, value: str) -> Mapping[uuid.UUID, Collection[str]]:
        """Return the distinct texts that stand beside each guid, NULL and blank ones left out."""
        found: dict[uuid.UUID, set[str]] = defaultdict(set)
        for guid, text in self._beside(table, column, value, Kind.TEXT, row_cells.text, _text_in):
            if text.strip():
                found[guid].add(text.strip())
        return found

    def latest(self, table: str, column: str, time: str) -> Mapping[uuid.UUID, dt.datetime]:
        """Return the latest time that stands beside each guid, aware and in UTC; what is no time is left out.

        Times may be counted, too: see ``counted_times``.
        """
        found: dict[uuid.UUID, dt.datetime] = {}
        dates = self._holds_dates(table, time)
        kind, of_batch = (Kind.TIME, _time_in) if dates else (Kind.TEXT, _moment_in)
        for guid, stamp in self._beside(table, column, time, kind, row_cells.moment, of_batch):
            found[guid] = max(found.get(guid, stamp), stamp)
        return found

    def _holds_dates(self, table: str, column: str) -> bool:
        """Say whether a column can hold nothing but times; SQLite stores anything in any column."""
        if getattr(getattr(self._snapshot, "source", None), "kind", None) == "sqlite":
            return False
        types = (
            kind.casefold() for name, kind in self._snapshot.columns(table) if name.casefold() == column.casefold()
        )
        return any("date" in kind or "time" in kind for kind in types)

    def _beside(
        self,
        table: str,
        column: str,
        value: str,
        kind: Kind,
        of_cell: Callable[[DatabaseRows, str, str, str | None], _Value | None],
        of_batch: Callable[[Cells, int], _Value | None],
    ) -> Iterator[tuple[uuid.UUID, _Value]]:
        """Yield each wanted guid with the value beside it, NULL left out, however the table is read."""
        found: Iterator[tuple[uuid.UUID, _Value | None]]
        if (rows := self._searching(table, column)) is not None:
            name = rows.column(table, value)
            found = (
                (guid, of_cell(rows, table, name, image[name])) for guid, image in self._images(rows, table, column)
            )
        else:
            columns = (Column(column, self._ids.kind), Column(value, kind))
            found = ((guid, of_batch(cells, row)) for guid, cells, row in self._read(Selection(columns, table)))
        for guid, said in found:
            if said is not None:
                yield guid, said

    def _searching(self, table: str, column: str) -> DatabaseRows | None:
        """Return the rows to search, or ``None`` where the whole column is to be read."""
        rows = self._rows
        return rows if rows is not None and (len(self._wanted) <= FEW or is_indexed(rows, table, column)) else None

    def _images(self, rows: DatabaseRows, table: str, column: str) -> Iterator[tuple[uuid.UUID, Image]]:
        name = rows.column(table, column)
        for image in rows.having(table, name, self._wanted):
            guid = rows.guid(table, name, image[name])
            if guid is not None:
                yield guid, image

    def _read(self, selection: Selection) -> Iterator[tuple[uuid.UUID, Cells, int]]:
        """Yield (guid, the other column of its batch, row in it) for each row that holds a wanted guid."""
        if not self._wanted:
            return
        for batch in self._snapshot.read(selection):
            cells = self._ids.cells(batch[0])
            places = self._index.find(cells.column)
            places[list(cells.bad)] = -1
            for row in np.flatnonzero(places >= 0).tolist():
                yield self._wanted[places[row]], batch[1], row


def _rows(snapshot: Snapshot) -> DatabaseRows | None:
    """Return the rows of a snapshot, ``None`` where single rows cannot be asked for: a file."""
    source = getattr(snapshot, "source", None)
    try:
        return None if source is None else source.rows(snapshot)
    except Unsupported:
        return None


def _text_in(cells: Cells, row: int) -> str | None:
    return cast("Sequence[str | None]", cells)[row]


def _moment_in(cells: Cells, row: int) -> dt.datetime | None:
    text = cast("Sequence[str | None]", cells)[row]
    return None if text is None else counted_times.moment(text)


def _time_in(cells: Cells, row: int) -> dt.datetime | None:
    stamp: dt.datetime | None = cast("Times", cells)[row].astype("datetime64[us]").item()
    return None if stamp is None else stamp.replace(tzinfo=dt.UTC)
