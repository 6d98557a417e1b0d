"""One merge in plain SQL on the kit's tables, of which every part can be left out or done wrong."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from mergeguard.testing.systems import Refused

Connection = psycopg.Connection[Any]
TRIES: Final = 20
AGAIN: Final = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
_WALK = "SELECT new FROM merge WHERE old = %s"
_UPSERT = "INSERT INTO root (guid, turn) VALUES (%s, 1) ON CONFLICT (guid) DO UPDATE SET turn = root.turn + 1"


class Lock(enum.Enum):
    """What a merge locks."""

    NONE = "nothing"
    NAMED = "the rows of the two guids that were named"
    ROOTS = "the rows of both roots, which are not written"
    WRITTEN = "both roots, by writing them"
    ADVISORY = "one lock for all merges"


class Found(enum.Enum):
    """When the roots on which a merge decides are read."""

    AFTER = "after the lock"
    BEFORE = "before the lock"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a merge is made; without arguments it is a right one.

    Attributes:
        level: the isolation that it sets itself; ``None`` leaves the session's.
        roots: whether the rows lead from root to root, or from the named guid to the named guid.
        lives: who is not live any more afterwards, and whether in a transaction of its own.
    """

    level: str | None = "READ COMMITTED"
    lock: Lock = Lock.WRITTEN
    decides: Found = Found.AFTER
    checks: bool = True
    checks_types: bool = True
    checks_target: bool = True
    compares_text: bool = False
    retries: bool = True
    roots: bool = True
    overwrites: bool = False
    retires: str = "at once"
    lookup: str = "class"
    data: str = "newest"
    ends: tuple[str, ...] = ("parent", "child")
    drops_self: bool = True
    drops_duplicates: bool = True
    moves_links: bool = True
    tickets: bool = True

    def __call__(self, connection: Connection, old: str, new: str) -> object:
        """Merge; deadlocks and failed serialisations are tried again."""
        if self.level is not None:
            connection.isolation_level = psycopg.IsolationLevel[self.level.replace(" ", "_")]
        for left in reversed(range(TRIES)):
            try:
                return self._once(connection, old, new)
            except (*AGAIN, _Moved):
                connection.rollback()
                if not left or not self.retries:
                    raise
            except Refused:
                connection.rollback()
                raise
        raise AssertionError

    def _once(self, connection: Connection, old: str, new: str) -> str:
        if not self.compares_text:
            old, new = old.lower(), new.lower()
        if old == new:
            raise Refused("with itself")
        now = seen = self._roots(connection, old, new)
        allowed = True
        if self.decides is Found.BEFORE:
            allowed = self._allowed(connection, *seen)
        self._take(connection, old, new, seen)
        if self.decides is Found.AFTER:
            if self.lock is not Lock.NONE:
                now = self._roots(connection, old, new)
            if now != seen and self.lock in {Lock.ROOTS, Lock.WRITTEN}:
                raise _Moved
            allowed = self._allowed(connection, *now)
        if not allowed:
            connection.rollback()
            return "already"
        self._write(connection, *(now if self.roots else (old, new)))
        return "merged"

    def _allowed(self, connection: Connection, old: str, new: str) -> bool:
        """Say whether two roots are to be made one; refuse what must not be."""
        if self.checks and old == new:
            return False
        self._require(connection, old, new)
        return True

    def _roots(self, connection: Connection, old: str, new: str) -> tuple[str, str]:
        return self._root(connection, old), self._root(connection, new)

    def _root(self, connection: Connection, guid: str) -> str:
        """Walk to the end; a walk in a circle ends where it began."""
        seen = [guid]
        while row := connection.execute(_WALK, [seen[-1]]).fetchone():
            after = str(row[0])
            if after in seen:
                break
            seen.append(after)
        return seen[-1]

    def _take(self, connection: Connection, old: str, new: str, seen: tuple[str, str]) -> None:
        """Take the locks, in the order of the guids' text."""
        if self.lock is Lock.ADVISORY:
            connection.execute("SELECT pg_advisory_xact_lock(4711)")
        elif self.lock is Lock.WRITTEN:
            for guid in sorted(set(seen)):
                connection.execute(_UPSERT, [guid])
        elif self.lock is not Lock.NONE:
            guids = sorted({old, new} if self.lock is Lock.NAMED else set(seen))
            connection.execute("SELECT 1 FROM item WHERE guid = ANY(%s) ORDER BY guid FOR UPDATE", [guids])

    def _require(self, connection: Connection, old: str, new: str) -> None:
        """Refuse what must not be merged."""
        sql = "SELECT i.guid::text, i.kind, l.guid IS NOT NULL FROM item i LEFT JOIN live l USING (guid)"
        rows = connection.execute(f"{sql} WHERE i.guid = ANY(%s)", [[old, new]]).fetchall()
        kinds = {guid: kind for guid, kind, _ in rows}
        alive = {guid for guid, _, is_live in rows if is_live}
        if self.checks_target and new.lower() not in alive:
            raise Refused("the target is not live")
        if self.checks_types and len(set(kinds.values())) > 1:
            raise Refused("of two types")

    # Writing.

    def _write(self, connection: Connection, old: str, new: str) -> None:
        if self.overwrites:
            sql = "UPDATE merge SET new = %s WHERE old = %s"
            if connection.execute(sql, [new, old]).rowcount == 0:
                connection.execute("INSERT INTO merge (new, old) VALUES (%s, %s)", [new, old])
        else:
            connection.execute("INSERT INTO merge (old, new) VALUES (%s, %s)", [old, new])
        if self.retires == "later":
            connection.commit()
        connection.execute("DELETE FROM live WHERE guid = %s", [new if self.retires == "the target" else old])
        if self.lookup == "after commit":
            connection.commit()
        self._lead(connection, old, new)
        self._move_data(connection, old, new)
        if self.moves_links:
            self._move_links(connection, old, new)
        else:
            connection.execute("DELETE FROM association WHERE %s IN (parent, child)", [old])
        if self.tickets:
            connection.execute("UPDATE ticket SET owner = %s WHERE owner = %s", [new, old])
        connection.commit()

    def _lead(self, connection: Connection, old: str, new: str) -> None:
        """Lead the class of the old root to the new one."""
        moved = "UPDATE mergeguard_lookup SET current_guid = %s, depth = depth + 1 WHERE current_guid = %s"
        if self.lookup == "one level":
            connection.execute(f"{moved} AND depth = 1", [new, old])
        elif self.lookup != "none":
            connection.execute(moved, [new, old])
        sql = "INSERT INTO mergeguard_lookup (old_guid, current_guid, depth, status) VALUES (%s, %s, 1, 'ok')"
        connection.execute(f"{sql} ON CONFLICT DO NOTHING", [old, new])

    def _move_data(self, connection: Connection, old: str, new: str) -> None:
        """Keep one row for the class."""
        if self.data == "target":
            connection.execute(
                "DELETE FROM data WHERE guid = %s AND EXISTS (SELECT 1 FROM data WHERE guid = %s)", [old, new]
            )
        connection.execute("UPDATE data SET guid = %s WHERE guid = %s", [new, old])
        connection.execute(
            "DELETE FROM data a USING data b WHERE a.guid = %s AND b.guid = a.guid AND a.at < b.at", [new]
        )

    def _move_links(self, connection: Connection, old: str, new: str) -> None:
        """Re-point the ends; drop what would be an association to itself, and the older of two alike."""
        if self.drops_self:
            connection.execute(
                "DELETE FROM association WHERE (parent, child) IN ((%s, %s), (%s, %s))", [old, new, new, old]
            )
        for end in self.ends:
            connection.execute(f"UPDATE association SET {end} = %s WHERE {end} = %s", [new, old])  # noqa: S608 - of our own
        if self.drops_duplicates:
            connection.execute(
                "DELETE FROM association a USING association b WHERE a.parent = b.parent AND a.child = b.child "
                "AND a.at < b.at AND %s IN (a.parent, a.child)",
                [new],
            )


class _Moved(Exception):
    """The roots moved before they were locked."""


def walk(connection: Connection, guid: str) -> tuple[str, str | None]:
    """Find the current of a guid, rightly: with a visited set."""
    seen = [guid.lower()]
    while row := connection.execute(_WALK, [seen[-1]]).fetchone():
        after = str(row[0])
        if after in seen:
            return "cycle", None
        seen.append(after)
    return "ok", seen[-1]


def walk_without_memory(connection: Connection, guid: str) -> tuple[str, str | None]:
    """Go on while there is a row."""
    while row := connection.execute(_WALK, [guid]).fetchone():
        guid = str(row[0])
    return "ok", guid


def walk_eight(connection: Connection, guid: str) -> tuple[str, str | None]:
    """Call it a cycle after eight steps."""
    for _ in range(8):
        row = connection.execute(_WALK, [guid]).fetchone()
        if row is None:
            return "ok", guid
        guid = str(row[0])
    return "cycle", None
