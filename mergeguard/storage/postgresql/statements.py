"""A plan as a script for PostgreSQL: what fails makes the server refuse all that follows in its transaction."""

from __future__ import annotations

from collections.abc import Iterator

from mergeguard.core.repair.plan import Column, Image, RowChange, Step
from mergeguard.storage.merging import lock as merge_lock
from mergeguard.storage.postgresql.rows import SETTINGS
from mergeguard.storage.scripts.plan import COMPONENT, PlanStatements, ScriptTable, chunks

LOCK_TIMEOUT = "10s"


class PostgresqlStatements(PlanStatements):
    """The statements of one plan for PostgreSQL."""

    def quoted(self, name: str) -> str:
        """Quote an identifier."""
        return '"' + name.replace('"', '""') + '"'

    def text(self, text: str) -> str:
        """Write a text as a literal; where something in it does not print, with that spelt out."""
        if text.isprintable():
            return "'" + text.replace("'", "''") + "'"
        spelt = "".join(char if char.isprintable() else f"\\+{ord(char):06x}" for char in text.replace("\\", "\\\\"))
        return "U&'" + spelt.replace("'", "''") + "'"

    def literal(self, column: Column, cell: str) -> str:
        """Give a text to the type of its column."""
        return f"CAST({self.text(cell)} AS {column.type})"

    def exactly(self, table: ScriptTable, image: Image) -> str:
        """Find the row by its key, then compare the text of each value byte for byte."""
        keys = [self.at(table, image)] if table.shape.key else []
        same = (self._same(table, column, image[column.name]) for column in table.columns)
        return "\n    AND ".join([*keys, *same])

    def opening(self) -> list[str]:
        """Make the tables for the copies."""
        return [
            "SET standard_conforming_strings = on;",
            *(f"SET {name} = '{value}';" for name, value in {**SETTINGS, "lock_timeout": LOCK_TIMEOUT}.items()),
            *(self._copies(table) for table in self.tables.values()),
        ]

    def step(self, step: Step) -> list[str]:
        """Lock, check, copy, change."""
        copies = [
            self._copied(step, table, self.any_of(table, some))
            for table, images in self.touched(step)
            if table.shape.key
            for some in chunks(images)
        ]
        changes = [line for change in self.written(step) for line in self._change(step, change)]
        return ["BEGIN;", *self._locks(step), self._checks(step), *copies, *changes, "COMMIT;"]

    def back(self, table: ScriptTable) -> list[str]:
        """Put the copies of a table back over what stands there."""
        if self.is_updated(table) and not table.shape.key:
            return [f"-- {table.name} has no key: compare it with {table.copies} by hand"]
        own = " OVERRIDING SYSTEM VALUE" if any(column.identity for column in table.columns) else ""
        put = f"INSERT INTO {table.name} ({table.listed}){own} SELECT {table.listed} FROM {table.copies};"  # noqa: S608 - quoted names and literals: a script has no parameters
        gone = f"DELETE FROM {table.copies};"  # noqa: S608 - quoted names and literals: a script has no parameters
        return ["BEGIN;", *self.over(table), put, gone, "COMMIT;"]

    def _same(self, table: ScriptTable, column: Column, cell: str | None) -> str:
        name = table.quotes[column.name]
        # IS NULL holds for a composite of nothing but NULLs, too.
        return (
            f"{name} IS NOT DISTINCT FROM NULL"
            if cell is None
            else f'CAST({name} AS text) COLLATE "C" = {self.text(cell)}'
        )

    def _copies(self, table: ScriptTable) -> str:
        columns = f"CAST(NULL AS text) AS {COMPONENT}, {table.listed}"
        return f"CREATE TABLE IF NOT EXISTS {table.copies} AS\n  SELECT {columns}\n  FROM {table.name} WITH NO DATA;"  # noqa: S608 - quoted names and literals: a script has no parameters

    def _locks(self, step: Step) -> Iterator[str]:
        """Take the merge lock, which only the server can name in full, and keep writers off the tables."""
        merges = self.named(self.merge)
        name = merge_lock.NAME.format(schema="' || n.nspname || '", table="' || c.relname || '")
        yield (
            f"SELECT pg_advisory_xact_lock(hashtextextended('{name}', 0))\n"  # noqa: S608 - quoted names and literals: a script has no parameters
            f"  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n"
            f"  WHERE c.oid = to_regclass({self.text(merges)});"
        )
        names = dict.fromkeys([merges, *(table.name for table, _ in self.touched(step))])
        yield f"LOCK TABLE {', '.join(names)} IN SHARE ROW EXCLUSIVE MODE;"

    def _checks(self, step: Step) -> str:
        """Write one block that raises an error where a row differs; its quotes are a word that no row holds."""
        tag = f"$mergeguard_{self.plan.plan_id}$"
        lines = []
        if step.guard:
            lines.append(self._check(step, self.tables[self.merge], self.of_members(step), len(step.guard)))
        lines += [self._check(step, table, self.exactly(table, image), n) for table, image, n in self.checked(step)]
        return "\n".join([f"DO {tag}", "BEGIN", *lines, "END", f"{tag};"])

    def _check(self, step: Step, table: ScriptTable, where: str, planned: int) -> str:
        said = f"component {step.component}: rows of {table.shape.table} changed since the plan; nothing was done"
        return (
            f"  IF (SELECT COUNT(*) FROM {table.name} WHERE {where}) <> {planned} THEN\n"  # noqa: S608 - quoted names and literals: a script has no parameters
            f"    RAISE EXCEPTION USING MESSAGE = {self.text(said)};\n  END IF;"
        )

    def _copied(self, step: Step, table: ScriptTable, where: str) -> str:
        return (
            f"INSERT INTO {table.copies} ({COMPONENT}, {table.listed})\n"  # noqa: S608 - quoted names and literals: a script has no parameters
            f"  SELECT {self.text(step.component)}, {table.listed} FROM {table.name} WHERE {where};"
        )

    def _change(self, step: Step, change: RowChange) -> Iterator[str]:
        table, before = self.tables[change.table], change.before or {}
        where = self.at(table, before)
        if not table.shape.key:
            # Of equal rows one is taken, by its place.
            one = f"SELECT tableoid, ctid FROM {table.name} WHERE {where} LIMIT 1"  # noqa: S608 - quoted names and literals: a script has no parameters
            yield self._copied(step, table, f"(tableoid, ctid) IN ({one})")
            where = f"(tableoid, ctid) IN ({one})"
        if change.after is None:
            yield f"DELETE FROM {table.name} WHERE {where};"  # noqa: S608 - quoted names and literals: a script has no parameters
        else:
            yield f"UPDATE {table.name} SET {self.sets(change)} WHERE {where};"  # noqa: S608 - quoted names and literals: a script has no parameters
