"""What must be true before the first change of a run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mergeguard.core.repair.plan import Plan, RowChange, TableShape
from mergeguard.errors import PlanRefused, Stale, UnknownSchema, Unsupported
from mergeguard.storage.database.identity import check_identity

if TYPE_CHECKING:
    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.database.writing import DatabaseWriting
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows
    from mergeguard.storage.source import Source


def require_database(source: Source) -> DatabaseSource:
    """Return an open target as the database that it must be, brought back in order where a writer died.

    Raises:
        Unsupported: it is a file.
        CannotCheck: it cannot be opened.
    """
    from mergeguard.storage.database.source import DatabaseSource  # noqa: PLC0415 - SQLAlchemy; a file target does without

    if not isinstance(source, DatabaseSource):
        raise Unsupported(
            f"{source.info.target}: only a database can be repaired, and this is a file",
            hint="load the file into a database, repair it there, and export it again",
        )
    source.recover()
    return source


def check_plan(source: DatabaseSource, plan: Plan, now: dt.datetime) -> None:
    """Make sure that a plan may be applied to this database, today, to these tables.

    Raises:
        PlanRefused: it expired, or is for another database.
        Stale: a table has other columns than it had.
        CannotCheck: the target could not be read.
    """
    if now >= plan.expires:
        raise PlanRefused(
            f"the plan expired on {plan.expires:%Y-%m-%d at %H:%M:%S} UTC",
            hint="the longer a plan lies, the less its evidence holds; make a new one with 'mergeguard plan'",
        )
    check_identity(source, plan.target)
    with source.snapshot() as snapshot:
        rows = source.rows(snapshot)
        changed = tuple(line for shape in plan.tables for line in _altered(rows, shape))
    if changed:
        raise Stale(f"the plan was made for other tables: {changed[0]}", changed=changed)


def _altered(rows: DatabaseRows, planned: TableShape) -> Iterator[str]:
    try:
        found = rows.shape(planned.table)
    except UnknownSchema:
        yield f"table {planned.table} is not there any more"
        return
    before = {column.name: column for column in planned.columns}
    after = {column.name: column for column in found.columns}
    yield from (f"{planned.table} has lost its column {name}" for name in before if name not in after)
    yield from (f"{planned.table} has a new column {name}" for name in after if name not in before)
    for name, column in before.items():
        if name in after and column != after[name]:
            yield f"{planned.table}.{name} was {column.type} and is {after[name].type} now, or is made otherwise"
    if planned.key != found.key:
        yield f"the rows of {planned.table} were told apart by {_named(planned)}, and now by {_named(found)}"


def _named(shape: TableShape) -> str:
    return ", ".join(shape.key) or "all their columns"


def check_rights(writing: DatabaseWriting, profile: Profile, changes: Iterable[RowChange], *, lookup: bool) -> None:
    """Make sure that this login may do all that a run is about to do.

    Raises:
        PermissionDenied: it may not; nothing was changed.
    """
    wanted: dict[str, set[str]] = {}
    for change in changes:
        verb = "INSERT" if change.before is None else "DELETE" if change.after is None else "UPDATE"
        wanted.setdefault(change.table, set()).add(verb)
    if lookup:
        wanted.setdefault(profile.lookup.table, set()).update(("INSERT", "DELETE"))
    for table, verbs in wanted.items():
        writing.check_rights([table], sorted(verbs))
