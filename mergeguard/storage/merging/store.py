"""The statements of a merge on our own tables: lock and write both roots, ask for pairs and requests, move the lookup.

A merge is a handful of short statements, so they go through the driver: SQLAlchemy's results would double their cost.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mergeguard.errors import PermissionDenied
from mergeguard.storage.database.guid_parameters import OwnTable
from mergeguard.storage.database.stored_table import Condition
from mergeguard.storage.database.table_indexes import is_indexed
from mergeguard.storage.merging.tables import missing, tables_of

if TYPE_CHECKING:
    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.lookup.part import LookupRow
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows

UPSERT = (
    "INSERT INTO {table} AS r ({guid}, {turn}) VALUES {rows} ON CONFLICT ({guid}) DO UPDATE SET {turn} = r.{turn} + 1"
)
PRESENT = "INSERT INTO {table} ({guid}, {turn}) VALUES {rows} ON CONFLICT DO NOTHING"
# PostgreSQL lets who shares a row pass those who wait to write it, for ever if new ones keep coming. So a merge first
# takes the lock of the guid's turn, behind which importers queue.
TURN = "SELECT pg_advisory_xact_lock(%s)"
SHARE = "SELECT 1 FROM {table} WHERE {guid} IN ({marks}) ORDER BY {guid} FOR SHARE"
UPSERT_MSSQL = (
    "SET NOCOUNT ON; UPDATE {table} WITH (UPDLOCK, HOLDLOCK, ROWLOCK) SET {turn} = {turn} + 1 WHERE {guid} = ?; "
    "IF @@ROWCOUNT = 0 INSERT INTO {table} ({guid}, {turn}) VALUES (?, 1); SELECT 1"
)
# A row that is there is looked at without a lock that would keep others who share it waiting.
PRESENT_MSSQL = (
    "SET NOCOUNT ON; IF NOT EXISTS (SELECT 1 FROM {table} WITH (READCOMMITTEDLOCK) WHERE {guid} = ?) "
    "INSERT INTO {table} ({guid}, {turn}) "
    "SELECT ?, 1 WHERE NOT EXISTS (SELECT 1 FROM {table} WITH (UPDLOCK, HOLDLOCK) WHERE {guid} = ?); SELECT 1"
)
SHARE_MSSQL = "SELECT COUNT(*) FROM {table} WITH (REPEATABLEREAD, ROWLOCK) WHERE {guid} IN ({marks})"
AT_ONCE = 200


def turn_of(guid: uuid.UUID) -> int:
    """Return the number of the advisory lock by which merges and importers of a guid take turns on PostgreSQL.

    Two versions of MergeGuard must agree on it. Where two guids have the same number, they wait for each other in vain.
    """
    half = int.from_bytes(guid.bytes[:8], "big") ^ int.from_bytes(guid.bytes[8:], "big")
    return half - 2**63


@dataclass(frozen=True, slots=True)
class Request:
    """A merge that was asked for by an id."""

    run_id: str
    answer: str


class MergingStore:
    """Our own tables as one connection sees them; they must stand.

    Args:
        rows: of a transaction of that connection, reading or writing.
        profile: names the tables.
    """

    def __init__(self, rows: DatabaseRows, profile: Profile) -> None:
        source = rows.source
        self.mark = "%s" if source.kind == "postgresql" else "?"
        self._kind = source.kind
        self._quote = rows.connection.dialect.identifier_preparer.quote_identifier
        with source.translated(writing=True):
            self._find_tables(rows, profile)
        named = (profile.lookup.old, profile.lookup.current, profile.lookup.depth, profile.lookup.status)
        self._old, self._current, self._depth, self._status = (self._quote(name) for name in named)

    def _find_tables(self, rows: DatabaseRows, profile: Profile) -> None:
        writer = rows.source.writer_class(rows.source, rows.connection, profile.lookup)
        names = profile.merging
        absent = missing(rows.snapshot, names)
        self.roots = None if "roots" in absent else OwnTable(writer, names.roots, "guid")
        self.never = None if "never" in absent else OwnTable(writer, names.never, "one_guid")
        self.requests = None if "requests" in absent else OwnTable(writer, names.requests, "request_id")
        self.lookup: OwnTable | None = None
        if rows.snapshot.find(profile.lookup.table) is not None:
            writer.check_shape()
            self.lookup = OwnTable(writer, profile.lookup.table, profile.lookup.old)

    def write_roots(self, rows: DatabaseRows, guids: Collection[uuid.UUID], beside: Collection[uuid.UUID] = ()) -> None:
        """Lock and write the rows of some roots, and share those of others, all in text order.

        Who merges one of them too waits here.

        Args:
            rows: of the merge's transaction.
            guids: to be merged.
            beside: nobody may merge them meanwhile; see ``share_roots``.

        Raises:
            Locked: another merge of them holds it for longer than the lock timeout, or for ever: a deadlock.
        """
        assert self.roots is not None  # noqa: S101 - for the type checker: whoever writes has made the tables
        names = {"table": self.roots.name, "guid": self._quote("guid"), "turn": self._quote("turn")}
        if self._kind == "sqlite":
            ordered = [self.roots.parameter(guid) for guid in sorted(set(guids), key=str)]
            marks = ", ".join(f"({self.mark}, 1)" for _ in ordered)
            with rows.source.translated(writing=True):
                rows.run(UPSERT.format(rows=marks, **names), ordered)
            return
        for exclusive, some in groupby(sorted({*guids, *beside}, key=str), set(guids).__contains__):
            if not exclusive:
                self.share_roots(rows, list(some))
                continue
            with rows.source.translated(writing=True), rows.together():
                for guid in some:
                    self._write_root(rows, guid, names)

    def _write_root(self, rows: DatabaseRows, guid: uuid.UUID, names: Mapping[str, str]) -> None:
        assert self.roots is not None  # noqa: S101 - as above
        if self._kind == "mssql":
            rows.tuples(UPSERT_MSSQL.format(**names), (self.roots.parameter(guid),) * 2)
            return
        rows.run(TURN, [turn_of(guid)])
        rows.run(UPSERT.format(rows="(%s, 1)", **names), [self.roots.parameter(guid)])

    def share_roots(self, rows: DatabaseRows, guids: Collection[uuid.UUID]) -> None:
        """Keep others from merging some guids until this transaction ends; several may keep them so at a time.

        On SQLite nobody else merges anyway.

        Raises:
            Locked: a merge of one of them holds it for longer than the lock timeout, or for ever: a deadlock.
        """
        assert self.roots is not None  # noqa: S101 - as above
        if self._kind == "sqlite":
            return
        ordered = [self.roots.parameter(guid) for guid in sorted(guids, key=str)]
        names = {"table": self.roots.name, "guid": self._quote("guid"), "turn": self._quote("turn")}
        with rows.source.translated(writing=True):
            for start in range(0, len(ordered), AT_ONCE):
                some = ordered[start : start + AT_ONCE]
                self._present(rows, some, names)
                marks = ", ".join([self.mark] * len(some))
                share = SHARE_MSSQL if self._kind == "mssql" else SHARE
                rows.tuples(share.format(marks=marks, **names), some)

    def _present(self, rows: DatabaseRows, some: Sequence[object], names: Mapping[str, str]) -> None:
        if self._kind == "mssql":
            for value in some:
                rows.tuples(PRESENT_MSSQL.format(**names), (value, value, value))
            return
        marks = ", ".join([f"({self.mark}, 1)"] * len(some))
        rows.run(PRESENT.format(rows=marks, **names), some)

    def pair_question(self, one: Sequence[uuid.UUID], other: Sequence[uuid.UUID]) -> tuple[Condition, ...]:
        """Return what ``refused_pair`` asks: by the stored lookup for what the pairs are now, else for the walks."""
        if self.never is None:
            return ()
        first, second = (f"n.{self._quote(name)}" for name in ("one_guid", "other_guid"))
        joined = ""
        if self.lookup is not None:
            one, other = one[-1:], other[-1:]
            for alias, guid in (("a", first), ("b", second)):
                joined += f" LEFT JOIN {self.lookup.name} {alias} ON {alias}.{self._old} = {guid}"
            first, second = f"COALESCE(a.{self._current}, {first})", f"COALESCE(b.{self._current}, {second})"
        left, right = ([self.never.parameter(guid) for guid in some] for some in (one, other))
        marks = [", ".join([self.mark] * len(some)) for some in (left, right)]
        ways = (f"{first} IN ({ours}) AND {second} IN ({theirs})" for ours, theirs in (marks, marks[::-1]))
        said = f"n.{self._quote('why')}, n.{self._quote('who')}"
        sql = f"SELECT {said} FROM {self.never.name} n{joined} WHERE {' OR '.join(ways)}"  # noqa: S608 - quoted names
        return ((sql, (*left, *right, *right, *left)),)

    def refused_pair(self, rows: DatabaseRows, one: Sequence[uuid.UUID], other: Sequence[uuid.UUID]) -> str | None:
        """Return why a guid of one class must never be merged with a guid of the other; ``None`` where it may.

        Both classes are given by walks that end at their roots.
        """
        found = [row for asked in self.pair_question(one, other) for row in rows.tuples(*asked)]
        return str(found[0][0] or found[0][1] or "no reason is written down") if found else None

    def request(self, rows: DatabaseRows, request_id: str) -> Request | None:
        """Return what an earlier merge of this request id answered."""
        if self.requests is None:
            return None
        names = f"{self._quote('run_id')}, {self._quote('answer')}"
        sql = f"SELECT {names} FROM {self.requests.name} WHERE {self._quote('request_id')} = {self.mark}"  # noqa: S608 - quoted names
        found = rows.tuples(sql, [request_id])
        return Request(str(found[0][0]).strip(), str(found[0][1])) if found else None

    def write_request(self, rows: DatabaseRows, request_id: str, made: Request) -> None:
        """Remember what a request was answered."""
        assert self.requests is not None  # noqa: S101 - as above
        names = ", ".join(self._quote(name) for name in ("request_id", "run_id", "answer"))
        sql = f"INSERT INTO {self.requests.name} ({names}) VALUES ({self.mark}, {self.mark}, {self.mark})"  # noqa: S608 - quoted names
        with rows.source.translated(writing=True):
            rows.run(sql, [request_id, made.run_id, made.answer])

    # The lookup.

    def answers(self, rows: DatabaseRows, olds: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, LookupRow]:
        """Return what the stored lookup says of some guids; those that it does not hold are left out."""
        found: dict[uuid.UUID, LookupRow] = {}
        if self.lookup is None:
            return found
        for asked in self.lookup_questions(olds):
            for old, current, depth, status in rows.tuples(*asked):
                guid = self.lookup.guid(old)
                if guid is not None:
                    found[guid] = guid, self.lookup.guid(current), depth, str(status).strip()
        return found

    def lookup_questions(self, olds: Sequence[uuid.UUID]) -> Iterator[Condition]:
        """Yield what ``answers`` asks."""
        if self.lookup is None:
            return
        names = f"{self._old}, {self._current}, {self._depth}, {self._status}"
        for start in range(0, len(olds), AT_ONCE):
            some = tuple(self.lookup.parameter(old) for old in olds[start : start + AT_ONCE])
            marks = ", ".join([self.mark] * len(some))
            yield f"SELECT {names} FROM {self.lookup.name} WHERE {self._old} IN ({marks})", some  # noqa: S608 - quoted names

    def class_of(self, rows: DatabaseRows, root: uuid.UUID) -> list[uuid.UUID]:
        """Return all olds that the stored lookup leads to a guid."""
        if self.lookup is None:
            return []
        sql = f"SELECT {self._old} FROM {self.lookup.name} WHERE {self._current} = {self.mark}"  # noqa: S608 - quoted names
        found = (self.lookup.guid(row[0]) for row in rows.tuples(sql, [self.lookup.parameter(root)]))
        return [guid for guid in found if guid is not None]

    def move_class(self, rows: DatabaseRows, old: uuid.UUID, new: uuid.UUID) -> int:
        """Lead the whole class of a root to another root, and the root itself; return how many rows were written."""
        if self.lookup is None:
            return 0
        before, after = self.lookup.parameter(old), self.lookup.parameter(new)
        names = f"{self._old}, {self._current}, {self._depth}, {self._status}"
        moved = (
            f"UPDATE {self.lookup.name} SET {self._current} = {self.mark}, {self._depth} = {self._depth} + 1 "  # noqa: S608 - quoted names
            f"WHERE {self._current} = {self.mark}"
        )
        added = f"INSERT INTO {self.lookup.name} ({names}) VALUES ({self.mark}, {self.mark}, 1, 'ok')"  # noqa: S608 - quoted names
        with rows.source.translated(writing=True):
            if self._kind == "postgresql":  # both on one way to the server
                both = f"WITH m AS ({moved} RETURNING 1), a AS ({added} RETURNING 1) SELECT count(*) + 1 FROM m"  # noqa: S608 - as above
                return int(rows.scalar(both, (after, before, before, after)))
            return rows.send([(moved, (after, before)), (added, (before, after))])


def create(source: DatabaseSource, profile: Profile) -> None:
    """Make what is missing of our own tables, and the index by which a class is found in the lookup.

    Several may try at the same time.

    Raises:
        PermissionDenied, Locked, WriteFailed: nothing was made.
    """
    with source.writing() as writing, writing.transaction() as rows, source.translated(writing=True):
        writer = source.writer_class(source, rows.connection, profile.lookup)
        absent = missing(rows.snapshot, profile.merging)
        tables = tables_of(writer, profile.merging)
        for part in absent:
            rows.connection.execute(sa.schema.CreateTable(tables.all[part]))
    with suppress(PermissionDenied), source.writing() as writing, writing.transaction() as rows:
        _index_lookup(rows, profile)


def stand(rows: DatabaseRows, profile: Profile) -> bool:
    """Say whether nothing is left to be made by ``create``."""
    lookup = profile.lookup
    has_lookup = rows.snapshot.find(lookup.table) is not None
    return not missing(rows.snapshot, profile.merging) and (
        not has_lookup or is_indexed(rows, lookup.table, lookup.current)
    )


def _index_lookup(rows: DatabaseRows, profile: Profile) -> None:
    """Without it each merge reads the whole lookup."""
    lookup = profile.lookup
    if rows.snapshot.find(lookup.table) is None or is_indexed(rows, lookup.table, lookup.current):
        return
    quote = rows.connection.dialect.identifier_preparer.quote_identifier
    table = rows.table(lookup.table)
    index = quote(f"IX_{lookup.table.rpartition('.')[2]}_{lookup.current}"[:63])
    with rows.source.translated(writing=True):
        rows.run(f"CREATE INDEX {index} ON {table.name} ({quote(rows.column(lookup.table, lookup.current))})")
