"""A plan as statements that a person runs by hand: a script has no parameters and no program around it.

Each step is one transaction that locks, holds every row against its image, and ends without a change where one differs.
What goes or changes is first copied into tables of the script's own, so that there is a way back without a journal.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from mergeguard.core.repair.plan import Action, Column, Image, Plan, RowChange, Step, TableShape
from mergeguard.storage.cells import guid_spelling

BACKUP = "mergeguard_retired"
COMPONENT = "mergeguard_component"
AT_ONCE = 50
"""Rows that one statement of a script names; more of them would be a wall of text."""


class ScriptTable:
    """One table of a plan, its names quoted.

    Args:
        shape: as the plan describes it.
        name: quoted and qualified.
        copies: the table for the copies of its rows, likewise.
        quotes: each column, quoted.
    """

    def __init__(self, shape: TableShape, name: str, copies: str, quotes: dict[str, str]) -> None:
        self.shape = shape
        self.name = name
        self.copies = copies
        self.quotes = quotes
        self.columns = [column for column in shape.columns if not column.generated]
        """Those that images hold."""
        self.listed = ", ".join(quotes[column.name] for column in self.columns)

    def column(self, name: str) -> Column:
        """Return a column that a profile may spell in another case."""
        named = [column for column in self.columns if column.name == name]
        return (named or [column for column in self.columns if column.name.lower() == name.lower()])[0]


class PlanStatements(ABC):
    """The statements of one plan in one dialect."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.merge: str = plan.profile["merge"]["table"]
        self.old: str = plan.profile["merge"]["old"]
        self.tables = {shape.table: self._table(shape, number) for number, shape in enumerate(plan.tables)}

    # What a dialect says.

    @abstractmethod
    def quoted(self, name: str) -> str:
        """Quote an identifier."""

    @abstractmethod
    def text(self, text: str) -> str:
        """Write a text as a literal of printable characters."""

    @abstractmethod
    def literal(self, column: Column, cell: str) -> str:
        """Write the value of a cell that is not NULL."""

    @abstractmethod
    def exactly(self, table: ScriptTable, image: Image) -> str:
        """Return the condition that a row equals an image in all its columns."""

    @abstractmethod
    def opening(self) -> list[str]:
        """Return what stands before all steps: settings, and the tables for the copies."""

    @abstractmethod
    def step(self, step: Step) -> list[str]:
        """Return the transaction of a step."""

    @abstractmethod
    def back(self, table: ScriptTable) -> list[str]:
        """Return the statements that put the copies of a table back over what stands there."""

    # Shared by the dialects.

    def back_all(self) -> list[str]:
        """Return the way back, the last table first."""
        return [line for table in reversed(self.tables.values()) for line in self.back(table)]

    def named(self, name: str) -> str:
        """Quote the name of a table as the profile gives it, with its schema where there is one."""
        schema, _, own = name.rpartition(".")
        return ".".join(map(self.quoted, [*filter(None, [schema]), own]))

    def value(self, column: Column, cell: str | None) -> str:
        """Write the value of a cell."""
        return "NULL" if cell is None else self.literal(column, cell)

    def at(self, table: ScriptTable, image: Image) -> str:
        """Return the condition that finds one row: by its key, or by all its columns where it has none."""
        if not table.shape.key:
            return self.exactly(table, image)
        keys = [table.column(name) for name in table.shape.key]
        return " AND ".join(f"{table.quotes[key.name]} = {self.value(key, image[key.name])}" for key in keys)

    def any_of(self, table: ScriptTable, images: Sequence[Image], gap: str = " OR ") -> str:
        """Return the condition that finds some rows by their keys."""
        if len(table.shape.key) != 1:
            return gap.join(f"({self.at(table, image)})" for image in images)
        key = table.column(table.shape.key[0])
        return f"{table.quotes[key.name]} IN ({', '.join(self.value(key, image[key.name]) for image in images)})"

    def of_members(self, step: Step) -> str:
        """Return the condition that a row of the merge table is one of a step's members', in any usual spelling."""
        table = self.tables[self.merge]
        old = table.column(self.old)
        values = [self.value(old, image[old.name]) for image in step.guard]
        kind = old.type.lower()
        if "char" in kind or "text" in kind or not kind:
            values += [self.text(text) for member in step.members for text in guid_spelling.usual(member)]
        return f"{table.quotes[old.name]} IN ({', '.join(dict.fromkeys(values))})"

    def checked(self, step: Step) -> Iterator[tuple[ScriptTable, Image, int]]:
        """Yield each row that must stand as it was before a step, and how many rows are equal to it."""
        touched = [(table, image) for table, images in self.touched(step) for image in images]
        kept = (change for change in step.changes if change.action is Action.KEEP)
        touched += [(self.tables[change.table], change.before) for change in kept if change.before is not None]
        merges = [(self.tables[self.merge], image) for image in step.guard]
        # The guard holds all rows of the merge table that the step touches, and those that stay.
        rows = merges + [(table, image) for table, image in touched if not merges or table is not merges[0][0]]
        counts: dict[tuple[str, str], int] = {}
        for table, image in rows:
            counts[table.name, _text(image)] = counts.get((table.name, _text(image)), 0) + 1
        for table, image in rows:
            number = counts.pop((table.name, _text(image)), 0)
            if number:
                yield table, image, number

    def written(self, step: Step) -> list[RowChange]:
        """Return the changes of a step that change something."""
        return [change for change in step.changes if change.action is not Action.KEEP]

    def touched(self, step: Step) -> Iterator[tuple[ScriptTable, list[Image]]]:
        """Yield by table the rows that a step changes, as they are before any of its changes."""
        made: set[str] = set()
        found: dict[str, list[Image]] = {}
        for change in self.written(step):
            if change.before is not None and _text(change.before) not in made:
                found.setdefault(change.table, []).append(change.before)
            if change.after is not None:
                made.add(_text(change.after))
        for table, images in found.items():
            yield self.tables[table], images

    def sets(self, change: RowChange) -> str:
        """Return the SET list of a change that keeps its row."""
        table = self.tables[change.table]
        before, after = change.before or {}, change.after or {}
        changed = [column for column in table.columns if before[column.name] != after[column.name]]
        return ", ".join(f"{table.quotes[each.name]} = {self.value(each, after[each.name])}" for each in changed)

    def is_updated(self, table: ScriptTable) -> bool:
        """Say whether some row of a table is changed and stays."""
        return next(self.over(table), None) is not None

    def over(self, table: ScriptTable) -> Iterator[str]:
        """Yield the statements that make room for the copies of rows that were changed, where their step was made."""
        for step in self.plan.steps:
            changes = [change for change in step.changes if change.table == table.shape.table]
            befores = {_text(change.before) for change in changes if change.before is not None}
            made = f"SELECT 1 FROM {table.copies} WHERE {COMPONENT} = {self.text(step.component)}"  # noqa: S608 - quoted names and literals: a script has no parameters
            for change in changes:
                if change.after is not None and _text(change.after) not in befores:
                    yield f"DELETE FROM {table.name} WHERE {self.at(table, change.after)}\n  AND EXISTS ({made});"  # noqa: S608 - quoted names and literals: a script has no parameters

    def _table(self, shape: TableShape, number: int) -> ScriptTable:
        schema = shape.table.rpartition(".")[0]
        copies = f"{BACKUP}_{self.plan.plan_id[:12]}" + (f"_{number + 1}" if number else "")
        quotes = {column.name: self.quoted(column.name) for column in shape.columns}
        return ScriptTable(
            shape, self.named(shape.table), self.named(f"{schema}.{copies}" if schema else copies), quotes
        )


def chunks(images: Sequence[Image]) -> Iterator[Sequence[Image]]:
    """Cut rows into as many as one statement names."""
    for start in range(0, len(images), AT_ONCE):
        yield images[start : start + AT_ONCE]


def _text(image: Image) -> str:
    return json.dumps(dict(image), sort_keys=True)
