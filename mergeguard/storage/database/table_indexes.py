"""The indexes of a table: which columns its database keeps unique, and by which a guid is found without reading all.

An index on some rows only, or on expressions, says nothing of whole rows and is left out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from mergeguard.core.repair.references import Unique

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows

# Each gives (index, column, unique?, NULLs equal in it?), columns in their order; an expression has no name.
STATEMENTS = {
    "sqlite": """
SELECT i.seq, k.name, i."unique", 0
FROM pragma_index_list(?, ?) AS i, pragma_index_info(i.name, ?) AS k
WHERE NOT i.partial ORDER BY i.seq, k.seqno
""",
    "postgresql": """
SELECT i.indexrelid, a.attname, i.indisunique, COALESCE(to_jsonb(i) ->> 'indnullsnotdistinct', 'false') = 'true'
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = to_regclass(%s) AND i.indpred IS NULL AND i.indexprs IS NULL
AND k.place <= i.indnkeyatts ORDER BY i.indexrelid, k.place
""",
    "mssql": """
SELECT i.index_id, c.name, i.is_unique, CAST(1 AS bit)
FROM sys.indexes AS i
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = OBJECT_ID(?) AND i.has_filter = 0 AND i.is_disabled = 0
AND k.is_included_column = 0 ORDER BY i.index_id, k.key_ordinal
""",
}


@dataclass(frozen=True, slots=True)
class Index:
    """An index on whole rows."""

    columns: tuple[str, ...]
    unique: bool
    nulls_equal: bool
    """Whether two rows that hold NULL in it count as equal."""


def indexes(rows: DatabaseRows, table: str) -> tuple[Index, ...]:
    """Return the indexes of a table, those of its keys too, each once, in column order.

    Raises:
        UnknownSchema: the table does not exist.
    """
    stored = rows.table(table)
    with rows.source.translated():
        schema, name = rows.snapshot.resolve(table)
        plain = (rows.without_parameters(stored.name),)
        values = (name, schema or "main", schema or "main") if rows.source.kind == "sqlite" else plain
        found = rows.run(STATEMENTS[rows.source.kind], values).fetchall()
    columns: dict[object, list[str | None]] = defaultdict(list)
    flags: dict[object, tuple[bool, bool]] = {}
    for index, column, unique, nulls_equal in cast("list[tuple[object, str | None, object, object]]", found):
        columns[index].append(column)
        flags[index] = bool(unique), bool(nulls_equal)
    made = {Index(tuple(filter(None, named)), *flags[at]) for at, named in columns.items() if None not in named}
    return tuple(sorted(made, key=lambda index: (index.columns, index.unique, index.nulls_equal)))


def unique_keys(rows: DatabaseRows, table: str) -> tuple[Unique, ...]:
    """Return what the primary key, the unique constraints and the unique indexes of a table keep unique.

    Raises:
        UnknownSchema: the table does not exist.
    """
    return tuple(Unique(index.columns, index.nulls_equal) for index in indexes(rows, table) if index.unique)


def is_indexed(rows: DatabaseRows, table: str, column: str) -> bool:
    """Say whether an index begins with a column, so that the rows of a guid are found without reading the table.

    Raises:
        UnknownSchema: the table or the column does not exist.
    """
    name = rows.column(table, column)
    return any(index.columns[0] == name for index in indexes(rows, table))
