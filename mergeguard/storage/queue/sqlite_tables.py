"""The tables of the event queue in an SQLite file, and how a connection to them is opened.

Times are whole microseconds since 1970 by the queue's clock (``sqlite_clock``), guids 16 bytes. ``mergeguard_event``
holds pending events only. A chain row is a lease: it stands once a (source, priority), so that two leases of one key
cannot be written, and it is never removed, so that its fencing token never begins anew; its number is the id of its
first event. An event without a source has a chain of its own, numbered with the event's id below zero, which goes with
it. So no number is ever given to two chains.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS mergeguard_chain (
        id INTEGER PRIMARY KEY,
        source BLOB,                  -- NULL: the chain of one event without a source
        priority INTEGER NOT NULL,
        queue INTEGER NOT NULL,       -- of its head
        head INTEGER,                 -- its first pending event; NULL: none is
        epoch INTEGER NOT NULL DEFAULT 0,
        owner TEXT,
        lease_until INTEGER,
        retry_at INTEGER,             -- until then its head waits for another try; parked: the end of time
        done INTEGER NOT NULL DEFAULT 0,
        CHECK ((owner IS NULL) = (lease_until IS NULL)),
        CHECK (source IS NULL OR length(source) = 16)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS mergeguard_event (
        chain INTEGER NOT NULL,
        id INTEGER NOT NULL,
        queue INTEGER NOT NULL,
        size INTEGER NOT NULL,
        received INTEGER NOT NULL,
        tries INTEGER NOT NULL DEFAULT 0,
        file TEXT,
        body BLOB,
        PRIMARY KEY (chain, id),
        CHECK ((file IS NULL) <> (body IS NULL))
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS mergeguard_dead_event (
        id INTEGER PRIMARY KEY,
        chain INTEGER NOT NULL,
        source BLOB,
        priority INTEGER NOT NULL,
        queue INTEGER NOT NULL,
        size INTEGER NOT NULL,
        received INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        file TEXT,
        body BLOB,
        kind TEXT NOT NULL,
        message TEXT NOT NULL,
        reason TEXT NOT NULL,
        died INTEGER NOT NULL,
        done_before INTEGER NOT NULL  -- how many events of its chain were done when it died
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS mergeguard_parked (
        chain INTEGER PRIMARY KEY,    -- its retry_at is the end of time as long as this row says why
        event INTEGER NOT NULL,       -- its head
        status TEXT NOT NULL,
        guids TEXT NOT NULL,          -- those that lead nowhere, with blanks between
        message TEXT NOT NULL,
        since INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS mergeguard_queue (
        queue INTEGER PRIMARY KEY,
        events INTEGER NOT NULL DEFAULT 0 CHECK (events >= 0),
        inline_bytes INTEGER NOT NULL DEFAULT 0 CHECK (inline_bytes >= 0),
        file_bytes INTEGER NOT NULL DEFAULT 0 CHECK (file_bytes >= 0),
        registered INTEGER NOT NULL DEFAULT 0,
        done INTEGER NOT NULL DEFAULT 0,
        dead INTEGER NOT NULL DEFAULT 0 CHECK (dead >= 0),
        dead_bytes INTEGER NOT NULL DEFAULT 0 CHECK (dead_bytes >= 0),
        retries INTEGER NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS mergeguard_queue_state (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        last_event INTEGER NOT NULL,  -- ids are never given twice
        clock INTEGER NOT NULL        -- the latest time that was written anywhere
    )
    """,
    """
    CREATE UNIQUE INDEX IF NOT EXISTS mergeguard_chain_key ON mergeguard_chain (source, priority)
    WHERE source IS NOT NULL
    """,
    """
    CREATE INDEX IF NOT EXISTS mergeguard_chain_ready ON mergeguard_chain (queue, head)
    WHERE head IS NOT NULL AND owner IS NULL AND retry_at IS NULL
    """,
    "CREATE INDEX IF NOT EXISTS mergeguard_chain_leased ON mergeguard_chain (lease_until) WHERE owner IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS mergeguard_chain_retry ON mergeguard_chain (retry_at) WHERE retry_at IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS mergeguard_parked_event ON mergeguard_parked (event)",
    "CREATE UNIQUE INDEX IF NOT EXISTS mergeguard_event_queue ON mergeguard_event (queue, id)",
    "CREATE UNIQUE INDEX IF NOT EXISTS mergeguard_event_file ON mergeguard_event (file) WHERE file IS NOT NULL",
    "INSERT OR IGNORE INTO mergeguard_queue (queue) VALUES (0), (1), (2), (3), (4)",
    "INSERT OR IGNORE INTO mergeguard_queue_state (id, last_event, clock) VALUES (1, 0, 0)",
)
"""Events are stored by chain: what is claimed, run and deleted together stands on the same few pages."""


class Driver(sqlite3.Connection):
    """The driver's connection. Transactions are begun and ended by statements of the store, and by nobody else."""

    def commit(self) -> None:
        """Refuse: a handler that commits would part its effects from the mark that says they are done."""
        raise RuntimeError("the batch commits, a handler does not")

    def rollback(self) -> None:
        """Refuse inside a transaction; SQLAlchemy rolls back what it gets returned, which does nothing."""
        if self.in_transaction:
            raise RuntimeError("the batch rolls back, a handler raises")


def connect(path: Path, *, create: bool = False) -> Driver:
    """Open the file, or make it, to be used by any thread, one at a time. It is never waited for: see ``patiently``."""
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    return sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False, factory=Driver)
