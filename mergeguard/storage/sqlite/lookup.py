"""Writes the lookup into SQLite in bulk: packed records go in as one value and are cut up by SQL.

That is as fast as any driver's bulk way and needs none: per statement a few thousand rows travel as one blob. Rows go
in by the order of their key, because a B-tree filled at random places costs five times as much.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from mergeguard.core import guids
from mergeguard.core.guids import Guids
from mergeguard.storage.database.ahead import ahead
from mergeguard.storage.lookup.database import PHASE, GuidForm, LookupWriter
from mergeguard.storage.source import LookupChange, Progress
from mergeguard.storage.sqlite.packing import sample

Rows: TypeAlias = npt.NDArray[np.intp]
Bytes: TypeAlias = npt.NDArray[np.uint8]
CHUNK = 8192
"""Rows a statement."""
_NUMBERS = sa.Table(
    "mergeguard_numbers",
    sa.MetaData(),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("place", sa.Integer),
    prefixes=["TEMPORARY"],
    schema="temp",
)


class SqliteLookupWriter(LookupWriter):
    """One write of the lookup through packed records."""

    writes_parts: ClassVar[bool] = True

    def form_of(self, stored: sa.types.TypeEngine[Any], table: str, column: str) -> GuidForm:
        """Judge by what the column holds; SQLite's declared types bind nobody."""
        found = self.connection.execute(sample(self.snapshot, table, column)).first()
        if found is not None:
            return "bytes" if found[0] == "blob" else "text"
        binary = isinstance(stored, sa.types._Binary | sa.types.NullType)  # noqa: SLF001 - the one base of binary types
        return "bytes" if binary else "text"

    def guid_type(self, stored: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:  # noqa: ARG002 - a hook's parameter
        """Return BLOB or TEXT, as the guids are."""
        return sa.LargeBinary() if self.form == "bytes" else sa.Text()

    def other_spelling(self, old: sa.ColumnElement[Any]) -> sa.ColumnElement[bool] | None:
        """Ask for the storage class as well: a column may hold texts and blobs."""
        if self.form == "bytes":
            return sa.or_(sa.func.typeof(old) != "blob", sa.func.length(old) != 16)
        spelled = super().other_spelling(old)
        return None if spelled is None else sa.or_(sa.func.typeof(old) != "text", spelled)

    def status_type(self) -> sa.types.TypeEngine[Any]:
        """Return SQLite's one type of text."""
        return sa.Text()

    def define(self, schema: str | None, name: str, guid: sa.types.TypeEngine[Any]) -> sa.Table:
        """Describe the lookup: stored in the order of its key, once."""
        table = super().define(schema, name, guid)
        table.dialect_options["sqlite"]["with_rowid"] = False
        return table

    def prepare(self) -> None:
        """Find or create the lookup, and make the numbers that cut records out of a blob."""
        super().prepare()
        # A connection that wrote before has them already, unless that was rolled back.
        self.connection.execute(sa.schema.CreateTable(_NUMBERS, if_not_exists=True))
        first = sa.select(sa.literal(0).label("n")).cte("counted", recursive=True)
        counted = first.union_all(sa.select(first.c.n + 1).where(first.c.n < CHUNK - 1))
        numbers = sa.select(counted.c.n, counted.c.n * self._size + 1)
        self.connection.execute(_NUMBERS.delete())
        self.connection.execute(_NUMBERS.insert().from_select(list(_NUMBERS.c), numbers))

    def delete(self, olds: Guids) -> None:
        """Delete the rows of ``olds``."""
        if not self._cuts_text():
            super().delete(olds)
            return
        wanted = self._records(sa.select(self._guid("olds")))
        statement = self.table.delete().where(self.table.c[0].in_(wanted))
        for rows in _chunks(_by_key(olds)):
            self.connection.execute(statement, {"olds": self._stored(olds, rows), "records": len(rows)})

    def insert(self, change: LookupChange, progress: Progress) -> None:
        """Insert all rows of ``change``, one kind of row after the other, each in the order of the key."""
        if not self._cuts_text():
            super().insert(change, progress)
            return
        done = 0
        for statement, values in ahead(self._insertions(change)):
            self.connection.execute(statement, values)
            done += values["records"]
            progress(PHASE, done, len(change.olds))

    def _insertions(self, change: LookupChange) -> Iterator[tuple[sa.Insert, dict[str, Any]]]:
        """Yield statements with their values, a chunk of rows each."""
        for rows in _groups(change):
            first = int(rows[0])
            has, known = bool(change.has_current[first]), bool(change.depths[first] >= 0)
            statement = self._insertion(has_current=has, has_depth=known)
            status = change.status_names[change.statuses[first]]
            for chunk in _chunks(rows):
                values = {"records": len(chunk), "status": status, "olds": self._stored(change.olds, chunk)}
                if has:
                    values["currents"] = self._stored(change.currents, chunk)
                if known:
                    digits = _digits(change.depths[chunk])
                    values |= {"depths": digits.tobytes(), "width": digits.shape[1]}
                yield statement, values

    def _insertion(self, *, has_current: bool, has_depth: bool) -> sa.Insert:
        width = sa.bindparam("width", type_=sa.Integer)
        place = _NUMBERS.c.n * width + sa.literal_column("1", sa.Integer)
        depth = sa.func.substr(sa.bindparam("depths", type_=sa.LargeBinary), place, width)
        columns = (
            self._guid("olds"),
            self._guid("currents") if has_current else sa.null(),
            sa.cast(depth, sa.Integer) if has_depth else sa.null(),
            sa.bindparam("status", type_=sa.Text),
        )
        return self.table.insert().from_select(list(self.table.c), self._records(sa.select(*columns)))

    def _records(self, columns: sa.Select[Any]) -> sa.Select[Any]:
        """Repeat a selection for each record of the blob, in order."""
        number = _NUMBERS.c.n
        return columns.select_from(_NUMBERS).where(number < sa.bindparam("records", type_=sa.Integer)).order_by(number)

    def _guid(self, packed: str) -> sa.ColumnElement[Any]:
        """Cut the record's guid out of a blob, in the form that the table stores."""
        blob = sa.bindparam(packed, type_=sa.LargeBinary)
        cut = sa.func.substr(blob, _NUMBERS.c.place, sa.literal_column(str(self._size)))
        return cut if self.form == "bytes" else sa.cast(cut, sa.Text)

    @property
    def _size(self) -> int:
        """How many bytes a guid takes."""
        return 16 if self.form == "bytes" else 36

    def _stored(self, column: Guids, rows: Rows) -> bytes:
        """Return some guids as the bytes that the table is to hold."""
        # As one value of 16 bytes each: picking rows of a matrix takes four times as long.
        chosen = np.ascontiguousarray(column).view("V16")[:, 0][rows].view(np.uint8).reshape(-1, 16)
        if self.form == "text":
            return guids.to_texts(chosen).tobytes()
        return (guids.swap_sql_server(chosen) if self._swaps else chosen).tobytes()

    @property
    def _swaps(self) -> bool:
        return self.source.profile.merge.byte_order == "sqlserver"

    def _cuts_text(self) -> bool:
        """Say whether bytes can be cast to text: SQLite takes them for UTF-16 in a UTF-16 database."""
        return bool(self.connection.exec_driver_sql("PRAGMA encoding").scalar() == "UTF-8")


def _by_key(olds: Guids) -> Rows:
    """Return the row numbers in the order of the first bytes of the guid: near enough for a B-tree.

    Their low bits give way to the row number, so that values alone are sorted: half the time of an argsort.
    """
    numbers = np.uint64((1 << len(olds).bit_length()) - 1)
    words: npt.NDArray[np.uint64] = np.ascontiguousarray(olds).view(">u8")[:, 0].astype(np.uint64)
    words &= ~numbers
    words |= np.arange(len(olds), dtype=np.uint64)
    words.sort()
    words &= numbers
    return words.astype(np.intp)


def _groups(change: LookupChange) -> Iterator[Rows]:
    """Yield row numbers of one status each, with a current and a depth or without."""
    order = _by_key(change.olds)
    code = change.statuses.astype(np.uint16) * np.uint16(4)
    code += change.has_current * np.uint16(2) + (change.depths >= 0)
    code = code[order]
    for value in np.flatnonzero(np.bincount(code)).tolist():
        yield order[code == value]


def _chunks(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]


def _digits(depths: npt.NDArray[np.int64]) -> Bytes:
    """Write depths, whole numbers from 0 up, in decimal digits, all of one width."""
    width = len(str(int(depths.max())))
    numbers = depths.astype(np.uint32)
    digits = np.empty((len(depths), width), np.uint8)
    for place in reversed(range(width)):
        numbers, digit = np.divmod(numbers, np.uint32(10))
        digits[:, place] = digit + ord("0")
    return digits
