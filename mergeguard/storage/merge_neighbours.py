"""Which guids are merged directly into a guid, where an index finds them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from mergeguard.storage.table_indexes import is_indexed

if TYPE_CHECKING:
    from mergeguard.storage.database_rows import DatabaseRows
    from mergeguard.storage.profile import Profile

MOST = 64
"""So many of them are looked at; where more lead to a guid, these stand for all."""


def before(rows: DatabaseRows, profile: Profile, guid: uuid.UUID) -> list[uuid.UUID]:
    """Return some guids whose rows lead to a guid; none where only a reading of the whole table could find them."""
    merge = profile.merge
    table = rows.table(merge.table)
    old, new = rows.column(merge.table, merge.old), rows.column(merge.table, merge.new)
    indexed = rows.known.fact(("is indexed", merge.table, new), lambda: is_indexed(rows, merge.table, new))
    condition = rows.asked(table, new, [guid]) if indexed else None
    if condition is None:
        return []
    where, values = condition
    sql = table.select(where)
    if rows.source.kind == "mssql":
        sql = sql.replace("SELECT", f"SELECT TOP ({MOST})", 1)
    else:
        sql += f" LIMIT {MOST}"
    found = (rows.guid(merge.table, old, image[old]) for image in rows.fetch(table, sql, values))
    return [each for each in found if each is not None and each != guid]
