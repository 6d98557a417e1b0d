"""What every kind of target offers: a snapshot from which typed columns can be read in batches.

A dialect or file format implements ``Source`` and ``Snapshot``; ``storage.assemble`` turns batches into the core's
columns. Nothing above ``storage`` sees a cursor.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from mergeguard.core.guids import Guids
from mergeguard.core.table import Times
from mergeguard.storage.profile import Lookup

if TYPE_CHECKING:
    from mergeguard.storage.database.writing import DatabaseWriting
    from mergeguard.storage.lookup.building import LookupBuilding
    from mergeguard.storage.rows.database import DatabaseRows

BATCH_ROWS = 65_536
Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with (phase, rows so far, rows expected or None). May raise to stop the read."""


def silent(_phase: str, _done: int, _total: int | None) -> None:
    """Report progress to nobody."""


class Kind(enum.Enum):
    """How a column is to be read."""

    GUID = "guid"
    ROW_ID = "row_id"
    INTEGER = "integer"
    TEXT = "text"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Column:
    """A column to read. ``name`` is as the database spells it; ``rowid`` asks SQLite for its own row id."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Selection:
    """Columns of a table (or of a query) to read. Rows come in no particular order, each once.

    ``counted`` asks for each distinct combination of the columns once, with an INTEGER column of its count behind.
    """

    columns: tuple[Column, ...]
    table: str | None = None
    query: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    counted: bool = False


@dataclass(frozen=True, slots=True)
class GuidCells:
    """A batch of a GUID column: 16 bytes a row in text order; rows in ``bad`` hold zeros.

    ``bad`` maps the row's place in the batch to the value as found: ``None`` for NULL, else text cut to 80 characters
    (bytes that are no text as ``0x`` and hex).
    """

    column: Guids
    bad: Mapping[int, str | None] = field(default_factory=dict)


Cells: TypeAlias = GuidCells | npt.NDArray[np.int64] | Sequence[str | None] | Times
"""GUID -> GuidCells; INTEGER -> int64, NULL as -1; ROW_ID -> int64 or list of str; TEXT -> list of str or None;
TIME -> datetime64[us] in UTC, NaT for NULL or what is no time."""
Batch: TypeAlias = tuple[Cells, ...]
"""One entry a selected column (and the counts, where asked for), all of one length."""


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """What the target is, in words that may be printed."""

    target: str
    """Any password masked."""
    kind: str
    """sqlite, postgresql, mssql, csv, parquet."""
    server: str
    """e.g. ``PostgreSQL 16.4`` or ``SQLite 3.45.1``."""
    database: str


class Snapshot(Protocol):
    """One consistent view of the target; every read of a scan goes through one of these."""

    isolation: str
    """In words: what consistency the read got, e.g. ``snapshot (REPEATABLE READ, read only)``."""
    notes: list[str]
    """Remarks for the report, e.g. side files that had to be made."""

    def read(self, selection: Selection, progress: Progress = silent, phase: str = "reading") -> Iterator[Batch]:
        """Yield batches of the selected columns.

        Raises:
            UnknownSchema: a table or column does not exist; the hint names the nearest ones.
            CannotCheck: any other reason, see ``errors``.
        """
        ...

    def has_table(self, table: str) -> bool:
        """Say whether a table exists."""
        ...

    def columns(self, table: str) -> Sequence[tuple[str, str]]:
        """Return (name, type) of each column, the type as the database spells it."""
        ...

    def tables(self) -> Sequence[str]:
        """Return the names of all readable tables and views, qualified where they lie outside the default schema."""
        ...


@dataclass(frozen=True, slots=True)
class LookupChange:
    """What a lookup build writes, as columns: ``upserts`` replace or add by old, ``deletes`` go.

    ``statuses`` holds an index into ``status_names`` per row. ``currents`` is zero and ``depths`` -1 where
    ``has_current`` is false.
    """

    olds: Guids
    currents: Guids
    has_current: npt.NDArray[np.bool_]
    depths: npt.NDArray[np.int64]
    statuses: npt.NDArray[np.uint8]
    status_names: Sequence[str]
    deletes: Guids
    full: bool
    """True where the table is written whole (it was missing or empty); then ``deletes`` is empty."""

    @property
    def writes(self) -> bool:
        """Whether there is anything to write."""
        return self.full or len(self.olds) > 0 or len(self.deletes) > 0


class Source(Protocol):
    """A target that can be read, and for a database also written by the commands that say so."""

    info: TargetInfo

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Open a consistent, read-only view; nothing is written, not even side files where avoidable."""
        ...

    def recover(self) -> None:
        """Bring back in order what a writer that died left behind; for commands that write, before they look."""
        ...

    def building(self, lookup: Lookup) -> AbstractContextManager[LookupBuilding]:
        """Hold the merge lock alone while a lookup is read, worked out and written, in one transaction: never half.

        Raises ``Unsupported`` for files, ``PermissionDenied``, ``Locked`` or ``WriteFailed`` otherwise.
        """
        ...

    def rows(self, snapshot: Snapshot) -> DatabaseRows:
        """Offer whole rows, exactly, inside a snapshot of this source; they can be read and not changed.

        Raises ``Unsupported`` for files.
        """
        ...

    def writing(self) -> AbstractContextManager[DatabaseWriting]:
        """Offer transactions that change rows, each with the merge lock; the target is opened for the first one.

        Raises ``Unsupported`` for files, ``TargetNotFound``, ``NotADatabase``.
        """
        ...

    def doctor(self) -> Sequence[tuple[str, str, bool]]:
        """Return (check, finding, fine?) rows: driver, version, permissions, isolation, read-only proof."""
        ...

    def close(self) -> None:
        """Give back connections and files."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """How to open a target."""

    password: str | None = None
    """Put into the URL in place of its password; never printed."""
    lock_timeout: float = 10.0
    """Seconds to wait for another session's lock before giving up with ``Locked``."""
    fast: bool = True
    """Use the optional fast drivers where they are installed and fit."""
    batch_rows: int = BATCH_ROWS
    recover: bool = False
    """For commands that write: bring back in order what a writer that died left behind, before anything is read."""
