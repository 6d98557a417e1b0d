"""Which columns of a table its database keeps unique: what a row must not come to equal when it is changed.

An index on some rows only, or on expressions, says nothing of whole rows and is left out.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, cast

from mergeguard.core.repair.references import Unique

if TYPE_CHECKING:
    from mergeguard.storage.database_rows import DatabaseRows

# Each gives (index, column, whether NULLs are equal in it), columns in their order; an expression has no name.
STATEMENTS = {
    "sqlite": """
SELECT i.seq, k.name, 0
FROM pragma_index_list(?, ?) AS i, pragma_index_info(i.name, ?) AS k
WHERE i."unique" AND NOT i.partial ORDER BY i.seq, k.seqno
""",
    "postgresql": """
SELECT i.indexrelid, a.attname, COALESCE(to_jsonb(i) ->> 'indnullsnotdistinct', 'false') = 'true'
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
AND k.place <= i.indnkeyatts ORDER BY i.indexrelid, k.place
""",
    "mssql": """
SELECT i.index_id, c.name, CAST(1 AS bit)
FROM sys.indexes AS i
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = OBJECT_ID(?) AND i.is_unique = 1 AND i.has_filter = 0 AND i.is_disabled = 0
AND k.is_included_column = 0 ORDER BY i.index_id, k.key_ordinal
""",
}


def unique_keys(rows: DatabaseRows, table: str) -> tuple[Unique, ...]:
    """Return the primary key, the unique constraints and the unique indexes of a table, each once, in column order.

    Raises:
        UnknownSchema: the table does not exist.
    """
    stored = rows.table(table)
    with rows.source.translated():
        schema, name = rows.snapshot.resolve(table)
        values = (name, schema or "main", schema or "main") if rows.source.kind == "sqlite" else (stored.name,)
        found = rows.run(STATEMENTS[rows.source.kind], values).fetchall()
    columns: dict[object, list[str | None]] = defaultdict(list)
    equal: dict[object, bool] = {}
    for index, column, nulls_equal in cast("list[tuple[object, str | None, object]]", found):
        columns[index].append(column)
        equal[index] = bool(nulls_equal)
    keys = {Unique(tuple(filter(None, named)), equal[index]) for index, named in columns.items() if None not in named}
    return tuple(sorted(keys, key=lambda key: (key.columns, key.nulls_equal)))
