"""PostgreSQL's rows as images: each cell is the server's own text of the value, and is given back to it as its type.

Every type has such a text; the settings of the transaction make it one from which the same value comes out again.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import sqlalchemy as sa

from mergeguard.core.repair.plan import Column, Image, RowChange, TableShape
from mergeguard.errors import Unsupported
from mergeguard.storage.cells import guid_spelling
from mergeguard.storage.database.stored_table import Address, Asking, Condition, StoredTable
from mergeguard.storage.guard.parts import RESTORING
from mergeguard.storage.merging import lock as merge_lock
from mergeguard.storage.rows import runs as row_runs
from mergeguard.storage.rows.database import VERBS, DatabaseRows, KnownTables

if TYPE_CHECKING:
    from mergeguard.storage.database.snapshot import DatabaseSnapshot
    from mergeguard.storage.postgresql.source import PostgresqlSource

SETTINGS: Mapping[str, str] = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmloption": "content",
}
"""What the text of a value depends on."""
_SETTINGS = "SELECT " + ", ".join("set_config(%s, %s, true)" for _ in range(len(SETTINGS) + 1))
_RELATION = """
    SELECT c.oid, c.relkind::text, c.relhassubclass, n.nspname, c.relname
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)
"""
_COLUMNS = """
    SELECT a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity <> '', {generated},
        CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END::regtype::text
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_GENERATED_SINCE = (12,)
_KEYS = """
    SELECT indkey::text, indnkeyatts FROM pg_catalog.pg_index
    WHERE indrelid = %s AND indisunique AND indisvalid AND indimmediate AND indpred IS NULL AND indexprs IS NULL
    ORDER BY NOT indisprimary, indnkeyatts, indexrelid
"""
_RIGHTS = "SELECT " + ", ".join(f"has_table_privilege(CAST(%s AS oid), '{verb}')" for verb in VERBS)
_LOCK = "SELECT {}({:d})"
_LOCK_KEY = "SELECT hashtextextended(%s, 0)"
_LOCK_TABLE = "LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE"
_TEXTS: Mapping[str, str] = {"text": "text", "character varying": "text", "character": "bpchar"}
_EQUAL = frozenset({*_TEXTS, "uuid", "bytea", "boolean", "smallint", "integer", "bigint", "date"})
"""Types of which the same text is always the same value to an index."""
_TABLES = "rp"


@dataclass(frozen=True, slots=True)
class Catalogued:
    """What the catalogue says of a table, beside its shape."""

    oid: int
    kind: str
    full_name: tuple[str, str]
    base_types: Mapping[str, str]


class PostgresqlTable(StoredTable):
    """One table of a PostgreSQL database."""

    max_parameters: ClassVar[int] = 5000
    locks = ("", " FOR UPDATE")

    def __init__(self, shape: TableShape, name: str, quotes: dict[str, str], catalogued: Catalogued) -> None:
        super().__init__(shape, name, quotes)
        self.catalogued = catalogued
        self._casts = {column.name: f"CAST(%s AS {column.type.replace('%', '%%')})" for column in shape.columns}
        self._overriding = any(column.identity for column in shape.columns)

    def selected(self) -> list[str]:
        """Select the text of each value."""
        return [f"CAST({self.quotes[column]} AS text)" for column in self.columns]

    def image(self, row: Sequence[object]) -> dict[str, str | None]:
        """Turn a fetched row into its image."""
        return dict(zip(self.columns, cast("Sequence[str | None]", row), strict=True))

    def placed(self, column: str, cell: str | None) -> tuple[str, object]:
        """Return a cast to the column's own type, and the text."""
        return self._casts[column], cell

    def spoken(self, cell: str | None) -> str:
        """Return a cell as people read it."""
        return "NULL" if cell is None else cell

    def inserting(self) -> tuple[str, str]:
        """Keep the ids that an identity column would make by itself."""
        return (" OVERRIDING SYSTEM VALUE" if self._overriding else ""), ""

    def same(self, image: Image) -> Condition:
        """Return the condition that a row equals ``image``: byte by byte, and first by what an index may know."""
        parts: list[str] = []
        values: list[object] = []
        for column in self.columns:
            name, cell = self.quotes[column], image[column]
            if cell is None:
                parts.append(f"{name} IS NOT DISTINCT FROM NULL")  # IS NULL holds for a composite of NULLs, too
                continue
            if self.catalogued.base_types[column] in _EQUAL:
                parts.append(f"{name} = {self._casts[column]}")
                values.append(cell)
            parts.append(f'CAST({name} AS text) COLLATE "C" = CAST(%s AS text)')
            values.append(cell)
        return " AND ".join(parts), tuple(values)


