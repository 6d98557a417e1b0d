"""Writes several merges with one statement, as a program that knows nothing of MergeGuard might: to try a guard."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mergeguard.storage.journal.tables import CLOCKS
from mergeguard.storage.merging import row as merge_row

if TYPE_CHECKING:
    from mergeguard.storage.profile import Profile, Types
    from mergeguard.storage.rows.database import DatabaseRows


def insert_at_once(rows: DatabaseRows, profile: Profile, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """Insert the merges of ``pairs`` with one statement; the caller rolls back.

    Raises:
        MergeRefused: a guard refused; the message quotes it.
        WriteFailed: the database refused for another reason.
    """
    merge = profile.merge
    table = rows.table(merge.table)
    images = [merge_row.proposed(rows, profile, pair, None) for pair in pairs]
    names = [table.quotes[column] for column in images[0]]
    clock = [] if merge.time is None else [CLOCKS[rows.source.kind]]
    if merge.time is not None:
        names.append(table.quotes[rows.column(merge.table, merge.time)])
    placed = [[table.placed(column, cell) for column, cell in image.items()] for image in images]
    marks = ", ".join(f"({', '.join([*(mark for mark, _ in cells), *clock])})" for cells in placed)
    values = [value for cells in placed for _, value in cells]
    with rows.source.translated(writing=True):
        rows.run(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES {marks}", values)  # noqa: S608 - quoted identifiers


def never_merged(rows: DatabaseRows, profile: Profile, types: Types, wanted: int) -> list[uuid.UUID]:
    """Return some guids that foreign keys know and no row merges away, fewer where there are fewer.

    Raises:
        UnknownSchema: a table or a column does not exist.
    """
    table, merges = rows.table(types.table), rows.table(profile.merge.table)
    guid = rows.column(types.table, types.guid)
    old = merges.quotes[rows.column(profile.merge.table, profile.merge.old)]
    sql = table.select(
        f"NOT EXISTS (SELECT 1 FROM {merges.name} AS m WHERE m.{old} = {table.name}.{table.quotes[guid]})"  # noqa: S608 - quoted identifiers
    )
    some = (
        sql.replace("SELECT", f"SELECT TOP ({wanted:d})", 1)
        if rows.source.kind == "mssql"
        else f"{sql} LIMIT {wanted:d}"
    )
    with rows.source.translated():
        images = rows.fetch(table, some, ())
    found = (rows.guid(types.table, guid, image[guid]) for image in images)
    return [one for one in found if one is not None]
