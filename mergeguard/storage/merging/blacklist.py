"""Writes a merged-away agent into the table of agents that must take another guid, where the profile has one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from mergeguard.core.repair.plan import Action, Image, RowChange
from mergeguard.errors import WriteFailed
from mergeguard.storage.cells import row_cells
from mergeguard.storage.journal.tables import CLOCKS

if TYPE_CHECKING:
    from mergeguard.storage.profile import Blacklist, Profile
    from mergeguard.storage.rows.database import DatabaseRows

_YES = frozenset({"1", "true", "t", "yes", "y"})


def write(rows: DatabaseRows, profile: Profile, old: uuid.UUID, new: uuid.UUID, like: str | None) -> RowChange | None:
    """Put a guid that is merged away on the black list; return the change, ``None`` where there is nothing to do.

    There is nothing to do without such a table, for a guid that stands there already, and for one that no agent
    manages, where the profile says which are managed. ``like`` is a cell that shows how guids are stored.

    Raises:
        WriteFailed: the database refused, or stored something else than was asked.
    """
    listed = profile.blacklist
    if listed is None or not rows.known.fact(("black list",), lambda: rows.snapshot.find(listed.table) is not None):
        return None
    guid = rows.column(listed.table, listed.guid)
    if any(True for _ in rows.having(listed.table, guid, [old])) or not _is_managed(rows, profile, old):
        return None
    _insert(rows, listed, old, new, like if rows.source.kind == "sqlite" else None)
    found = list(rows.having(listed.table, guid, [old]))
    if len(found) != 1:
        raise WriteFailed(
            f"table {listed.table}: the agent that was put on it is not there",
            hint="look for triggers, rules or policies on the table; the transaction was rolled back",
        )
    return RowChange(Action.BLACKLIST, listed.table, None, found[0])


def _insert(rows: DatabaseRows, listed: Blacklist, old: uuid.UUID, new: uuid.UUID, like: str | None) -> None:
    table = rows.table(listed.table)
    cells: Image = {
        rows.column(listed.table, name): rows.cell(listed.table, rows.column(listed.table, name), each, like)
        for name, each in ((listed.guid, old), (listed.current, new))
        if name is not None
    }
    with rows.source.translated(writing=True):
        placed = {column: table.placed(column, cell) for column, cell in cells.items()}
        names, marks = [table.quotes[column] for column in placed], [mark for mark, _ in placed.values()]
        if listed.time is not None:
            names.append(table.quotes[rows.column(listed.table, listed.time)])
            marks.append(CLOCKS[rows.source.kind])
        sql = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join(marks)})"  # noqa: S608 - quoted identifiers
        rows.send([(sql, tuple(value for _, value in placed.values()))])


def _is_managed(rows: DatabaseRows, profile: Profile, guid: uuid.UUID) -> bool:
    managed = profile.managed
    if managed is None:
        return True
    column, said = (rows.column(managed.table, name) for name in (managed.guid, managed.managed))
    texts = (
        row_cells.text(rows, managed.table, said, image[said]) for image in rows.having(managed.table, column, [guid])
    )
    return any(text is not None and text.strip().lower() in _YES for text in texts)
