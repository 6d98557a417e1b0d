"""Reads the journal's tables on a connection that the caller opened: runs, steps, and how to cut a long run up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, TypeAlias

import sqlalchemy as sa

from mergeguard.core.repair.journal import JournalStep, Run
from mergeguard.storage.journal import rows as journal_rows
from mergeguard.storage.journal.tables import JournalTables

Span: TypeAlias = tuple[int, int]
"""First and last step, both included."""
CHANGES_AT_ONCE = 20_000
"""How many changes a span holds at most, if no one step has more."""
_FETCH = 2000


def runs(connection: sa.Connection, tables: JournalTables, run_id: str | None = None) -> list[Run]:
    """Return all runs, newest first, or the one of that id."""
    table, steps = tables.runs, tables.steps
    own = steps.c.run_id == table.c.run_id
    made, undone = (
        sa.select(count).select_from(steps).where(own).scalar_subquery()
        for count in (sa.func.count(), sa.func.count(steps.c.undone_by))
    )
    asked = sa.select(table, made.label("made"), undone.label("undone"))
    if run_id is not None:
        asked = asked.where(table.c.run_id == run_id)
    found = connection.execute(asked.order_by(table.c.started.desc(), table.c.run_id)).all()
    return [journal_rows.run_of(row, row.made, row.undone) for row in found]


def spans(connection: sa.Connection, tables: JournalTables, run_id: str) -> list[Span]:
    """Cut a run into spans of step numbers, each of so many changes as may be in memory."""
    steps, changes = tables.steps, tables.changes
    counts = (
        sa.select(changes.c.step, sa.func.count().label("size"))
        .where(changes.c.run_id == run_id)
        .group_by(changes.c.step)
        .subquery("counts")
    )
    sizes = (
        sa.select(steps.c.step, sa.func.coalesce(counts.c.size, 0))
        .select_from(steps.outerjoin(counts, counts.c.step == steps.c.step))
        .where(steps.c.run_id == run_id)
        .order_by(steps.c.step)
    )
    found: list[Span] = []
    held = 0
    for number, size in connection.execute(sizes).all():
        if found and held + size < CHANGES_AT_ONCE:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
            held = 0
        held += size + 1
    return found


def steps(connection: sa.Connection, tables: JournalTables, run_id: str, span: Span | None) -> Iterator[JournalStep]:
    """Yield the steps of a run, or of a span of it, in their order; the changes of one step are held at a time.

    Raises:
        JournalDamaged: a step is not as it was written.
    """
    rows = connection.execute(_part(tables.steps, run_id, span).order_by(tables.steps.c.step)).all()
    place = (tables.changes.c.step, tables.changes.c.place)
    asked = _part(tables.changes, run_id, span).order_by(*place)
    found = connection.execute(asked, execution_options={"yield_per": _FETCH})
    try:
        groups = groupby(found.mappings(), key=lambda change: change["step"])
        number, group = next(groups, _NO_GROUP)
        for row in rows:
            own: list[Any] = []
            if number == row.step:
                own = list(group)
                number, group = next(groups, _NO_GROUP)
            yield journal_rows.step_of(row, own)
    finally:
        found.close()


_NO_GROUP: tuple[None, Iterator[Any]] = (None, iter(()))


def _part(table: sa.Table, run_id: str, span: Span | None) -> sa.Select[Any]:
    asked = sa.select(table).where(table.c.run_id == run_id)
    return asked if span is None else asked.where(table.c.step.between(*span))
