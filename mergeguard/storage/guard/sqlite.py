"""The guard of SQLite: triggers that look at one row after the other, as it is written.

SQLite lets one connection write at a time, and refuses a write to one whose snapshot is old; so there is nothing that
the guard's row would have to add. Its triggers know no end of a statement: an UPDATE of several rows is looked at row
by row, and is refused where one of the steps on its way would be.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mergeguard.errors import Unsupported
from mergeguard.storage.cells.guid_spelling import BLANKS
from mergeguard.storage.database.table_indexes import is_indexed
from mergeguard.storage.guard.keys import GuardKeys, Spelling
from mergeguard.storage.guard.parts import RESTORING_ID, Found, GuardPlace, Reason, refusal

if TYPE_CHECKING:
    from mergeguard.storage.profile import Merge, Profile
    from mergeguard.storage.rows.database import DatabaseRows

_CATALOGUE = "SELECT name, tbl_name, tbl_name = ? COLLATE NOCASE, sql FROM sqlite_master WHERE type = 'trigger'"


class SqliteKeys(GuardKeys):
    """Expressions of SQLite, whose columns hold values of any kind."""

    def literal(self, guid: uuid.UUID) -> str:
        """Return the bytes of a guid."""
        return f"X'{self.packed(guid)}'"

    def is_digits(self, text: str) -> str:
        """Say of a text whether it is 32 digits."""
        return f"length({text}) = 32 AND {text} NOT GLOB '*[^0-9a-f]*'"

    def trimmed(self, text: str) -> str:
        """Take the blanks off."""
        blanks = " || ".join(f"char({ord(blank)})" for blank in BLANKS)
        return f"trim({text}, {blanks})"

    def as_text(self, cell: str) -> str:
        """Return the digits of 16 bytes in the order of a text, and any other value as it is."""
        if self.spelling == "plain":
            return cell
        pairs = (4, 3, 2, 1, 6, 5, 8, 7) if self._swapped else ()
        swapped = [f"substr(hex({cell}), {2 * pair - 1}, 2)" for pair in pairs]
        hexed = " || ".join([*swapped, f"substr(hex({cell}), {2 * len(swapped) + 1})"])
        return f"CASE typeof({cell}) WHEN 'blob' THEN {hexed} ELSE {cell} END"

    def plain_key(self, cell: str) -> str:
        """Return 16 bytes; what is none has no key."""
        return f"CASE WHEN typeof({cell}) = 'blob' AND length({cell}) = 16 THEN {cell} END"

    def unusual(self, cell: str) -> str | None:
        """Return also the condition that a column of bytes gets a text."""
        if self.spelling != "plain":
            return super().unusual(cell)
        return f"typeof({cell}) = 'text' AND {self.is_digits(self.digits(cell))}"


def script(rows: DatabaseRows, profile: Profile, spelling: Spelling | None) -> SqliteGuardScript:
    """Return the guard of a file; see ``guard.script_of``."""
    merge = profile.merge
    stored = rows.table(merge.table)
    schema, name = rows.snapshot.resolve(merge.table)
    if schema is not None or "." in profile.merging.guard:
        raise Unsupported("the guard of an SQLite file stands in the file itself: leave schemas out of the names")
    if not rows.tuples("SELECT 1 FROM sqlite_master WHERE name = ? AND type = 'table'", [name]):
        raise Unsupported(f"{merge.table} is no table, and only a table has triggers that see its rows")
    old, new = rows.column(merge.table, merge.old), rows.column(merge.table, merge.new)
    stem = profile.merging.guard
    place = GuardPlace(
        table=merge.table,
        merge=_quoted(name),
        merge_name=name,
        old=_quoted(old),
        new=_quoted(new),
        guard=_quoted(stem),
        stem=stem,
        schema=None,
        merge_schema=None,
        key_type="",
        indexed=is_indexed(rows, merge.table, old),
    )
    if spelling is None:
        spelling = _spelling(rows, place, merge, stored.by_name[old].type)
    return SqliteGuardScript(place, SqliteKeys(merge, spelling, binary=spelling == "plain"))


def _spelling(rows: DatabaseRows, place: GuardPlace, merge: Merge, declared: str) -> Spelling:
    """Look at all guids of the table: columns of SQLite hold values of any kind."""
    usual = SqliteKeys(merge, "usual")
    cells = [f"m.{column}" for column in (place.old, place.new)]
    asked = [
        " OR ".join(f"(typeof({cell}) = 'blob' AND length({cell}) = 16)" for cell in cells),
        " OR ".join(f"(typeof({cell}) = 'text' AND {usual.is_digits(usual.digits(cell))})" for cell in cells),
        " OR ".join(f"({usual.unusual(cell)})" for cell in cells),
    ]
    bytes_, texts, strange = (
        bool(rows.scalar(f"SELECT EXISTS (SELECT 1 FROM {place.merge} AS m WHERE {condition})"))  # noqa: S608 - quoted names
        for condition in asked
    )
    if bytes_ != texts:
        return "plain" if bytes_ else "any" if strange else "usual"
    return "any" if bytes_ else "plain" if "BLOB" in declared.upper() else "usual"


class SqliteGuardScript:
    """The triggers on one table of an SQLite file."""

    def __init__(self, place: GuardPlace, keys: GuardKeys) -> None:
        self.place = place
        self.keys = keys

    def create_table(self) -> Sequence[str]:
        """Return the statements that make the guard's table and its row."""
        guard = self.place.guard
        return (
            f"CREATE TABLE IF NOT EXISTS {guard} (id INTEGER NOT NULL PRIMARY KEY, turn BIGINT NOT NULL)",
            f"INSERT OR IGNORE INTO {guard} (id, turn) VALUES (1, 0)",  # noqa: S608 - quoted names
        )

    def triggers(self) -> dict[str, str]:
        """Return the texts of both triggers, by name."""
        stem = self.place.stem
        return {f"{stem}_insert": self._trigger("INSERT"), f"{stem}_update": self._trigger("UPDATE")}

    def create_triggers(self) -> Sequence[str]:
        """Return the statements that make both triggers anew."""
        return (*self.drop_triggers(), *self.triggers().values())

    def drop_triggers(self) -> Sequence[str]:
        """Return the statements that take both triggers away."""
        return tuple(f"DROP TRIGGER IF EXISTS {_quoted(name)}" for name in self.triggers())

    def found(self, rows: DatabaseRows) -> Found:
        """Look the guard up in the catalogue."""
        texts, elsewhere = {}, []
        for name, table, here, sql in rows.tuples(_CATALOGUE, [self.place.merge_name]):
            if name in self.triggers() and not here:
                elsewhere.append(table)
            elif name in self.triggers():
                texts[name] = sql
        return Found(texts, (), tuple(dict.fromkeys(elsewhere)))

    def has_row(self, rows: DatabaseRows) -> bool | None:
        """Look for the guard's row."""
        return bool(rows.tuples(f"SELECT id FROM {self.place.guard} WHERE id = 1"))  # noqa: S608 - quoted names

    def _trigger(self, event: str) -> str:
        place, keys = self.place, self.keys
        event_name = _quoted(f"{place.stem}_{event.lower()}")
        # An UPDATE that leaves the merge as it is makes no new one. IS: a cell may have held no guid before.
        old, new = keys.old(f"NEW.{place.old}"), keys.new(f"NEW.{place.new}")
        is_other = (
            f" AND ({old} IS NOT {keys.old(f'OLD.{place.old}')} OR {new} IS NOT {keys.new(f'OLD.{place.new}')})"
            if event == "UPDATE"
            else ""
        )
        columns = f" OF {place.old}, {place.new}" if event == "UPDATE" else ""
        lines = [
            f"CREATE TRIGGER {event_name} AFTER {event}{columns} ON {place.merge} FOR EACH ROW",
            f"WHEN NOT EXISTS (SELECT 1 FROM {place.guard} WHERE id = {RESTORING_ID}){is_other}",  # noqa: S608 - quoted names
            "BEGIN",
            f"-- {place.header(keys.spelling)}",
            self._check(),
            "END",
        ]
        return "\n".join(lines)

    def _check(self) -> str:
        """Return the one statement of a trigger: the first case that holds is what it refuses.

        A SELECT without FROM is worked out once, so that a guid of the new row is taken apart once.
        """
        place, keys = self.place, self.keys
        found = f"FROM {place.merge} AS m WHERE {keys.finds(f'm.{place.old}', 'e.k_old')}"
        current = keys.new(f"m.{place.new}")
        walk = (
            f"WITH RECURSIVE walk (k) AS (SELECT e.k_new UNION SELECT {current} FROM walk JOIN {place.merge} AS m "  # noqa: S608 - quoted names
            f"ON {keys.finds(f'm.{place.old}', 'walk.k')}) SELECT k FROM walk WHERE k IS NOT NULL"
        )
        cells = [f"NEW.{column}" for column in (place.old, place.new)]
        lines = [
            "SELECT CASE",
            *(f"WHEN {strange} THEN {_raise('spelling')}" for strange in self._unusual(cells)),
            "WHEN e.k_old IS NULL OR e.k_new IS NULL THEN NULL",
            # A row that repeats another one adds nothing to the merges.
            f"WHEN (SELECT COUNT(*) {found} AND {current} = e.k_new) <> 1 THEN NULL",
            f"WHEN e.k_old = e.k_new THEN {_raise('self-merge')}",
            f"WHEN EXISTS (SELECT 1 {found} AND {current} <> e.k_new) THEN {_raise('conflict')}",
            f"WHEN e.k_old IN ({walk}) THEN {_raise('cycle')}",
            f"END FROM (SELECT {keys.old(cells[0])} AS k_old, {keys.new(cells[1])} AS k_new) AS e;",
        ]
        return "\n".join(lines)

    def _unusual(self, cells: Sequence[str]) -> list[str]:
        """Return the conditions under which a cell would not be found again."""
        if self.keys.spelling != "usual":
            found = [self.keys.unusual(cell) for cell in cells]
            return [condition for condition in found if condition is not None]
        # What has a key and is not one of its spellings; a deleted one is none, and its key stands for others.
        gone = self.keys.new(cells[1]) != self.keys.old(cells[1])
        olds = self.keys.spellings("e.k_old")
        news = self.keys.spellings("e.k_new")
        fits = f"{self.keys.as_text(cells[1])} NOT IN ({', '.join(news)})"
        return [
            f"{self.keys.as_text(cells[0])} NOT IN ({', '.join(olds)})",
            f"e.k_new <> {self.keys.tombstone} AND {fits}" if gone else fits,
        ]


def _raise(reason: Reason) -> str:
    text = refusal(reason).replace("'", "''")
    return f"RAISE(ABORT, '{text}')"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
