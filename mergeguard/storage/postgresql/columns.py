"""How PostgreSQL stores the columns of a selection, and the few forms in which they can travel in bulk.

Every fast way selects the same expressions, so that a table read by any of them gives the same cells.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from mergeguard.storage.source import Column, Kind, Selection


class Form(enum.Enum):
    """What a value is while it travels."""

    UUID = "uuid"
    BYTES = "bytes"
    TEXT = "text"
    INTEGER = "int8"
    TIME = "timestamp"


@dataclass(frozen=True, slots=True)
class Stored:
    """A column as the catalogue describes it."""

    type: str
    """As PostgreSQL spells it, without length."""
    nullable: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view as the catalogue describes it."""

    kind: str
    """``pg_class.relkind``: r table, m materialised view, p partitioned, v view, f foreign."""
    inherited: bool
    """Whether other tables may inherit from it: then its block numbers are not the only ones."""
    blocks: int
    rows: int | None
    """As the server last counted or guessed; ``None`` where it never did."""
    toasted: bool
    """Whether some values are too long to lie in the table's own blocks."""
    columns: Mapping[str, Stored] = field(default_factory=dict)

    @property
    def has_blocks(self) -> bool:
        """Whether all its rows can be found by the numbers of its own blocks."""
        return self.kind in "rm" and not self.inherited


@dataclass(frozen=True, slots=True)
class Travelling:
    """A column of a selection, ready to travel in bulk."""

    kind: Kind
    form: Form
    expression: sa.ColumnElement[object]
    """The value as a driver is to get it."""
    sent: sa.ColumnElement[object]
    """The value as bytes in network order, made by the server itself."""
    nullable: bool


_TEXTS = {"text": "textsend", "character varying": "varcharsend", "character": "bpcharsend"}
_FORMS: Mapping[tuple[Kind, str], tuple[Form, str | None]] = {
    (Kind.GUID, "uuid"): (Form.UUID, "uuid_send"),
    (Kind.GUID, "bytea"): (Form.BYTES, None),
    **{(kind, "uuid"): (Form.TEXT, "textsend") for kind in (Kind.ROW_ID, Kind.TEXT)},
    **{
        (kind, name): (Form.TEXT, send) for kind in (Kind.GUID, Kind.ROW_ID, Kind.TEXT) for name, send in _TEXTS.items()
    },
    **{
        (kind, name): (Form.INTEGER, "int8send")
        for kind in (Kind.ROW_ID, Kind.INTEGER)
        for name in ("smallint", "integer", "bigint")
    },
    (Kind.TIME, "timestamp with time zone"): (Form.TIME, "timestamptz_send"),
    (Kind.TIME, "timestamp without time zone"): (Form.TIME, "timestamp_send"),
    (Kind.TIME, "date"): (Form.TIME, "timestamp_send"),
}

_RELATION = sa.text("""
    SELECT c.relkind::text, c.relhassubclass, coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0) > 0,
        CASE WHEN c.relkind IN ('r', 'm')
            THEN pg_relation_size(c.oid) / current_setting('block_size')::bigint ELSE 0 END,
        CASE WHEN c.reltuples > 0 THEN c.reltuples::bigint END
    FROM pg_catalog.pg_class c WHERE c.oid = to_regclass(:name)
""")
_COLUMNS = sa.text("""
    SELECT attname, atttypid::regtype::text, NOT attnotnull
    FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped
""")


def quoted(*names: str | None) -> str:
    """Return a qualified name in quotes; SQLAlchemy's would double each % too, as a format needs it."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names if name)


def relation(connection: sa.Connection, schema: str | None, table: str) -> Relation | None:
    """Ask the catalogue about a table; ``None`` where there is none of that name."""
    name = {"name": quoted(schema, table)}
    row = connection.execute(_RELATION, name).one_or_none()
    if row is None:
        return None
    kind, inherited, toasted, blocks, rows = row
    columns = {column: Stored(spelled, nullable) for column, spelled, nullable in connection.execute(_COLUMNS, name)}
    return Relation(kind, inherited, blocks, rows, toasted, columns)


def travelling(selection: Selection, found: Relation) -> list[Travelling] | None:
    """Say how each column of a selection travels in bulk; ``None`` where one of them cannot."""
    columns = []
    for asked in selection.columns:
        stored = found.columns.get(asked.name)
        column = None if stored is None else _travelling(asked, stored)
        if column is None:
            return None
        columns.append(column)
    return columns


def _travelling(asked: Column, stored: Stored) -> Travelling | None:
    column: sa.ColumnElement[object] = sa.column(sa.quoted_name(asked.name, quote=True))
    form, send = _FORMS.get((asked.kind, stored.type), (None, None))
    if form is None:
        return None
    if form is Form.INTEGER:
        column = sa.cast(column, sa.BigInteger)
    elif form is Form.TEXT and stored.type == "uuid":
        column = sa.cast(column, sa.Text)
    elif stored.type == "date":
        column = sa.cast(column, sa.DateTime)
    sent = getattr(sa.func, send)(column) if send else column
    if form is Form.TIME:  # a driver may have no word for infinity
        column = sa.case((sa.func.isfinite(column), column))
    return Travelling(asked.kind, form, column, sent, stored.nullable)
