"""A plan as a script for SQL Server: a batch a step, in T-SQL that sqlcmd, SSMS and an agent's job step all take.

Only printable ASCII is written: no code page, no variable of sqlcmd and no line with GO can get into a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mergeguard.core.repair.plan import Column, Image, RowChange, Step
from mergeguard.storage.merging import lock as merge_lock
from mergeguard.storage.mssql import values as mssql_values
from mergeguard.storage.mssql.values import Stored
from mergeguard.storage.scripts.plan import COMPONENT, PlanStatements, ScriptTable, chunks

LOCK_TIMEOUT = 10_000
"""Milliseconds."""
_TYPE = re.compile(r"(?P<base>[^(]+)(?:\((?P<first>max|\d+)(?:,\s*(?P<scale>\d+))?\))?")
_WIDE = {"nchar", "nvarchar"}
_SCALED = {"time", "datetime2", "datetimeoffset"}
_SETTINGS = (
    "SET NOCOUNT ON;",
    "SET XACT_ABORT ON;",
    "SET QUOTED_IDENTIFIER ON;",
    "SET ANSI_NULLS ON;",
    "SET ANSI_PADDING ON;",
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;",
    f"SET LOCK_TIMEOUT {LOCK_TIMEOUT};",
    "SET DEADLOCK_PRIORITY LOW;",
    "GO",
)


class MssqlStatements(PlanStatements):
    """The statements of one plan for SQL Server."""

    def quoted(self, name: str) -> str:
        """Quote an identifier."""
        return "[" + name.replace("]", "]]") + "]"

    def text(self, text: str) -> str:
        """Write a text as a literal; one with more than printable ASCII as the hex of its UTF-16."""
        if text.isascii() and text.isprintable() and "$(" not in text:
            return "N'" + text.replace("'", "''") + "'"
        return f"CAST(0x{text.encode('utf-16-le', 'surrogatepass').hex()} AS nvarchar(max))"

    def literal(self, column: Column, cell: str) -> str:
        """Convert a text to the type of its column, in the style in which the cell was written."""
        stored = stored_of(column)
        if stored.is_text:  # assigned or compared as it is: the server knows the code page of the column
            return self._text(cell)
        mark, _ = mssql_values.placed(stored, cell)
        return mark.replace("?", self._text(cell), 1)

    def exactly(self, table: ScriptTable, image: Image) -> str:
        """Find the row by its key, then compare the text of each value byte for byte."""
        keys = [self.at(table, image)] if table.shape.key else []
        same = (self._same(table, column, image[column.name]) for column in table.columns)
        return "\n    AND ".join([*keys, *same])

    def opening(self) -> list[str]:
        """Set what the statements rely on, and make the tables for the copies."""
        return [*_SETTINGS, *(line for table in self.tables.values() for line in self._copies(table))]

    def step(self, step: Step) -> list[str]:
        """Lock, check, copy, change."""
        copies = [
            self._copied(step, table, self.any_of(table, some))
            for table, images in self.touched(step)
            if table.shape.key
            for some in chunks(images)
        ]
        changes = [self._change(step, change) for change in self.written(step)]
        return [
            "BEGIN TRANSACTION;",
            *self._locks(step),
            *self._checks(step),
            *copies,
            *changes,
            "COMMIT TRANSACTION;",
            "GO",
        ]

    def back(self, table: ScriptTable) -> list[str]:
        """Put the copies of a table back over what stands there."""
        if self.is_updated(table) and not table.shape.key:
            return [f"-- {table.name} has no key: compare it with {table.copies} by hand"]
        put = f"INSERT INTO {table.name} ({table.listed}) SELECT {table.listed} FROM {table.copies};"  # noqa: S608 - quoted names and literals: a script has no parameters
        if any(column.identity for column in table.columns):
            put = f"SET IDENTITY_INSERT {table.name} ON;\n{put}\nSET IDENTITY_INSERT {table.name} OFF;"
        gone = f"DELETE FROM {table.copies};"  # noqa: S608 - quoted names and literals: a script has no parameters
        return ["BEGIN TRANSACTION;", *self.over(table), put, gone, "COMMIT TRANSACTION;", "GO"]

    def _text(self, cell: str) -> str:
        """Write the text of a cell, which may be no well-formed one."""
        if cell.startswith(mssql_values.WILD):
            return f"CAST(0x{cell[1:]} AS nvarchar(max))"
        return self.text(cell)

    def _same(self, table: ScriptTable, column: Column, cell: str | None) -> str:
        name = table.quotes[column.name]
        if cell is None:
            return f"{name} IS NULL"
        text = mssql_values.as_text(stored_of(column), name)
        return f"CONVERT(varbinary(max), {text}) = CONVERT(varbinary(max), {self._text(cell)})"

    def _copies(self, table: ScriptTable) -> Iterator[str]:
        """Copy the columns as they are, but for what makes an identity column count."""
        columns = ", ".join(
            f"CONVERT({column.type}, {name}) AS {name}" if column.identity else name
            for column in table.columns
            for name in [table.quotes[column.name]]
        )
        yield f"IF OBJECT_ID({self.text(table.copies)}, N'U') IS NULL"
        yield f"  SELECT TOP (0) CAST(N'' AS nvarchar(64)) AS {COMPONENT}, {columns}\n  INTO {table.copies}"
        yield f"  FROM {table.name};"
        yield "GO"

    def _locks(self, step: Step) -> Iterator[str]:
        """Take the merge lock, and keep writers off the tables that the step touches; readers go on."""
        place = f"OBJECT_ID({self.text(self.named(self.merge))})"
        before, _, between = merge_lock.NAME.partition("{schema}")
        name = (
            f"{self.text(before)} + OBJECT_SCHEMA_NAME({place}) + {self.text(between.removesuffix('{table}'))} + "
            f"OBJECT_NAME({place})"
        )
        yield f"DECLARE @turn int, @held int, @lock nvarchar(255) = LEFT({name}, 255);"
        yield (
            "EXEC @turn = sp_getapplock @Resource = @lock, @LockMode = N'Exclusive', @LockOwner = N'Transaction',\n"
            f"  @LockTimeout = {LOCK_TIMEOUT};"
        )
        yield self._stop("@turn < 0", "another repair, or a merge, is under way")
        touched = [table for table, _ in self.touched(step)]
        merges = self.tables.get(self.merge)
        for table in dict.fromkeys(filter(None, [merges, *touched])):
            yield f"SELECT TOP (1) @held = 1 FROM {table.name} WITH (TABLOCK, HOLDLOCK);"  # noqa: S608 - quoted names and literals: a script has no parameters

    def _checks(self, step: Step) -> Iterator[str]:
        if step.guard:
            yield self._check(step, self.tables[self.merge], self.of_members(step), len(step.guard))
        for table, image, number in self.checked(step):
            yield self._check(step, table, self.exactly(table, image), number)

    def _check(self, step: Step, table: ScriptTable, where: str, planned: int) -> str:
        said = f"component {step.component}: rows of {table.shape.table} changed since the plan; nothing was done"
        return self._stop(f"(SELECT COUNT_BIG(*) FROM {table.name} WHERE {where}) <> {planned}", said)  # noqa: S608 - quoted names and literals: a script has no parameters

    def _stop(self, condition: str, said: str) -> str:
        # % would begin a place for a value, and a message is a literal or a variable, never an expression.
        plain = "".join(char if char.isascii() and char.isprintable() else "?" for char in said).replace("$(", "$ (")
        literal = "N'" + plain.replace("%", "%%").replace("'", "''") + "'"
        return f"IF {condition}\nBEGIN\n  ROLLBACK TRANSACTION;\n  RAISERROR({literal}, 16, 1);\n  RETURN;\nEND;"

    def _copied(self, step: Step, table: ScriptTable, where: str) -> str:
        return (
            f"INSERT INTO {table.copies} ({COMPONENT}, {table.listed})\n"  # noqa: S608 - quoted names and literals: a script has no parameters
            f"  SELECT {self.text(step.component)}, {table.listed} FROM {table.name} WHERE {where};"
        )

    def _change(self, step: Step, change: RowChange) -> str:
        table = self.tables[change.table]
        where = f"WHERE {self.at(table, change.before or {})};"
        taken, copied = "", ""
        if not table.shape.key:
            # Of equal rows one is taken, and copied as it goes.
            gone = ", ".join(f"deleted.{table.quotes[column.name]}" for column in table.columns)
            into = f"{table.copies} ({COMPONENT}, {table.listed})"
            taken, copied = " TOP (1)", f"\n  OUTPUT {self.text(step.component)}, {gone} INTO {into}\n "
        if change.after is None:
            return f"DELETE{taken} FROM {table.name}{copied} {where}"
        return f"UPDATE{taken} {table.name} SET {self.sets(change)}{copied} {where}"


def stored_of(column: Column) -> Stored:
    """Return a column as the catalogue described it, from the type that the plan spells."""
    found = _TYPE.fullmatch(column.type)
    base, first, scale = found.group("base", "first", "scale") if found else (column.type, None, None)
    size = -1 if first in {None, "max"} else int(first)
    return Stored(
        column.name,
        base,
        size=size * 2 if base in _WIDE and size > 0 else size,
        precision=max(size, 0),
        scale=int(scale or 0) if base not in _SCALED else max(size, 0),
    )
