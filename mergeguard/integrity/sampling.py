"""Bounded samples of a database nobody described: the first rows of each column that may hold guids.

Discovery looks at nothing else. A table that cannot be read is a note, not a failure, and a time budget ends the
looking, so that a server with thousands of tables or billions of rows costs no more than a small one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from mergeguard.core import guids
from mergeguard.core.budget import Spent
from mergeguard.core.guids import Bools, Guids
from mergeguard.core.index import GuidIndex
from mergeguard.errors import CannotCheck
from mergeguard.integrity import naming
from mergeguard.storage.cells.growing import GrowingColumn
from mergeguard.storage.database.foreign_keys import ForeignKey, foreign_keys
from mergeguard.storage.source import Column, GuidCells, Kind, Progress, Selection, Snapshot, Source

_GUID_TYPES = ("uuid", "uniqueidentifier", "guid")
_BINARY = ("blob", "bytea", "binary", "varbinary", "raw")
_TEXT = ("char", "text", "clob", "string", "null")
_LENGTH = re.compile(r"\((\d+)")


@dataclass(frozen=True, slots=True)
class ColumnSample:
    """What the first rows of a column hold: ``guids`` is shape ``(n, 16)``, the well-formed ones that are not zero."""

    name: str
    type: str
    guids: Guids
    malformed: int = 0
    blank: int = 0
    texts: tuple[str, ...] = ()
    """A few distinct values that are no guids."""

    @property
    def share(self) -> float | None:
        """How much of what stands there is guids; ``None`` where nothing stands there."""
        there = len(self.guids) + self.malformed
        return len(self.guids) / there if there else None

    @property
    def holds_guids(self) -> bool:
        """Whether to take it for a column of guids: by what stands there, else by its type, else by its name."""
        if self.share is not None:
            return self.share >= 0.5
        return declared_guid(self.type) or naming.guid_column(self.name)

    @property
    def unique(self) -> bool:
        """Whether no guid of the sample stands there twice."""
        return len(np.unique(self.guids, axis=0)) == len(self.guids)


@dataclass(frozen=True, slots=True)
class TableSample:
    """One table: its columns as (name, type), and samples of those that may hold guids."""

    name: str
    columns: Sequence[tuple[str, str]]
    samples: Mapping[str, ColumnSample]
    foreign_keys: Sequence[ForeignKey] = ()

    @property
    def guid_columns(self) -> list[ColumnSample]:
        """The columns of guids."""
        return [sample for sample in self.samples.values() if sample.holds_guids]


@dataclass(slots=True)
class Survey:
    """All tables that were looked at, and what has to be said about the looking."""

    tables: list[TableSample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def declared_guid(kind: str) -> bool:
    """Say whether a column type is one of guids."""
    return kind.lower().startswith(_GUID_TYPES)


def may_hold_guids(kind: str) -> bool:
    """Say whether a column of this type could hold guids: as guids, 16 bytes, or 32 to 38 characters and more."""
    spelled = kind.lower()
    length = _LENGTH.search(spelled)
    if declared_guid(spelled) or not spelled:
        return True
    if any(name in spelled for name in _BINARY):
        return length is None or int(length[1]) >= 16
    return any(name in spelled for name in _TEXT) and (length is None or int(length[1]) >= 32)


def survey(source: Source, rows: int, spent: Spent, progress: Progress) -> Survey:
    """Read up to ``rows`` rows of each table, MergeGuard's own left out.

    Raises:
        CannotCheck: the target cannot be opened, or its tables cannot be listed.
    """
    found = Survey()
    with source.snapshot() as snapshot:
        names = [name for name in snapshot.tables() if not _own(name)]
    pending = deque(names)
    while pending and not spent():
        # A server may refuse the rest of a transaction in which one read failed: go on in a new one.
        with source.snapshot() as snapshot:
            while pending and not spent():
                name = pending.popleft()
                progress("sampling tables", len(names) - len(pending), len(names))
                try:
                    found.tables.append(_sample(snapshot, name, rows))
                except CannotCheck as error:
                    found.notes.append(f"table {name} was left out: {error.message}")
                    break
    if pending:
        found.notes.append(f"the time budget ended before {len(pending)} of {len(names)} tables were looked at")
    return found


def _own(name: str) -> bool:
    return naming.unqualified(name).lower().startswith(naming.OWN_PREFIX)


def _sample(snapshot: Snapshot, table: str, rows: int) -> TableSample:
    columns = snapshot.columns(table)
    asked = [(name, kind) for name, kind in columns if may_hold_guids(kind)]
    if not asked:
        return TableSample(table, columns, {})
    cells = first_guids(snapshot, table, [name for name, _ in asked], rows)
    samples = {name: _column(name, kind, parts) for (name, kind), parts in zip(asked, cells, strict=True)}
    return TableSample(table, columns, samples, foreign_keys(snapshot, table))


def first_guids(snapshot: Snapshot, table: str, columns: Sequence[str], rows: int) -> list[list[GuidCells]]:
    """Read guid columns side by side until ``rows`` rows are there; one list of batches a column."""
    selection = Selection(tuple(Column(name, Kind.GUID) for name in columns), table=table)
    parts: list[list[GuidCells]] = [[] for _ in columns]
    left = rows
    with closing(cast("Iterator[tuple[GuidCells, ...]]", snapshot.read(selection))) as batches:  # type: ignore[type-var]
        for batch in batches:
            for part, cells in zip(parts, batch, strict=True):
                bad = {at: text for at, text in cells.bad.items() if at < left}
                part.append(GuidCells(cells.column[:left], bad))
            left -= len(batch[0].column)
            if left <= 0:
                break
    return parts


def _column(name: str, kind: str, parts: Sequence[GuidCells]) -> ColumnSample:
    bad = [text for cells in parts for text in cells.bad.values()]
    texts = [text for text in bad if text is not None and text.strip()]
    good = [_good(cells) for cells in parts]
    column = np.concatenate(good) if good else guids.empty()
    zeros = sum(len(cells.column) - len(cells.bad) for cells in parts) - len(column)
    few = tuple(dict.fromkeys(texts))[:3]
    return ColumnSample(name, kind, column, len(texts), len(bad) - len(texts) + zeros, few)


def _good(cells: GuidCells) -> Guids:
    """Return the well-formed guids that are not the all-zero one."""
    good = np.asarray(cells.column.any(axis=1), np.bool_)  # a bad row holds zeros too
    return np.ascontiguousarray(cells.column[good])


def members(source: Source, table: str, columns: Sequence[str], rows: int, spent: Spent) -> list[Guids]:
    """Read more of a few columns, up to ``rows`` rows, to look samples up in them; what the budget allows."""
    grown: list[GrowingColumn[np.uint8]] = [GrowingColumn(np.uint8, 16) for _ in columns]
    selection = Selection(tuple(Column(name, Kind.GUID) for name in columns), table=table)
    with source.snapshot() as snapshot:
        for batch in snapshot.read(selection):
            for column, cells in zip(grown, cast("tuple[GuidCells, ...]", batch), strict=True):
                column.append(_good(cells))
            if spent() or max(map(len, grown)) >= rows:
                break
    return [column.finish() for column in grown]


class GuidSet:
    """Guids to look others up in."""

    def __init__(self, *columns: Guids) -> None:
        self._index = GuidIndex(np.concatenate([guids.empty(), *columns]))

    def __len__(self) -> int:
        return len(self._index.lead)

    def holds(self, column: Guids) -> Bools:
        """Return for each guid of a column whether it stands here."""
        return np.asarray(self._index.find(column) >= 0, np.bool_)

    def share(self, column: Guids) -> float:
        """Return how much of a column stands here, from 0 to 1; 0 for an empty column."""
        return float(self.holds(column).mean()) if len(column) else 0.0
