"""A plan as a script for SQLite.

SQLite has no procedural language: a row that differs violates a CHECK of a temporary table, which rolls the transaction
back; and every change asks whether all checks passed, so that a shell that goes on after an error changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from mergeguard.core.repair.plan import Column, Image, Step
from mergeguard.storage.scripts.plan import COMPONENT, PlanStatements, ScriptTable, chunks

_CHECKS = "temp.mergeguard_check"
_KINDS = {"i:": "integer", "r:": "real", "t:": "text", "x:": "text", "b:": "blob"}


class SqliteStatements(PlanStatements):
    """The statements of one plan for SQLite."""

    def quoted(self, name: str) -> str:
        """Quote an identifier."""
        return '"' + name.replace('"', '""') + '"'

    def text(self, text: str) -> str:
        """Write a text as a literal; one that does not print as the hex of its bytes."""
        if not text.isprintable():
            return f"CAST(X'{text.encode('utf-8', 'surrogatepass').hex()}' AS TEXT)"
        return "'" + text.replace("'", "''") + "'"

    def literal(self, column: Column, cell: str) -> str:  # noqa: ARG002 - a cell says of which kind it is
        """Write a value as a literal of its own kind."""
        kind, text = cell[:2], cell[2:]
        if kind == "r:":
            return repr(float.fromhex(text)).replace("inf", "9e999")
        if kind == "i:":
            return text
        hexed = f"X'{text}'"
        return self.text(text) if kind == "t:" else f"CAST({hexed} AS TEXT)" if kind == "x:" else hexed

    def exactly(self, table: ScriptTable, image: Image) -> str:
        """Compare all values byte for byte, and of which kind they are."""
        cells = [(table.quotes[column.name], column, image[column.name]) for column in table.columns]
        same = [f"{name} IS {self.value(column, cell)}{_exact(cell)}" for name, column, cell in cells]
        kinds = " ".join("null" if cell is None else _KINDS[cell[:2]] for *_, cell in cells)
        names = " || ' ' || ".join(f"typeof({name})" for name, *_ in cells)
        return "\n    AND ".join([*same, f"{names} = '{kinds}'"])

    def opening(self) -> list[str]:
        """Make the tables for the copies, and the one that checks."""
        checks = (
            "component TEXT NOT NULL, found INTEGER NOT NULL, planned INTEGER NOT NULL, "
            "CONSTRAINT rows_changed_since_the_plan CHECK (found = planned)"
        )
        return [
            *(self._copies(table) for table in self.tables.values()),
            f"DROP TABLE IF EXISTS {_CHECKS};",
            f"CREATE TEMPORARY TABLE mergeguard_check ({checks});",
        ]

    def step(self, step: Step) -> list[str]:
        """Check, copy, change."""
        checks = list(self._checks(step))
        passed = f"(SELECT COUNT(*) FROM {_CHECKS} WHERE component = {self.text(step.component)}) = {len(checks)}"  # noqa: S608 - quoted names and literals: a script has no parameters
        copies = [
            self._copied(step, table, self.any_of(table, some), passed)
            for table, images in self.touched(step)
            for some in chunks(images)
        ]
        return ["BEGIN IMMEDIATE;", *checks, *copies, *self._changes(step, passed), "COMMIT;"]

    def back(self, table: ScriptTable) -> list[str]:
        """Put the copies of a table back over what stands there."""
        put = f"INSERT INTO {table.name} ({table.listed}) SELECT {table.listed} FROM {table.copies};"  # noqa: S608 - quoted names and literals: a script has no parameters
        gone = f"DELETE FROM {table.copies};"  # noqa: S608 - quoted names and literals: a script has no parameters
        return ["BEGIN IMMEDIATE;", *self.over(table), put, gone, "COMMIT;"]

    def _copies(self, table: ScriptTable) -> str:
        columns = [f"{table.quotes[column.name]} {column.type}".rstrip() for column in table.columns]
        listed = ",\n  ".join([f"{COMPONENT} TEXT NOT NULL", *columns])
        return f"CREATE TABLE IF NOT EXISTS {table.copies} (\n  {listed}\n);"

    def _checks(self, step: Step) -> Iterator[str]:
        if step.guard:
            yield self._check(step, self.tables[self.merge], self.of_members(step), len(step.guard))
        for table, image, number in self.checked(step):
            yield self._check(step, table, self.exactly(table, image), number)

    def _check(self, step: Step, table: ScriptTable, where: str, planned: int) -> str:
        found = f"SELECT COUNT(*) FROM {table.name} WHERE {where}"  # noqa: S608 - quoted names and literals: a script has no parameters
        return f"INSERT OR ROLLBACK INTO {_CHECKS} VALUES ({self.text(step.component)},\n  ({found}), {planned});"  # noqa: S608 - quoted names and literals: a script has no parameters

    def _copied(self, step: Step, table: ScriptTable, where: str, passed: str) -> str:
        return (
            f"INSERT INTO {table.copies} ({COMPONENT}, {table.listed})\n"  # noqa: S608 - quoted names and literals: a script has no parameters
            f"  SELECT {self.text(step.component)}, {table.listed} FROM {table.name}\n  WHERE ({where}) AND {passed};"
        )

    def _changes(self, step: Step, passed: str) -> Iterator[str]:
        for change in self.written(step):
            table = self.tables[change.table]
            where = f"WHERE {self.at(table, change.before or {})}\n  AND {passed};"
            if change.after is None:
                yield f"DELETE FROM {table.name} {where}"  # noqa: S608 - quoted names and literals: a script has no parameters
            else:
                yield f"UPDATE {table.name} SET {self.sets(change)} {where}"  # noqa: S608 - quoted names and literals: a script has no parameters


def _exact(cell: str | None) -> str:
    """Return the collation that tells all texts apart."""
    return " COLLATE BINARY" if cell is not None and cell[:2] in {"t:", "x:"} else ""
