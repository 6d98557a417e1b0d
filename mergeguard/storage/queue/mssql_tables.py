"""The tables of the event queue in SQL Server; what a chain is stands in ``postgresql_tables``. Times are UTC.

No lock of one row is ever made one of the table: workers of one queue stand side by side in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mergeguard.errors import Locked

if TYPE_CHECKING:
    from mergeguard.storage.queue.mssql_sessions import Run

PARTS = 9
"""As in PostgreSQL: one for registrations, the others shared by the workers."""
LOCK = (
    "SET NOCOUNT ON; DECLARE @begun int, @turn int; SELECT TOP (1) @begun = 1 FROM sys.objects; "
    "EXEC @turn = sp_getapplock @Resource = N'mergeguard event queue', @LockMode = 'Exclusive', "
    "@LockOwner = 'Transaction', @LockTimeout = ?; SELECT @turn"
)
"""A SELECT stands before the lock because it begins the transaction to which the lock belongs. The timeout is a
parameter: what a statement without any sets, NOCOUNT here, stays set in the session, and ``finish`` counts rows."""
STAND = (
    "SELECT COUNT(*) FROM (VALUES (N'mergeguard_chain'), (N'mergeguard_event'), (N'mergeguard_dead_event'), "
    "(N'mergeguard_queue')) AS t (name) WHERE OBJECT_ID(t.name) IS NOT NULL"
)
_EVENT = """
        queue smallint NOT NULL,
        size bigint NOT NULL,
        received datetime2(6) NOT NULL,
        tries int NOT NULL,
        [file] nvarchar(260) NULL,
        body varbinary(max) NULL,
