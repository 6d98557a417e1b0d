"""Purges event classes: rows that are too old, and the oldest of too many; a few at a time, so that locks are short."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mergeguard.storage.importing.class_statements import TIME
from mergeguard.storage.importing.spelling import Spelling

Ask = Callable[[str, Sequence[Any]], Sequence[Sequence[Any]]]
_CLASSES = """
    SELECT {TableName}, {PurgeKeepDays}, {PurgeMaxRows} FROM {DataClass} WHERE {IsEvent} = {yes} ORDER BY {TableName}
"""
_COUNT = "SELECT COUNT(*) FROM {table}"
# SQLite's times are texts of several forms that all begin with the day, so days are what it counts in.
_TOO_OLD: Mapping[str, str] = {
    "sqlite": "{time} < date('now', '-' || ? || ' days')",
    "postgresql": "{time} < clock_timestamp() - make_interval(days => CAST(? AS integer))",
    "mssql": "{time} < DATEADD(day, -CAST(? AS int), SYSUTCDATETIME())",
}
_FIRST: Mapping[str, str] = {
    "sqlite": (
        "DELETE FROM {table} WHERE {id} IN (SELECT {id} FROM {table} WHERE {where} ORDER BY {time}, {id} LIMIT ?)"
    ),
    "postgresql": (
        "WITH gone AS (DELETE FROM {table} WHERE {id} IN ("
        "SELECT {id} FROM {table} WHERE {where} ORDER BY {time}, {id} LIMIT CAST(? AS bigint)) RETURNING 1) "
        "SELECT count(*) FROM gone"
    ),
    "mssql": (
        "SET NOCOUNT ON; WITH oldest AS (SELECT TOP (CAST(? AS bigint)) {id} FROM {table} WHERE {where} "
        "ORDER BY {time}, {id}) DELETE FROM oldest; SELECT @@ROWCOUNT"
    ),
}


def purge(ask: Ask, spelling: Spelling, rows: int) -> int:
    """Delete at most so many rows; return how many.

    Args:
        ask: sends a statement with a ``?`` for each value and returns its rows.
        spelling: of the dialect.
        rows: at most.
    """
    left = rows
    for table, days, most in _classes(ask, spelling):
        names = {"table": spelling.table(table), "id": spelling.name("_id"), "time": spelling.name(TIME)}
        if days is not None and left:
            left -= _delete(ask, spelling, names, _TOO_OLD[spelling.kind], [days], left)
        if most is not None and left:
            (total,) = ask(_COUNT.format(**names), ())[0]
            if total > most:
                left -= _delete(ask, spelling, names, "1 = 1", [], min(left, total - most))
    return rows - left


def _classes(ask: Ask, spelling: Spelling) -> Sequence[Sequence[Any]]:
    columns = ("TableName", "PurgeKeepDays", "PurgeMaxRows", "IsEvent")
    yes = "true" if spelling.kind == "postgresql" else "1"
    sql = _CLASSES.format(
        **{name: spelling.name(name) for name in columns}, DataClass=spelling.table("DataClass"), yes=yes
    )
    return ask(sql, ())


def _delete(
    ask: Ask, spelling: Spelling, names: Mapping[str, str], where: str, values: Sequence[Any], most: int
) -> int:
    sql = _FIRST[spelling.kind].format(**names, where=where.format(**names))
    if spelling.kind == "mssql":
        return int(ask(sql, [most, *values])[0][0])
    found = ask(sql, [*values, most])
    if spelling.kind == "sqlite":
        found = ask("SELECT changes()", ())
    return int(found[0][0])
