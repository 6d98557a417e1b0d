"""The journal's three tables, in each dialect's types, and whether those that stand are as they were made.

They live in the target beside the vendor's tables, so that a change and what takes it back commit together.
Images and lists are JSON of ASCII letters alone: no database encoding, collation or NUL can alter them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import mssql, postgresql

from mergeguard.errors import JournalDamaged
from mergeguard.storage.profile import Journal

if TYPE_CHECKING:
    from mergeguard.storage.database.snapshot import DatabaseSnapshot

CLOCKS: Mapping[str, str] = {
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
    "postgresql": "clock_timestamp()",
    "mssql": "SYSUTCDATETIME()",
}
"""The database's own time as an expression, by kind of database: UTC, with milliseconds at least."""
_HINT = "the journal is what takes a repair back; restore its tables, or name others in the profile under [journal]"
_ID = sa.Unicode(32)
_WORD = sa.Unicode(64)
_NAME = sa.Unicode(600).with_variant(sa.UnicodeText(), "sqlite", "postgresql")
_TEXT = sa.UnicodeText().with_variant(mssql.NVARCHAR(None), "mssql")
_TIME = (
    sa.DateTime()
    .with_variant(sa.Text(), "sqlite")
    .with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
    .with_variant(mssql.DATETIME2(3), "mssql")  # type: ignore[no-untyped-call]
)
_COUNT = sa.Integer()


class JournalTables:
    """The tables under the names that a profile gives them."""

    def __init__(self, names: Journal) -> None:
        self.names = names
        metadata = sa.MetaData()
        self.runs = _table(
            names.runs, metadata, {"run_id": _ID},
            {"kind": _WORD, "who": _TEXT, "tool_version": _WORD, "started": _TIME, "reason": _TEXT},
            {"finished": _TIME, "undoes": _ID},
        )  # fmt: skip
        self.steps = _table(
            names.steps, metadata, {"run_id": _ID, "step": _COUNT},
            {"component": _NAME, "kinds": _TEXT, "members": _TEXT, "confidence": _WORD, "why": _TEXT,
             "guard_after": _TEXT, "evidence": _TEXT, "happened": _TIME, "digest": _WORD},
            {"survivor": _WORD, "undone_by": _ID},
        )  # fmt: skip
        self.changes = _table(
            names.changes, metadata, {"run_id": _ID, "step": _COUNT, "place": _COUNT},
            {"action": _WORD, "table_name": _NAME},
            {"before_image": _TEXT, "after_image": _TEXT},
        )  # fmt: skip

    @property
    def all(self) -> Mapping[str, sa.Table]:
        """The tables by their names in the profile."""
        return {self.names.runs: self.runs, self.names.steps: self.steps, self.names.changes: self.changes}

    def statements(self, dialect: sa.Dialect) -> list[str]:
        """Return the statements that make the tables, for a person who may do it by hand."""
        return [str(sa.schema.CreateTable(table).compile(dialect=dialect)).strip() for table in self.all.values()]

    def stand(self, snapshot: DatabaseSnapshot) -> bool:
        """Say whether the tables are there.

        Raises:
            JournalDamaged: some are there and some are not, or one is not as MergeGuard made it.
        """
        found = {name: snapshot.find(name) for name in self.all}
        missing = [name for name, place in found.items() if place is None]
        if len(missing) == len(found):
            return False
        if missing:
            there = ", ".join(name for name in found if name not in missing)
            raise JournalDamaged(f"of the journal's tables {', '.join(missing)} is missing beside {there}", hint=_HINT)
        for name, table in self.all.items():
            _check(snapshot, name, table)
        return True


def _table(
    name: str,
    metadata: sa.MetaData,
    key: Mapping[str, sa.types.TypeEngine[Any]],
    required: Mapping[str, sa.types.TypeEngine[Any]],
    optional: Mapping[str, sa.types.TypeEngine[Any]],
) -> sa.Table:
    schema, _, plain = name.rpartition(".")
    columns = [
        *(sa.Column(one, kind, primary_key=True, nullable=False, autoincrement=False) for one, kind in key.items()),
        *(sa.Column(one, kind, nullable=False) for one, kind in required.items()),
        *(sa.Column(one, kind, nullable=True) for one, kind in optional.items()),
    ]
    return sa.Table(_quoted(plain), metadata, *columns, schema=_quoted(schema) if schema else None)


def _quoted(name: str) -> sa.quoted_name:
    return sa.quoted_name(name, quote=True)


def _check(snapshot: DatabaseSnapshot, name: str, table: sa.Table) -> None:
    """Compare a table's columns, their types and its key with how it was made."""
    found = {column.casefold(): kind for column, kind in snapshot.columns(name)}
    dialect = snapshot.connection.dialect
    for column in table.columns:
        if column.name not in found:
            _refuse(f"{name} has no column {column.name}")
        stored, made = _plain(found.pop(column.name)), _plain(column.type.compile(dialect))
        if stored != made:
            _refuse(f"{name}.{column.name} is {stored}, not {made}")
    if found:
        _refuse(f"{name} has a column {next(iter(found))} that MergeGuard did not make")
    schema, spelled = snapshot.resolve(name)
    key = snapshot.inspector.get_pk_constraint(spelled, schema=schema)["constrained_columns"]
    if [column.casefold() for column in key] != [column.name for column in table.primary_key.columns]:
        _refuse(f"{name} has lost its primary key")


def _plain(kind: str) -> str:
    """Return a type without what introspection adds or leaves out: a collation, the fraction of SQL Server's times."""
    plain = kind.casefold().partition(" collate ")[0]
    return "datetime2" if plain.startswith("datetime2") else plain


def _refuse(what: str) -> None:
    raise JournalDamaged(f"the journal was altered: {what}", hint=_HINT)