"""
_SEQUENCE = "IF OBJECT_ID(N'{0}', N'SO') IS NULL CREATE SEQUENCE {0} AS bigint START WITH 1 INCREMENT BY 1"
TABLES = (
    # Who drops the tables by hand may leave these, and then they count on.
    _SEQUENCE.format("mergeguard_event_id"),
    _SEQUENCE.format("mergeguard_chain_id"),
    """
    CREATE TABLE mergeguard_chain (
        id bigint NOT NULL CONSTRAINT mergeguard_chain_number DEFAULT (NEXT VALUE FOR mergeguard_chain_id),
        source uniqueidentifier NULL,
        priority int NOT NULL,
        queue smallint NOT NULL,
        since datetime2(6) NULL,
        retry_at datetime2(6) NULL,
        owner nvarchar(200) NULL,
        epoch bigint NOT NULL DEFAULT (0),
        lease_until datetime2(6) NULL,
        done_id bigint NOT NULL DEFAULT (0),
        done bigint NOT NULL DEFAULT (0),
        CONSTRAINT mergeguard_chain_pk PRIMARY KEY CLUSTERED (id),
        CONSTRAINT mergeguard_chain_lease CHECK (
            (owner IS NULL AND lease_until IS NULL)
            OR (owner IS NOT NULL AND lease_until IS NOT NULL AND since IS NULL))
    )
    """,
    f"""
    CREATE TABLE mergeguard_event (
        chain bigint NOT NULL,
        id bigint NOT NULL,{_EVENT}
        CONSTRAINT mergeguard_event_pk PRIMARY KEY CLUSTERED (chain, id),
        CONSTRAINT mergeguard_event_body CHECK (
            ([file] IS NULL AND body IS NOT NULL) OR ([file] IS NOT NULL AND body IS NULL))
    )
    """,
    f"""
    CREATE TABLE mergeguard_dead_event (
        id bigint NOT NULL,
        chain bigint NOT NULL,
        source uniqueidentifier NULL,
        priority int NOT NULL,{_EVENT}
        kind nvarchar(400) NOT NULL,
        message nvarchar(max) NOT NULL,
        reason nvarchar(100) NOT NULL,
        died datetime2(6) NOT NULL,
        done_before bigint NOT NULL,
        CONSTRAINT mergeguard_dead_event_pk PRIMARY KEY CLUSTERED (id)
    )
    """,
    """
    CREATE TABLE mergeguard_queue (
        queue smallint NOT NULL,
        part smallint NOT NULL,
        events bigint NOT NULL DEFAULT (0),
        inline_bytes bigint NOT NULL DEFAULT (0),
        file_bytes bigint NOT NULL DEFAULT (0),
        registered bigint NOT NULL DEFAULT (0),
        done bigint NOT NULL DEFAULT (0),
        dead bigint NOT NULL DEFAULT (0),
        dead_bytes bigint NOT NULL DEFAULT (0),
        retries bigint NOT NULL DEFAULT (0),
        CONSTRAINT mergeguard_queue_pk PRIMARY KEY CLUSTERED (queue, part)
    )
    """,
    "CREATE UNIQUE INDEX mergeguard_chain_key ON mergeguard_chain (source, priority) WHERE source IS NOT NULL",
    """
    CREATE INDEX mergeguard_chain_ready ON mergeguard_chain (queue, since) INCLUDE (owner, done_id)
    WHERE since IS NOT NULL AND owner IS NULL
    """,
    """
    CREATE INDEX mergeguard_chain_retry ON mergeguard_chain (queue, retry_at) INCLUDE (owner)
    WHERE retry_at IS NOT NULL AND owner IS NULL
    """,
    "CREATE INDEX mergeguard_chain_leased ON mergeguard_chain (lease_until) INCLUDE (owner) WHERE owner IS NOT NULL",
    "CREATE UNIQUE INDEX mergeguard_event_file ON mergeguard_event ([file]) WHERE [file] IS NOT NULL",
    "CREATE UNIQUE INDEX mergeguard_dead_event_file ON mergeguard_dead_event ([file]) WHERE [file] IS NOT NULL",
    "ALTER TABLE mergeguard_chain SET (LOCK_ESCALATION = DISABLE)",
    "ALTER TABLE mergeguard_event SET (LOCK_ESCALATION = DISABLE)",
    "ALTER TABLE mergeguard_queue SET (LOCK_ESCALATION = DISABLE)",
)
PARKED_STANDS = "SELECT COUNT(*) FROM (VALUES (N'mergeguard_parked')) AS t (name) WHERE OBJECT_ID(t.name) IS NOT NULL"
PARKED_TABLE = (
    """
    CREATE TABLE mergeguard_parked (
        chain bigint NOT NULL,
        event bigint NOT NULL,
        status nvarchar(40) NOT NULL,
        guids nvarchar(max) NOT NULL,
        message nvarchar(max) NOT NULL,
        since datetime2(6) NOT NULL,
        CONSTRAINT mergeguard_parked_pk PRIMARY KEY CLUSTERED (chain)
    )
    """,
    "CREATE INDEX mergeguard_parked_event ON mergeguard_parked (event)",
    "ALTER TABLE mergeguard_parked SET (LOCK_ESCALATION = DISABLE)",
)
"""Tables that an earlier version made have none."""
COUNTERS = (
    "INSERT INTO mergeguard_queue (queue, part) SELECT q.n, p.n "
    "FROM (VALUES (0), (1), (2), (3), (4)) AS q (n) "
    "CROSS JOIN (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8)) AS p (n)"
)


def lock(run: Run) -> None:
    """Let nobody else make tables or register until this transaction ends.

    Raises:
        Locked: somebody else does for longer than the lock timeout.
    """
    if run(LOCK, (run.lock_timeout,)).fetchone()[0] < 0:
        raise Locked("another session registers events for longer than the lock timeout")


def create(run: Run) -> None:
    """Create the tables that are missing, one process at a time."""
    lock(run)
    if run(STAND).fetchone()[0] < 4:
        for statement in TABLES:
            run(statement)
        run(COUNTERS)
    if not run(PARKED_STANDS).fetchone()[0]:
        for statement in PARKED_TABLE:
            run(statement)
