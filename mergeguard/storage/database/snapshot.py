"""One open transaction of a database, read through SQLAlchemy Core: names are checked, values are parameters."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import sqlalchemy as sa

from mergeguard.errors import UnknownSchema
from mergeguard.storage.cells.database_cells import cells
from mergeguard.storage.source import Batch, Column, Kind, Progress, Selection, silent

if TYPE_CHECKING:
    from mergeguard.storage.database.source import DatabaseSource

Item = TypeVar("Item")


class DatabaseSnapshot:
    """One open transaction. ``connection`` must not be used for anything else while it lives."""

    def __init__(self, source: DatabaseSource, connection: sa.Connection, isolation: str) -> None:
        self.source = source
        self.connection = connection
        self.isolation = isolation
        self.notes: list[str] = []
        self.alone = False
        """Whether nothing may be read through a second connection: it would not see what this transaction wrote."""
        self.fetch_rows = source.options.batch_rows
        """How many rows are fetched from the driver at a time."""
        self._inspector: sa.Inspector | None = None

    def read(self, selection: Selection, progress: Progress = silent, phase: str = "reading") -> Iterator[Batch]:
        """Yield batches of the selected columns; see ``source.Snapshot.read``."""
        with self.source.translated():
            self.check(selection)
            total = self.expected(selection)
        done = 0
        for batch in self.translating(self.batches(selection)):
            done += len(batch[0].column) if hasattr(batch[0], "column") else len(batch[0])
            progress(phase, done, total)
            yield batch

    def has_table(self, table: str) -> bool:
        """Say whether a table or view exists."""
        with self.source.translated():
            return self.find(table) is not None

    def columns(self, table: str) -> Sequence[tuple[str, str]]:
        """Return (name, type) of each column, the type as the database spells it."""
        with self.source.translated():
            schema, name = self.resolve(table)
            found = self.inspector.get_columns(name, schema=schema)
            return [(column["name"], self._spelled(column["type"])) for column in found]

    def tables(self) -> Sequence[str]:
        """Return all readable tables and views, qualified where they lie outside the default schema."""
        with self.source.translated():
            return [name for schema in self.schemas() for name in self._tables_in(schema)]

    default_row_id: ClassVar[str | None] = None
    """The column that names a row where the profile declares none, if the database has such a thing."""

    streams: ClassVar[bool] = True
    """Whether a read asks for a server-side cursor; a driver that never holds all rows does without."""

    # Hooks: what a dialect may do better.

    def batches(self, selection: Selection) -> Iterator[Batch]:
        """Read the selection; a dialect puts its fast ways here and falls back on ``super().batches``."""
        return self.read_rows(selection)

    def expected(self, selection: Selection) -> int | None:  # noqa: ARG002 - a hook's parameters
        """Return how many rows a read will give, where the database knows without much work."""
        return None

    def expression(self, column: Column) -> sa.ColumnElement[object]:
        """Return what to select for a column, e.g. a cast that makes the driver's answer cheaper to read."""
        return sa.column(sa.quoted_name(column.name, quote=True))

    def as_text(self, column: sa.ColumnElement[object]) -> sa.ColumnElement[str]:
        """Return a column as text, for the equality filters of a profile."""
        return sa.cast(column, sa.String)

    def same_name(self, one: str, other: str) -> bool:
        """Say whether two identifiers name the same thing here."""
        return one == other

    def has_hidden_column(self, schema: str | None, table: str, column: str) -> bool:  # noqa: ARG002 - a hook's parameters
        """Say whether a column exists that introspection does not list, as SQLite's ``rowid``."""
        return False

    def schemas(self) -> Sequence[str | None]:
        """Return the schemas to list, ``None`` for the default one first; the system's own are left out."""
        default = self.inspector.default_schema_name
        others = [name for name in self.inspector.get_schema_names() if name != default]
        return [None, *(name for name in others if name.casefold() not in self.system_schemas)]

    system_schemas: ClassVar[frozenset[str]] = frozenset({"information_schema"})
    """Case-folded names that ``schemas`` leaves out."""

    # Statements.

    def statement(self, selection: Selection) -> sa.Executable:
        """Compile a selection to a statement whose values are all parameters."""
        if selection.query is not None and not selection.where and not selection.counted:
            # As it stands: a query may start with WITH or leave its column without a name; columns go by position.
            return sa.text(selection.query.replace(":", r"\:"))
        columns = [self.expression(column) for column in selection.columns]
        statement = sa.select(*columns).select_from(self.from_clause(selection)).where(*self.filters(selection))
        if selection.counted:
            statement = statement.add_columns(sa.func.count()).group_by(*columns)
        return statement

    def filters(self, selection: Selection) -> list[sa.ColumnElement[bool]]:
        """Return the selection's equality filters, compared as text."""
        return [self.as_text(sa.column(sa.quoted_name(name, quote=True))) == value for name, value in selection.where]

    def from_clause(self, selection: Selection) -> sa.FromClause:
        """Return the selection's table, quoted and qualified, or its query as a subquery."""
        if selection.query is not None:
            names = [column.name for column in selection.columns] + [name for name, _ in selection.where]
            text = sa.text(selection.query.replace(":", r"\:"))
            return text.columns(*(sa.column(name) for name in dict.fromkeys(names))).subquery("asked")
        schema, name = self.resolve(selection.table or self.source.profile.merge.table)
        return sa.table(sa.quoted_name(name, quote=True), schema=schema)

    def read_rows(self, selection: Selection) -> Iterator[Batch]:
        """Read the selection row by row through the driver's cursor: the way that always works."""
        kinds = [column.kind for column in selection.columns] + [Kind.INTEGER] * selection.counted
        return self.fetch(self.statement(selection), kinds)

    def fetch(self, statement: sa.Executable, kinds: Sequence[Kind]) -> Iterator[Batch]:
        """Execute a statement and turn what the driver's cursor gives into cells, one column a kind."""
        result = self.connection.execute(statement, execution_options={"stream_results": self.streams})
        try:
            if not result.returns_rows or len(result.keys()) < len(kinds):
                raise UnknownSchema(
                    f"the query gives {len(result.keys()) if result.returns_rows else 0} columns and "
                    f"{len(kinds)} are needed",
                    hint="the profile's query must be a SELECT that names what it gives",
                )
            # SQLAlchemy's strategy and not the bare cursor: with a server-side cursor it has fetched a row already.
            while rows := result.cursor_strategy.fetchmany(result, result.cursor, self.fetch_rows):
                yield self.to_batch(kinds, rows)
        finally:
            result.close()

    def to_batch(self, kinds: Sequence[Kind], rows: Sequence[Sequence[object]]) -> Batch:
        """Turn fetched rows (at least one) into cells."""
        order = self.source.profile.merge.byte_order
        return tuple(cells(kind, values, order) for kind, values in zip(kinds, zip(*rows, strict=True), strict=False))

    # Names.

    @property
    def inspector(self) -> sa.Inspector:
        """The introspection of this transaction; it remembers what it was told."""
        if self._inspector is None:
            self._inspector = sa.inspect(self.connection)
        return self._inspector

    def resolve(self, table: str) -> tuple[str | None, str]:
        """Return (schema, name) of a table as the database spells them.

        Raises:
            UnknownSchema: there is no such table; the hint names the nearest.
        """
        found = self.find(table)
        if found is None:
            hint = nearest(table, self.tables(), "tables")
            more = "" if hint.endswith("?") else "; 'mergeguard discover TARGET' proposes a profile"
            raise UnknownSchema(f"there is no table {table}", hint=hint + more)
        return found

    def check(self, selection: Selection) -> None:
        """Look the selection's names up before anything is read.

        Raises:
            UnknownSchema: a table or column does not exist.
        """
        if selection.query is not None:
            return
        table = selection.table or self.source.profile.merge.table
        schema, name = self.resolve(table)
        known = [column["name"] for column in self.inspector.get_columns(name, schema=schema)]
        for asked in [*(column.name for column in selection.columns), *(column for column, _ in selection.where)]:
            if any(self.same_name(asked, column) for column in known) or self.has_hidden_column(schema, name, asked):
                continue
            raise UnknownSchema(f"table {table} has no column {asked}", hint=nearest(asked, known, "columns"))

    def find(self, table: str) -> tuple[str | None, str] | None:
        """Find a table: first as one name in the default schema, then as schema.name."""
        schema, dot, name = table.rpartition(".")
        for place in [(None, table)] + [(schema, name)] * bool(dot):
            listed = self._listed(place[0])
            spelled = next((one for one in listed if one == place[1]), None)
            spelled = spelled or next((one for one in listed if self.same_name(one, place[1])), None)
            if spelled is not None:
                return place[0], spelled
        return None

    def _listed(self, schema: str | None) -> list[str]:
        try:
            return [*self.inspector.get_table_names(schema=schema), *self.inspector.get_view_names(schema=schema)]
        except sa.exc.NoSuchTableError:
            return []

    def _tables_in(self, schema: str | None) -> list[str]:
        prefix = "" if schema is None else f"{schema}."
        return [prefix + name for name in sorted(self._listed(schema))]

    def _spelled(self, kind: sa.types.TypeEngine[Any]) -> str:
        try:
            return kind.compile(self.connection.dialect)
        except sa.exc.CompileError:
            return str(kind)

    def translating(self, items: Iterator[Item]) -> Iterator[Item]:
        """Draw from an iterator with driver errors translated; what the consumer raises is left as it is."""
        while True:
            with self.source.translated():
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item


def nearest(asked: str, known: Sequence[str], what: str) -> str:
    """Return a hint that names the known names nearest to the one asked for, or the first few."""
    by_key = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(asked.casefold(), by_key, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(by_key[name] for name in near) + "?"
    if not known:
        return f"there are no {what} that this login can see"
    more = f" and {len(known) - 8} more" if len(known) > 8 else ""
    return f"the {what} are " + ", ".join(list(known)[:8]) + more
