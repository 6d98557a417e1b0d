"""Real databases in which plans are applied and taken back; the cases are those of ``stale_case``."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from stale_case import COLUMNS, Row, StaleCase, create, fill

from mergeguard.core.repair.plan import Plan
from mergeguard.integrity.apply import Applied, ApplyOptions, apply_plan
from mergeguard.integrity.lookup import build_lookup, verify_lookup
from mergeguard.integrity.planning import PlanOptions, make_plan
from mergeguard.integrity.undo import Undone, undo_run
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options, Source
from mergeguard.storage.targets import open_target

FREE = PlanOptions(accept_medium=True, allow_arbitrary=True)
"""Decide whatever can be decided, so that there is something to apply."""
TYPES = {"sqlite": "varchar(40)", "postgresql": "uuid"}
OURS = ("mergeguard_lookup", "mergeguard_change", "mergeguard_step", "mergeguard_run")


class World:
    """One database, filled anew for each case.

    Attributes:
        profile: how to read the case that was put in last.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.kind = url.partition(":")[0].partition("+")[0]
        self.engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        self.profile = Profile()
        create(self.engine, TYPES[self.kind])

    def put(self, case: StaleCase, *, lookup: bool = False) -> None:
        """Fill the database with a case, and with nothing of ours but, if wanted, the lookup."""
        with self.engine.begin() as connection:
            for table in OURS:
                connection.execute(sa.text(f'DROP TABLE IF EXISTS "{table}"'))
        fill(self.engine, case, self.spell)
        # The news by their number, where a case has several: the order of rows is what decides.
        self.profile = replace(case.profile, merge=replace(case.profile.merge, row_id="Id"))
        if lookup:
            with self.opened() as source:
                build_lookup(source, self.profile)

    def spell(self, one: uuid.UUID) -> object:
        return str(one) if self.kind == "sqlite" else one

    @contextmanager
    def opened(self, url: str | None = None, options: Options | None = None) -> Iterator[Source]:
        source = open_target(url or self.url, self.profile, options or Options())
        try:
            yield source
        finally:
            source.close()

    def plan(self, options: PlanOptions = FREE) -> Plan:
        with self.opened() as source:
            return make_plan(source, self.profile, options)

    def apply(self, plan: Plan, options: ApplyOptions | None = None, **more: Any) -> Applied:
        with self.opened() as source:
            return apply_plan(source, self.profile, plan, options, **more)

    def undo(self, run: str, **more: Any) -> Undone:
        with self.opened() as source:
            return undo_run(source, self.profile, run, **more)

    def journal(self) -> Journal:
        return Journal(open_target(self.url, self.profile, Options()), self.profile)

    def drift(self) -> int | None:
        """How many rows of the stored lookup are wrong; ``None`` where none is stored."""
        with self.opened() as source:
            found = verify_lookup(source, self.profile)
        return found.drift if found.exists else None

    def merges(self) -> list[tuple[int, uuid.UUID, uuid.UUID]]:
        return [(row[0], uuid.UUID(str(row[1])), uuid.UUID(str(row[2]))) for row in self.rows("Merges")]

    def rows(self, table: str, *names: str) -> list[tuple[Any, ...]]:
        wanted = ", ".join(f'"{name}"' for name in names or COLUMNS[table])
        if self.kind == "sqlite" and not names:
            wanted = f"{wanted}, rowid"
        with self.engine.connect() as connection:
            found = connection.execute(sa.text(f'SELECT {wanted} FROM "{table}"'))
            return sorted((tuple(row) for row in found), key=repr)

    def everything(self) -> dict[str, list[Row]]:
        """All rows of all tables, and where SQLite keeps them; the lookup too, where there is one."""
        found = {table: self.rows(table) for table in COLUMNS}
        if sa.inspect(self.engine).has_table("mergeguard_lookup"):
            found["lookup"] = self.rows("mergeguard_lookup", "old_guid", "current_guid", "depth", "status")
        return found

    def execute(self, *statements: str, **values: object) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement), values)


def rings(*sizes: int, start: int = 0) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Rows that lead in circles, one circle a size; the last row of each is the newest."""
    pairs: list[tuple[uuid.UUID, uuid.UUID]] = []
    for number, size in enumerate(sizes):
        ring = [member(start + number, place) for place in range(size)]
        pairs += zip(ring, [*ring[1:], ring[0]], strict=True)
    return pairs


def member(ring: int, place: int) -> uuid.UUID:
    """The guid at a place of a ring."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"ring {ring} place {place}")


def touched(plan: Plan) -> set[uuid.UUID]:
    """The olds whose rows a plan may change."""
    return {guid for step in plan.steps for guid in step.members}


def untouched_rows(rows: Sequence[tuple[int, uuid.UUID, uuid.UUID]], plan: Plan) -> list[tuple[Any, ...]]:
    """The merge rows of everybody else."""
    inside = touched(plan)
    return [row for row in rows if row[1] not in inside]
