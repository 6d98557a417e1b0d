"""Events on their way into the file: those of all callers who share a transaction are written with the same statements.

A caller gets its ids before its events are written. It is answered after the commit; whoever looks within the
transaction writes what waits here first.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from mergeguard.core.events import NewEvent

_CHAIN = """
    INSERT INTO mergeguard_chain AS c (source, priority, id, queue, head) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (source, priority) WHERE source IS NOT NULL
    DO UPDATE SET queue = excluded.queue, head = excluded.head WHERE c.head IS NULL
"""
"""Makes a chain, or gives one that has no events its head."""
_EVENT = """
    INSERT INTO mergeguard_event (id, chain, queue, size, received, file, body)
    VALUES (?, (SELECT id FROM mergeguard_chain WHERE source = ? AND priority = ?), ?, ?, ?, ?, ?)
"""
_OWN_CHAIN = "INSERT INTO mergeguard_chain (id, priority, queue, head) VALUES (?, ?, ?, ?)"
_OWN_EVENT = """
    INSERT INTO mergeguard_event (id, chain, queue, size, received, file, body) VALUES (?, ?, ?, ?, ?, ?, ?)
"""


class Entries:
    """The events that one transaction brings.

    Args:
        driver: in the open transaction.
    """

    __slots__ = ("_driver", "_events")

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver
        self._events: list[tuple[int, NewEvent]] = []

    def add(self, number: int, event: NewEvent) -> None:
        """Put an event behind those that came before it."""
        self._events.append((number, event))

    def write(self, now: int) -> None:
        """Write what waits; chains first, for the rows of events name them."""
        if not self._events:
            return
        heads: dict[tuple[bytes, int], tuple[int, int]] = {}
        rows: list[tuple[Any, ...]] = []
        own: list[tuple[int, NewEvent]] = []
        for number, event in self._events:
            if not event.source.int:
                own.append((number, event))
                continue
            key = (event.source.int.to_bytes(16, "big"), event.priority)
            if key not in heads:
                heads[key] = (int(event.queue), number)
            rows.append((number, *key, int(event.queue), event.size, now, event.file, event.body))
        run = self._driver.executemany
        run(_CHAIN, [(*key, number, queue, number) for key, (queue, number) in heads.items()])
        run(_EVENT, rows)
        run(_OWN_CHAIN, [(-number, one.priority, int(one.queue), number) for number, one in own])
        run(_OWN_EVENT, [(number, -number, int(one.queue), one.size, now, one.file, one.body) for number, one in own])
        self._events.clear()
