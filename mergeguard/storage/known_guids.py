"""What a table says of a handful of guids: how many rows hold each, the text beside it, its latest time."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import cast

import numpy as np

from mergeguard.core import guids
from mergeguard.core.index import GuidIndex
from mergeguard.core.table import Times
from mergeguard.storage.ids import id_reader
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Batch, Cells, Column, Kind, Selection, Snapshot


class KnownGuids:
    """Reads what is known of some guids from one snapshot, whatever spelling the tables have for them."""

    def __init__(self, snapshot: Snapshot, profile: Profile, wanted: Collection[uuid.UUID]) -> None:
        self._snapshot = snapshot
        self._ids = id_reader(profile.merge)
        self._wanted = sorted(set(wanted))
        self._index = GuidIndex(guids.from_uuids(self._wanted))

    def counts(self, table: str, column: str) -> Mapping[uuid.UUID, int]:
        """Count the rows whose ``column`` holds each guid; guids that none holds are left out."""
        found: Counter[uuid.UUID] = Counter()
        for guid, cells, row in self._rows(Selection((Column(column, self._ids.kind),), table, counted=True)):
            found[guid] += int(cast("np.ndarray[tuple[int], np.dtype[np.int64]]", cells)[row])
        return found

    def texts(self, table: str, column: str, value: str) -> Mapping[uuid.UUID, Collection[str]]:
        """Return the distinct texts that stand beside each guid, NULL and blank ones left out."""
        found: dict[uuid.UUID, set[str]] = defaultdict(set)
        columns = (Column(column, self._ids.kind), Column(value, Kind.TEXT))
        for guid, cells, row in self._rows(Selection(columns, table)):
            text = cast("list[str | None]", cells)[row]
            if text is not None and text.strip():
                found[guid].add(text.strip())
        return found

    def latest(self, table: str, column: str, time: str) -> Mapping[uuid.UUID, dt.datetime]:
        """Return the latest time that stands beside each guid, aware and in UTC; what is no time is left out."""
        found: dict[uuid.UUID, dt.datetime] = {}
        columns = (Column(column, self._ids.kind), Column(time, Kind.TIME))
        for guid, cells, row in self._rows(Selection(columns, table)):
            stamp = cast("Times", cells)[row].astype("datetime64[us]").item()
            if stamp is not None:
                stamp = stamp.replace(tzinfo=dt.UTC)
                found[guid] = max(found.get(guid, stamp), stamp)
        return found

    def _rows(self, selection: Selection) -> Iterator[tuple[uuid.UUID, Cells, int]]:
        """Yield (guid, the other column of its batch, row in it) for each row that holds a wanted guid."""
        if not self._wanted:
            return
        for batch in self._snapshot.read(selection):
            places = self._places(batch)
            for row in np.flatnonzero(places >= 0).tolist():
                yield self._wanted[places[row]], batch[1], row

    def _places(self, batch: Batch) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        cells = self._ids.cells(batch[0])
        places = self._index.find(cells.column)
        places[list(cells.bad)] = -1
        return places
