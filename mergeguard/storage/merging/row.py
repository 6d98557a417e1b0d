"""Writes one row into the merge table; the database fills the columns that the profile does not name."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mergeguard.core.repair.plan import Image
from mergeguard.errors import WriteFailed
from mergeguard.storage.journal.tables import CLOCKS

if TYPE_CHECKING:
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows


_NUMBERS = ("INT", "BIGINT", "SMALLINT", "TINYINT", "NUMERIC", "DECIMAL", "REAL", "DOUBLE", "FLOAT", "MONEY")
"""How the types of numbers begin, in any dialect."""


def proposed(rows: DatabaseRows, profile: Profile, pair: tuple[uuid.UUID, uuid.UUID], live: str | None) -> Image:
    """Return the cells of both guids as ``insert`` would write them, in the spelling of a row that is there.

    ``live`` is the cell of a live guid: where there is no row yet it shows how SQLite, whose columns have no types of
    their own, stores guids here.
    """
    table = profile.merge.table
    columns = (rows.column(table, profile.merge.old), rows.column(table, profile.merge.new))
    sample = _sample(rows, profile)
    like = sample[columns[0]] if sample is not None else live if rows.source.kind == "sqlite" else None
    return {column: rows.cell(table, column, guid, like) for column, guid in zip(columns, pair, strict=True)}


def insert(
    rows: DatabaseRows, profile: Profile, pair: tuple[uuid.UUID, uuid.UUID], live: str | None, key: str | None
) -> Image:
    """Insert the merge of ``pair``, whose old has no row, and return the row as the database holds it now.

    Raises:
        WriteFailed: the database refused, or stored something else than was asked.
    """
    merge = profile.merge
    table = rows.table(merge.table)
    cells = proposed(rows, profile, pair, live)
    with rows.source.translated(writing=True):
        placed = {column: table.placed(column, cell) for column, cell in cells.items()}
        names, marks = [table.quotes[column] for column in placed], [mark for mark, _ in placed.values()]
        values = [value for _, value in placed.values()]
        if merge.time is not None:
            names.append(table.quotes[rows.column(merge.table, merge.time)])
            marks.append(CLOCKS[rows.source.kind])
        if merge.merge_key is not None and key is not None:
            names.append(table.quotes[rows.column(merge.table, merge.merge_key)])
            mark, value = table.placed(
                rows.column(merge.table, merge.merge_key),
                rows.written(table, rows.column(merge.table, merge.merge_key), key),
            )
            marks.append(mark)
            values.append(value)
        sql = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join(marks)})"  # noqa: S608 - quoted identifiers
        if rows.source.kind == "postgresql":  # which says at once what it stored
            found: Sequence[Image] = rows.fetch(table, f"{sql} RETURNING {', '.join(table.selected())}", values)
        else:
            rows.send([(sql, tuple(values))])
            found = list(rows.having(merge.table, rows.column(merge.table, merge.old), [pair[0]]))
    return _as_told(profile, found, cells)


def counts_time(rows: DatabaseRows, profile: Profile) -> bool:
    """Say whether the column of times holds numbers, so that the database's time would be none of them."""
    merge = profile.merge
    if merge.time is None:
        return False
    column = rows.column(merge.table, merge.time)
    declared = rows.table(merge.table).by_name[column].type.upper().lstrip()
    if rows.source.kind != "sqlite":
        return declared.startswith(_NUMBERS)
    # Types bind nobody there: rows tell, and without any the type.
    image = _sample(rows, profile)
    cell = None if image is None else image[column]
    return declared.startswith(_NUMBERS) if cell is None else cell[:2] in {"i:", "r:"}


def _as_told(profile: Profile, found: Sequence[Image], cells: Image) -> Image:
    merge = profile.merge
    if len(found) != 1 or any(found[0][column] != cell for column, cell in cells.items()):
        raise WriteFailed(
            f"table {merge.table}: the database stored something else than the merge that it was told",
            hint="look for triggers, rules or policies on the table; the transaction was rolled back",
        )
    return found[0]


def _sample(rows: DatabaseRows, profile: Profile) -> Image | None:
    """Return any row of the table, for its spelling."""
    table = rows.table(profile.merge.table)

    def read() -> Image | None:
        sql = table.select("1 = 1")
        sql = sql.replace("SELECT", "SELECT TOP (1)", 1) if rows.source.kind == "mssql" else f"{sql} LIMIT 1"
        return next(iter(rows.fetch(table, sql, ())), None)

    return rows.known.fact(("spelling", profile.merge.table), read)
