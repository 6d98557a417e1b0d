"""Which guids are merged directly into a guid, where an index finds them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from mergeguard.storage.database.stored_table import Condition
from mergeguard.storage.database.table_indexes import is_indexed

if TYPE_CHECKING:
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows

MOST = 64
"""So many of them are looked at; where more lead to a guid, these stand for all."""


def question(rows: DatabaseRows, profile: Profile, guid: uuid.UUID) -> tuple[Condition, ...]:
    """Return what ``before`` asks; nothing where only a reading of the whole table could answer it."""
    merge = profile.merge
    table = rows.table(merge.table)
    new = rows.column(merge.table, merge.new)
    indexed = rows.known.fact(("is indexed", merge.table, new), lambda: is_indexed(rows, merge.table, new))
    condition = rows.asked(table, new, [guid]) if indexed else None
    if condition is None:
        return ()
    where, values = condition
    sql = table.select(where)
    if rows.source.kind == "mssql":
        sql = sql.replace("SELECT", f"SELECT TOP ({MOST})", 1)
    else:
        sql += f" LIMIT {MOST}"
    return ((sql, values),)


def before(rows: DatabaseRows, profile: Profile, guid: uuid.UUID) -> list[uuid.UUID]:
    """Return some guids whose rows lead to a guid; none where only a reading of the whole table could find them."""
    table = rows.table(profile.merge.table)
    old = rows.column(profile.merge.table, profile.merge.old)
    images = (image for asked in question(rows, profile, guid) for image in rows.fetch(table, *asked))
    found = (rows.guid(profile.merge.table, old, image[old]) for image in images)
    return [each for each in found if each is not None and each != guid]
