"""Which columns a target itself declares as foreign keys: databases can say so, files cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mergeguard.storage.source import Snapshot


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A declared foreign key of one column."""

    column: str
    table: str
    """The table it points to, qualified where that lies outside the default schema."""
    target: str
    """The column it points to."""


def foreign_keys(snapshot: Snapshot, table: str) -> Sequence[ForeignKey]:
    """Return the declared foreign keys of one column each; empty where the target knows of none.

    Raises:
        UnknownSchema: there is no such table.
        CannotCheck: any other reason, see ``errors``.
    """
    from mergeguard.storage.database.source import DatabaseSnapshot  # noqa: PLC0415 - imports SQLAlchemy, which a file needs not

    if not isinstance(snapshot, DatabaseSnapshot):
        return ()
    with snapshot.source.translated():
        schema, name = snapshot.resolve(table)
        declared = snapshot.inspector.get_foreign_keys(name, schema=schema)
    found = []
    for key in declared:
        columns, targets = key["constrained_columns"], key["referred_columns"]
        if len(columns) == len(targets) == 1:
            place = f"{key['referred_schema']}." if key["referred_schema"] else ""
            found.append(ForeignKey(columns[0], place + key["referred_table"], targets[0]))
    return found
