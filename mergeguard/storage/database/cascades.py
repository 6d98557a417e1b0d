"""Rows of other tables that a database deletes, or empties a column of, when a row is deleted.

No journal holds them: nothing sees them go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows

# Each gives (table, foreign key). SQLite has none: it follows no foreign key unless a connection asks for it, and
# MergeGuard's connections do not.
STATEMENTS = {
    "postgresql": """
SELECT CAST(CAST(conrelid AS regclass) AS text), conname FROM pg_catalog.pg_constraint
WHERE contype = 'f' AND conparentid = 0 AND confdeltype IN ('c', 'n', 'd') AND confrelid = to_regclass(%s)
ORDER BY 1, 2
""",
    "mssql": """
SELECT OBJECT_SCHEMA_NAME(k.parent_object_id) + N'.' + OBJECT_NAME(k.parent_object_id), k.name
FROM sys.foreign_keys AS k
WHERE k.referenced_object_id = OBJECT_ID(?) AND k.delete_referential_action <> 0 AND k.is_disabled = 0
ORDER BY 1, 2
""",
}


def cascades(rows: DatabaseRows, table: str) -> tuple[tuple[str, str], ...]:
    """Return the tables whose rows change when rows of ``table`` are deleted, each with its foreign key.

    Raises:
        UnknownSchema: the table does not exist.
    """
    statement = STATEMENTS.get(rows.source.kind)
    if statement is None:
        return ()
    stored = rows.table(table)
    with rows.source.translated():
        found = rows.tuples(statement, (rows.without_parameters(stored.name),))
    return tuple((str(other), str(key)) for other, key in found)