class PostgresqlRows(DatabaseRows):
    """The rows of one open transaction of PostgreSQL."""

    source: PostgresqlSource
    guids_at_once: ClassVar[int] = 10_000

    def __init__(self, snapshot: DatabaseSnapshot, *, writing: bool = False, known: KnownTables | None = None) -> None:
        super().__init__(snapshot, writing=writing, known=known)
        self._answers: dict[tuple[str, str], deque[list[tuple[Any, ...]]]] = {}
        self._piped = False
        self._spare: list[Any] = self.connection.info.setdefault("mergeguard cursors", [])
        self._busy: list[Any] = []
        self._joined: list[tuple[str, str, Sequence[object]]] | None = None

    def refresh(self) -> None:
        """Settle how values are written as text, until the transaction ends."""
        settings = {**SETTINGS, "lock_timeout": self.source.lock_timeout}
        self.run(_SETTINGS, [text for setting in settings.items() for text in setting])

    def describe(self, table: str) -> StoredTable:
        """Introspect a table."""
        quoted = self._quoted(*self.snapshot.resolve(table))
        oid, kind, inherited, schema, name = self.tuples(_RELATION, [self.without_parameters(quoted)])[0]
        version = self.connection.dialect.server_version_info or _GENERATED_SINCE
        generated = "a.attgenerated <> ''" if version >= _GENERATED_SINCE else "false"
        found = self.tuples(_COLUMNS.format(generated=generated), [oid])
        columns = tuple(Column(row[1], row[2], generated=row[5], identity=row[4]) for row in found)
        # The keys of a table that others inherit from say nothing about their rows.
        keyed = kind in _TABLES and not (kind == "r" and inherited)
        solid = {row[0]: row[1] for row in found if row[3] and not row[5]}
        shape = TableShape(table, columns, self._key(oid, solid) if keyed else ())
        catalogued = Catalogued(oid, kind, (schema, name), {row[1]: row[6] for row in found})
        return PostgresqlTable(
            shape, quoted, {column.name: self._quoted(column.name) for column in columns}, catalogued
        )

    def without_parameters(self, quoted: str) -> str:
        """Take back the doubling of each % that psycopg wants."""
        return quoted.replace("%%", "%")

    def asked(self, table: StoredTable, column: str, wanted: Sequence[uuid.UUID]) -> Condition | None:
        """Ask for values of the column's own type, so that its index is used."""
        name, kind = table.quotes[column], _base(table, column)
        if kind == "uuid":
            return f"{name} = ANY(CAST(%s AS uuid[]))", ("{" + ",".join(map(str, wanted)) + "}",)
        if kind == "bytea":
            return f"{name} = ANY(CAST(%s AS bytea[]))", ([self.packed(guid) for guid in wanted],)
        if kind in _TEXTS:
            return f"{name} = ANY(CAST(%s AS {_TEXTS[kind]}[]))", (self.spellings(wanted),)
        return None

    def normalised(self, table: StoredTable, column: str, wanted: Sequence[uuid.UUID]) -> Condition:
        """Take blanks, hyphens and braces out of every text of the table."""
        name = table.quotes[column]
        binary = self.is_binary(table, column)
        bare = f"encode({name}, 'escape')" if binary else f"CAST({name} AS text)"
        bare = f"lower(btrim({bare}, %s))"
        for noise in guid_spelling.NOISE:
            bare = f"replace({bare}, '{noise}', '')"
        sql = f"{bare} = ANY(CAST(%s AS text[]))"
        values: tuple[object, ...] = (guid_spelling.BLANKS, self.bare(wanted))
        if not binary:
            return sql, values
        return f"{name} = ANY(CAST(%s AS bytea[])) OR {sql}", ([self.packed(guid) for guid in wanted], *values)

    def value(self, table: StoredTable, column: str, cell: str) -> bytes | str:
        """Return the bytes of a ``bytea``, and any other value as text."""
        return bytes.fromhex(cell[2:]) if self.is_binary(table, column) else cell

    def written(self, table: StoredTable, column: str, value: bytes | str) -> str:
        """Return the text of a value."""
        if isinstance(value, str) and self.is_binary(table, column):
            value = value.encode()
        return value if isinstance(value, str) else f"\\x{value.hex()}"

    def is_binary(self, table: StoredTable, column: str) -> bool:
        """Say whether a column is of the type ``bytea``."""
        return _base(table, column) == "bytea"

    def take_out(self, table: StoredTable, addresses: Sequence[Address]) -> dict[Address, dict[str, str | None]]:
        """Delete rows and let the server say what they were: it locks and reads each as it is now."""
        found = {}
        for sql, values in self._taking_out(table, addresses):
            for image in self.fetch(table, sql, values):
                found[table.address_of(image)] = image
        return found

    def removing(self, changes: Sequence[RowChange]) -> Sequence[Condition]:
        """Return the statements that ``change`` would send for rows that go, to be sent along with questions."""
        runs = list(row_runs.runs(changes, self.table))
        if len(runs) != 1 or runs[0].kind != "delete" or not runs[0].table.address:
            return ()
        table = runs[0].table
        return self._taking_out(table, [table.address_of(image) for image in runs[0].befores])

    def _taking_out(self, table: StoredTable, addresses: Sequence[Address]) -> list[Condition]:
        returning = f" RETURNING {', '.join(table.selected())}"
        return [(sql + returning, values) for sql, values in map(table.delete, map(table.at, table.batches(addresses)))]

    def single(self, table: StoredTable, image: Image) -> Condition | None:
        """Find one of the rows that equal ``image`` by its place in the table, and lock it there."""
        catalogued = cast("PostgresqlTable", table).catalogued
        if catalogued.kind not in _TABLES:
            raise Unsupported(
                f"{table.shape.table} is a view or a foreign table: its rows have no place of their own",
                hint="name the table itself in the profile",
            )
        where, values = cast("PostgresqlTable", table).same(image)
        end = " FOR UPDATE" if self.writing else ""
        sql = f"SELECT CAST(tableoid AS text), CAST(ctid AS text) FROM {table.name} WHERE {where} LIMIT 1{end}"  # noqa: S608 - quoted identifiers
        places = self.tuples(sql, values)
        return ("tableoid = CAST(%s AS oid) AND ctid = CAST(%s AS tid)", places[0]) if places else None

    def lock_merges(self, *, exclusively: bool) -> None:
        """Take the advisory lock of the merge table."""
        self.take("pg_advisory_xact_lock" if exclusively else "pg_advisory_xact_lock_shared")

    def lock_merge_table(self) -> None:
        """Lock the merge table against writers that know nothing of the merge lock; readers go on."""
        self.run(_LOCK_TABLE.format(self._merges.name))

    def begin(self, *, lock: bool, asking: Asking) -> None:
        """Settle how values are written, take the locks and ask, all on one way to the server and back."""
        settings = {**SETTINGS, "lock_timeout": self.source.lock_timeout, RESTORING: "on"}
        settled = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
        # Before anything travels: tables that are not known yet are asked for.
        asked = asking(self)
        if lock:  # last, and so with the lock timeout that was just set; a later statement sees what others did
            settled += f", pg_advisory_xact_lock({self.merge_key:d})"
        lock_table = _LOCK_TABLE.format(self.without_parameters(self._merges.name))
        with self.together():  # without parameters no % stands for anything
            self._cursor.execute(f"SELECT {settled}")
            self._cursor.execute(lock_table)
            sent = self._sent(asked)
        self._remember(sent)  # behind the pipeline: to fetch within it costs another way there and back

    @property
    def sends_commit(self) -> bool:
        """Where libpq knows pipelines."""
        import psycopg  # noqa: PLC0415 - the driver is there once a connection is

        return psycopg.capabilities.has_pipeline()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send statements in a pipeline, where libpq knows how; within another one they join it."""
        if self._piped or not self.sends_commit:
            yield
            return
        self._piped = True
        try:
            with self.source.raw(self.connection).pipeline():
                yield
        finally:
            self._piped = False
        self._spare += self._busy
        self._busy = []

    @contextmanager
    def joining(self) -> Iterator[None]:
        """Send what is written inside as one statement; within another such block it joins that one's."""
        if self._joined is not None:
            yield
            return
        parts = self._joined = []
        try:
            yield
        finally:
            self._joined = None
        if parts:
            named = ", ".join(f"{name} AS ({sql})" for name, sql, _ in parts[:-1])
            last = parts[-1][1]
            self.run(f"WITH {named} {last}" if named else last, [value for *_, some in parts for value in some])

    def write(self, sql: str, values: Sequence[object] = (), *, first: Condition | None = None) -> None:
        """Keep a statement for the end of ``joining``, or send it now."""
        with self.joining():
            assert self._joined is not None  # noqa: S101 - for the type checker: ``joining`` has made it
            if first is not None:
                self._joined.append(("gone", *first))
            self._joined.append((f"part_{len(self._joined)}", sql, values))

    def ahead(self, asked: Sequence[Condition]) -> None:
        """Send several questions in a pipeline."""
        with self.source.translated(writing=self.writing):
            with self.together():
                sent = self._sent(asked if len(asked) > 1 else ())
            self._remember(sent)

    def _sent(self, asked: Sequence[Condition]) -> list[tuple[str, tuple[object, ...], Any]]:
        """Send questions, each by a cursor of its own; the answers wait there."""
        sent = [(sql, tuple(values), self._fresh_cursor()) for sql, values in asked]
        for sql, values, cursor in sent:
            cursor.execute(sql.encode(), values)
        return sent

    def _remember(self, sent: Sequence[tuple[str, tuple[object, ...], Any]]) -> None:
        """Keep the answers until they are asked for: one question may be asked before a change and after it."""
        self._answers = {}
        for sql, values, cursor in sent:
            self._answers.setdefault((sql, repr(values)), deque()).append(cursor.fetchall())

    def run(self, sql: str, values: Sequence[object] = ()) -> Any:  # noqa: ANN401 - as above
        """Send a statement; in a pipeline by a cursor of its own.

        One that was sent before would take its answer for this one's, if that comes just now.
        """
        if self._piped:
            self._cursor = self._fresh_cursor()
        return super().run(sql, values)

    def _fresh_cursor(self) -> Any:  # noqa: ANN401 - as above
        """Return a cursor that no statement of this pipeline has; those of earlier ones are taken again."""
        spare = self._spare
        cursor = spare.pop() if spare else self.source.raw(self.connection).cursor()
        self._busy.append(cursor)
        return cursor

    def tuples(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Fetch all that a statement gives; what was sent ahead is here already."""
        if self._answers:
            found = self._answers.get((sql, repr(tuple(values))))
            if found:
                return found.popleft()
        return super().tuples(sql, values)

    def begin_merge(self) -> None:
        """Settle how values are written and share the merge lock, on one way to the server and back."""
        statements = [*self._settling(), _LOCK.format("pg_advisory_xact_lock_shared", self.merge_key)]
        self._cursor.execute("; ".join(statements))

    def _settling(self) -> list[str]:
        settings = {**SETTINGS, "lock_timeout": self.source.lock_timeout}
        return [f"SET LOCAL {name} = '{value}'" for name, value in settings.items()]

    def take(self, function: str) -> None:
        """Call one of the functions of advisory locks on the merge lock."""
        self.run(_LOCK.format(function, self.merge_key))

    @property
    def merge_key(self) -> int:
        """The number of the advisory lock."""
        if self.known.lock is None:
            schema, name = self._merges.catalogued.full_name
            ((self.known.lock,),) = self.tuples(_LOCK_KEY, [merge_lock.NAME.format(schema=schema, table=name)])
        return cast("int", self.known.lock)

    def denied(self, table: StoredTable, verbs: Collection[str]) -> Sequence[str]:
        """Ask the catalogue."""
        oid = cast("PostgresqlTable", table).catalogued.oid
        (row,) = self.tuples(_RIGHTS, [oid] * len(VERBS))
        return [verb for verb, may in zip(VERBS, row, strict=True) if not may and verb in verbs]

    @property
    def _merges(self) -> PostgresqlTable:
        return cast("PostgresqlTable", self.table(self.source.profile.merge.table))

    def _key(self, oid: int, solid: Mapping[int, str]) -> tuple[str, ...]:
        """Return the columns of the first unique key that has neither NULLs nor generated columns."""
        for numbers, count in self.tuples(_KEYS, [oid]):
            columns = [solid.get(int(number)) for number in numbers.split()[:count]]
            if None not in columns:
                return tuple(cast("list[str]", columns))
        return ()

    def _quoted(self, *names: str | None) -> str:
        """Return a name in quotes, each % of it doubled as the driver wants it."""
        quote = self.connection.dialect.identifier_preparer.quote_identifier
        return ".".join(quote(sa.quoted_name(name, quote=True)) for name in names if name is not None)


def _base(table: StoredTable, column: str) -> str:
    return cast("PostgresqlTable", table).catalogued.base_types[column]
