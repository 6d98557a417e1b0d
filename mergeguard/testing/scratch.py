"""What every sandbox of the kit has in common: the tables, what is put into them and read back, and the protocol."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from mergeguard.storage.profile import Association, Live, Merge, Profile, Reference, Types
from mergeguard.testing.scheduler import Watcher
from mergeguard.testing.tables import Datum, Guid, Link, Tables

PROFILE: Final = Profile(
    name="test kit",
    merge=Merge("merge", "old", "new", row_id="id"),
    live=Live("live", "guid"),
    types=Types("item", "guid", "kind"),
    references=(Reference("data", "guid", ("guid",), "at"), Reference("ticket", "owner")),
    associations=(Association("association", "parent", "child", time="at"),),
)
"""Of the kit's tables."""
ROWS: Final = """
    SELECT 'item', CAST(guid AS text), kind, NULL, NULL FROM item
    UNION ALL SELECT 'live', CAST(guid AS text), NULL, NULL, NULL FROM live
    UNION ALL SELECT 'merge', CAST(old AS text), CAST(new AS text), CAST(id AS text), NULL FROM merge
    UNION ALL SELECT 'lookup', CAST(old_guid AS text), CAST(current_guid AS text), CAST(depth AS text), status
        FROM mergeguard_lookup
    UNION ALL SELECT 'data', CAST(guid AS text), value, {seconds}, NULL FROM data
    UNION ALL SELECT 'link', CAST(parent AS text), CAST(child AS text), {seconds}, CAST(id AS text) FROM association
    UNION ALL SELECT 'ticket', CAST(owner AS text), CAST(id AS text), NULL, NULL FROM ticket
"""
"""One question for everything; ``seconds`` says a dialect's way to the seconds of ``at``."""
EMPTIED: Final = ("ticket", "association", "data", "root", "mergeguard_lookup", "merge", "live", "item")
"""In the order in which foreign keys let them go."""
MERGES_OWN: Final = ("mergeguard_root", "mergeguard_request")


class Scratch(Protocol):
    """A database of the kit's own that is put back to the beginning before each schedule."""

    @property
    def url(self) -> str:
        """The URL by which other programs see it, password included."""
        ...

    @property
    def profile(self) -> Profile:
        """Of the kit's tables."""
        ...

    @property
    def watcher(self) -> Watcher:
        """Tells the scheduler who waits."""
        ...

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What its driver raises."""
        ...

    def sessions(self, count: int, level: str) -> Sequence[Any]:
        """Return connections for actors, each outside a transaction."""
        ...

    def reset(self, tables: Tables) -> None:
        """Empty the kit's tables and put rows into them."""
        ...

    def tables(self) -> Tables:
        """Read what is committed, as of one moment."""
        ...

    def observe(self, query: str, values: Sequence[object]) -> Sequence[Sequence[object]]:
        """Run a query of an actor on what is committed; ``values`` as a step holds them."""
        ...


def tables_of(found: Iterable[Sequence[Any]]) -> Tables:
    """Read the answer to ``ROWS``."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for part, *row in found:
        rows.setdefault(part, []).append(tuple(row))
    return Tables(
        kinds={Guid(guid): kind for guid, kind, *_ in rows.get("item", ())},
        live=frozenset(Guid(guid) for guid, *_ in rows.get("live", ())),
        merges=tuple(
            (Guid(old), Guid(new)) for old, new, _, _ in sorted(rows.get("merge", ()), key=lambda row: int(row[2]))
        ),
        lookup={Guid(old): (_guid(at), _int(depth), status) for old, at, depth, status in rows.get("lookup", ())},
        data=tuple(Datum(Guid(guid), value, _seconds(at)) for guid, value, at, _ in rows.get("data", ())),
        links=tuple(Link(int(id_), Guid(one), Guid(two), _seconds(at)) for one, two, at, id_ in rows.get("link", ())),
        tickets={int(number): Guid(owner) for owner, number, *_ in rows.get("ticket", ())},
    )


def emptied(known: Iterable[str]) -> list[str]:
    """Return the statements that empty the tables; of those that a merge makes for itself, where they are known."""
    there = set(known)
    return [f"DELETE FROM {name}" for name in (*EMPTIED, *(one for one in MERGES_OWN if one in there))]  # noqa: S608 - names of our own


def inserts(tables: Tables) -> Iterable[str]:
    """Write rows as statements; they hold guids, numbers and texts of the kit's own making."""
    at = ((old, *answer) for old, answer in tables.lookup.items())
    yield from _insert("item", tables.kinds.items())
    yield from _insert("live", ((guid,) for guid in tables.live))
    yield from _insert("merge (old, new)", tables.merges)
    yield from _insert("mergeguard_lookup", at)
    yield from _insert("data (guid, value, at)", ((one.guid, one.value, _time(one.at)) for one in tables.data))
    yield from _insert("association", ((one.id, one.parent, one.child, _time(one.at)) for one in tables.links))
    yield from _insert("ticket", tables.tickets.items())


def _insert(table: str, rows: Iterable[Sequence[object]]) -> Iterable[str]:
    values = ", ".join("(" + ", ".join(map(_literal, row)) + ")" for row in rows)
    if values:
        yield f"INSERT INTO {table} VALUES {values}"  # noqa: S608 - see inserts


def _literal(value: object) -> str:
    if value is None or isinstance(value, int):
        return "NULL" if value is None else str(value)
    return "'" + str(value).replace("'", "''") + "'"


def _guid(text: str | None) -> Guid | None:
    return None if text is None else Guid(text)


def _time(at: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1) + dt.timedelta(seconds=at)  # noqa: DTZ001 - the column has no zone


def _seconds(text: str) -> int:
    return int(float(text))


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)
