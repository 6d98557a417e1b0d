"""The tables that merges need beside the journal: roots that are locked and written, pairs never to merge, requests.

They hold guids in the form of the merge table. The guard's one row is made by whoever installs the guard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from mergeguard.errors import UnknownSchema

if TYPE_CHECKING:
    from mergeguard.storage.database.snapshot import DatabaseSnapshot
    from mergeguard.storage.lookup.database import LookupWriter
    from mergeguard.storage.profile import Merging

_TEXT = sa.UnicodeText().with_variant(mssql.NVARCHAR(None), "mssql")
_HINT = "it is somebody else's: name another table in the profile under [merging]; it is made where it is missing"
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "roots": ("guid", "turn"),
    "never": ("one_guid", "other_guid", "who", "why"),
    "requests": ("request_id", "run_id", "answer"),
}


class MergingTables:
    """The three tables under the names that a profile gives them.

    Args:
        names: of the profile.
        guid: the type of a guid in the merge table.
    """

    def __init__(self, names: Merging, guid: sa.types.TypeEngine[Any]) -> None:
        metadata = sa.MetaData()
        self.roots = _table(
            names.roots,
            metadata,
            sa.Column("guid", guid, primary_key=True, nullable=False, autoincrement=False),
            sa.Column("turn", sa.BigInteger, nullable=False),
        )
        self.never = _table(
            names.never,
            metadata,
            sa.Column("one_guid", guid, primary_key=True, nullable=False, autoincrement=False),
            sa.Column("other_guid", guid, primary_key=True, nullable=False, autoincrement=False),
            sa.Column("who", _TEXT, nullable=True),
            sa.Column("why", _TEXT, nullable=True),
        )
        self.requests = _table(
            names.requests,
            metadata,
            sa.Column("request_id", sa.Unicode(64), primary_key=True, nullable=False),
            sa.Column("run_id", sa.Unicode(32), nullable=False),
            sa.Column("answer", _TEXT, nullable=False),
        )

    @property
    def all(self) -> Mapping[str, sa.Table]:
        """The tables by what they are for."""
        return {"roots": self.roots, "never": self.never, "requests": self.requests}

    def statements(self, dialect: sa.Dialect) -> list[str]:
        """Return the statements that make the tables, for a person who may do it by hand."""
        return [str(sa.schema.CreateTable(table).compile(dialect=dialect)).strip() for table in self.all.values()]


def tables_of(writer: LookupWriter, names: Merging) -> MergingTables:
    """Describe the tables of a database; ``writer`` tells how its merge table stores guids."""
    merge = writer.source.profile.merge
    stored = writer.stored_type(merge.table, merge.old)
    writer.form = writer.form_of(stored, merge.table, merge.old)
    return MergingTables(names, writer.guid_type(stored))


def missing(snapshot: DatabaseSnapshot, names: Merging) -> list[str]:
    """Return which of the three tables are not there.

    Raises:
        UnknownSchema: a table of that name is none of ours.
    """
    found = []
    for part, columns in COLUMNS.items():
        name: str = getattr(names, part)
        if snapshot.find(name) is None:
            found.append(part)
            continue
        known = {column.casefold() for column, _ in snapshot.columns(name)}
        lacks = [column for column in columns if column not in known]
        if lacks:
            raise UnknownSchema(f"table {name} has no column {lacks[0]}", hint=_HINT)
    return found


def _table(name: str, metadata: sa.MetaData, *columns: sa.Column[Any]) -> sa.Table:
    schema, _, plain = name.rpartition(".")
    for column in columns:
        column.name = sa.quoted_name(column.name, quote=True)
    return sa.Table(_quoted(plain), metadata, *columns, schema=_quoted(schema) if schema else None)


def _quoted(name: str) -> sa.quoted_name:
    return sa.quoted_name(name, quote=True)
