"""What the guard is made of: where it stands, the statements that make it or take it away, what the catalogue says.

The guard is a trigger on the merge table and a table of one row. Whoever writes merges updates that row before he
looks, so that of two who look at the same time one waits, and of two with snapshots of their own one fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from mergeguard.storage.guard.keys import GuardKeys, Spelling
    from mergeguard.storage.rows.database import DatabaseRows

VERSION: Final = 1
"""Of the trigger's text. It grows with each change of what ``GuardScript`` renders."""
HEADER: Final = "MergeGuard guard, version {version}: {table}, guids compared {spelling}"
"""The first line of a trigger's body, by which the catalogue's text is recognised."""
MARK: Final = "mergeguard:"
"""Every refusal of a guard begins with it."""
RESTORING: Final = "mergeguard.restoring"
"""PostgreSQL: the setting by which a repair or an undo says that it knows what it does. No security boundary."""
RESTORING_ID: Final = 2
"""SQLite: the id of the row that says so, in the guard's table, within the transaction."""
Reason = Literal["self-merge", "conflict", "cycle", "spelling", "no-guard-row"]
REFUSALS: Final[dict[Reason, str]] = {
    "self-merge": "a guid would be merged into itself",
    "conflict": "a guid that was merged into one would be merged into another, too",
    "cycle": "merges would lead back to where they began",
    "spelling": "a guid is spelled in a way in which the guard would not find it again",
    "no-guard-row": "the guard has lost its row; 'mergeguard guard install' puts it back",
}
"""What a guard says, by its reason."""


def refusal(reason: Reason) -> str:
    """Return the message of a refusal."""
    return f"{MARK} {reason}: {REFUSALS[reason]}"


@dataclass(frozen=True, slots=True)
class GuardPlace:
    """Where a guard stands. Names are quoted and qualified as SQL wants them, unless said otherwise."""

    table: str
    """The merge table as the profile names it."""
    merge: str
    merge_name: str
    """Its plain name, not quoted."""
    old: str
    new: str
    guard: str
    """The table of the one row."""
    stem: str
    """The plain name of that table, not quoted: the names of all that belongs to the guard begin with it."""
    schema: str | None
    """The schema of the guard's table, not quoted; ``None`` where the dialect has none."""
    merge_schema: str | None
    """The schema of the merge table, likewise."""
    key_type: str
    """The type of a key, as SQL spells it."""
    indexed: bool = True
    """Whether an index begins with the old, so that a check need not read the whole table."""
    resource: str = ""
    """SQL Server: the name of the merge lock."""

    def header(self, spelling: Spelling) -> str:
        """Return the first line of the trigger's body."""
        return HEADER.format(version=VERSION, table=self.merge, spelling=spelling)


@dataclass(frozen=True, slots=True)
class Found:
    """What the catalogue says of a guard."""

    triggers: dict[str, str]
    """The texts that are there, by name; without what the server adds."""
    disabled: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    """Tables on which a guard of this name stands although it is to guard another one."""


class GuardScript(Protocol):
    """The texts of one dialect; nothing is sent."""

    place: GuardPlace
    keys: GuardKeys

    def create_table(self) -> Sequence[str]:
        """Return the statements that make the guard's table and its row where they are missing."""
        ...

    def triggers(self) -> dict[str, str]:
        """Return by name the texts that the catalogue holds where this guard is installed."""
        ...

    def create_triggers(self) -> Sequence[str]:
        """Return the statements that bring the triggers, whatever stands there now, to this text."""
        ...

    def drop_triggers(self) -> Sequence[str]:
        """Return the statements that take the triggers away where they stand."""
        ...

    def found(self, rows: DatabaseRows) -> Found:
        """Look the guard up in the catalogue."""
        ...

    def has_row(self, rows: DatabaseRows) -> bool | None:
        """Look for the guard's row, where this login may; its table is there."""
        ...
