"""The stores that the contract of the event queue is held on, and a second connection that looks at what they wrote."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import sqlalchemy as sa

from mergeguard.core.events import Claim, NewEvent, Parking, Queue, Ran, Registered
from mergeguard.core.order import State
from mergeguard.storage.mssql.source import MssqlSource
from mergeguard.storage.profile import Profile
from mergeguard.storage.queue.opening import open_store
from mergeguard.storage.queue.store import EventStore
from mergeguard.storage.source import Options

LEASE = dt.timedelta(hours=1)
AGES = 2 * 3600
"""Seconds after which every lease has expired and every retry is due."""
SOURCES = [uuid.UUID(int=number << 64 | 1) for number in range(1, 5)]
OUR_TABLES = ("mergeguard_event", "mergeguard_dead_event", "mergeguard_parked", "mergeguard_chain")


@dataclass
class Seen:
    """What one snapshot of a second connection held."""

    pending: dict[int, int]
    """Failed tries by id."""
    dead: set[int]
    done: list[int]
    """Effects, in no order: one a done event."""
    leases: list[tuple[int, str]]
    """(chain, owner)"""

    def state(self, number: int) -> set[State]:
        """Every place where an event is."""
        found = [(number in self.pending, State.PENDING), (number in self.dead, State.DEAD)]
        return {state for there, state in [*found, (number in self.done, State.DONE)] if there}


@dataclass
class Place:
    """A store and its database."""

    url: str
    store: EventStore = field(init=False)
    engine: sa.Engine = field(init=False)
    kind: ClassVar[str]
    frees_at_finish: ClassVar[bool] = False
    """Whether ``finish`` gives the chains back: nobody can see it before the commit."""
    moments: ClassVar[Sequence[str]] = ("lease_until", "retry_at", "since")
    """Columns of a chain by the database's clock."""
    shift: ClassVar[str]
    """Sets a column some seconds back."""
    end_of_time: ClassVar[str] = "'9999-12-31T00:00:00'"
    """When parked events are tried again; it does not come nearer."""
    alone: ClassVar[str | None] = None
    """Waits until nobody writes to chains, where a statement over all of them would deadlock with those who do."""
    strand: ClassVar[str] = (
        "UPDATE mergeguard_chain SET owner = NULL, lease_until = NULL, retry_at = NULL, since = NULL"
    )

    def __post_init__(self) -> None:
        self.store = open_store(self.url)
        self.engine = self.make_engine()
        self.store.create()
        if not sa.inspect(self.engine).has_table("effect"):
            self.run("CREATE TABLE effect (event BIGINT NOT NULL, worker VARCHAR(40) NOT NULL)")

    def make_engine(self) -> sa.Engine:
        return sa.create_engine(self.url)

    def run(self, statement: str, **values: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), values)

    def rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        with self.engine.begin() as connection:
            return [tuple(row) for row in connection.execute(sa.text(statement), values)]

    def clear(self) -> None:
        with self.engine.begin() as connection:
            for table in (*OUR_TABLES, "effect"):
                connection.execute(sa.text(f"DELETE FROM {table}"))
            columns = ("events", "inline_bytes", "file_bytes", "registered", "done", "dead", "dead_bytes", "retries")
            connection.execute(sa.text(f"UPDATE mergeguard_queue SET {', '.join(f'{one} = 0' for one in columns)}"))

    def pass_time(self, seconds: int = AGES, columns: Sequence[str] = ("lease_until", "retry_at")) -> None:
        """Set what the database waits for so far back, which is as good as waiting."""
        with self.engine.begin() as connection:
            if self.alone is not None:
                connection.exec_driver_sql(self.alone)
            for column in columns:
                statement = f"UPDATE mergeguard_chain SET {column} = {self.shift.format(column)} WHERE {column} < "
                connection.execute(sa.text(statement + self.end_of_time), {"seconds": seconds})

    def set_clock_back(self, seconds: int) -> None:
        """Move all moments that a chain knows into the future: to them the database's clock has been set back."""
        self.pass_time(-seconds, self.moments)

    def look(self) -> Seen:
        """Read everything in one snapshot."""
        with self.engine.connect() as connection:
            snapshot = connection.execution_options(isolation_level=self.isolation)

            def read(columns: str, table: str, where: str = "") -> list[tuple[Any, ...]]:
                asked = sa.text(f"SELECT {columns} FROM {table}{self.passing}{where}")
                return [tuple(row) for row in snapshot.execute(asked)]

            pending = dict(read("id, tries", "mergeguard_event"))
            dead = {number for (number,) in read("id", "mergeguard_dead_event")}
            done = [number for (number,) in read("event", "effect")]
            leases = read("id, owner", "mergeguard_chain", " WHERE owner IS NOT NULL")
            connection.rollback()
        return Seen(pending, dead, done, leases)

    isolation: ClassVar[str] = "REPEATABLE READ"
    passing: ClassVar[str] = ""
    """Behind a table: has a reader pass rows that are being written, where it would wait for the writer."""

    def close(self) -> None:
        self.store.close()
        self.engine.dispose()


class PostgresqlPlace(Place):
    kind = "postgresql"
    alone = "LOCK TABLE mergeguard_chain IN EXCLUSIVE MODE"
    shift = "{} - :seconds * interval '1 second'"
    end_of_time = "timestamptz '9999-12-31 00:00:00+00'"


class SqlitePlace(Place):
    kind = "sqlite"
    frees_at_finish = True
    moments = ("lease_until", "retry_at")
    shift = "{} - :seconds * 1000000"
    end_of_time = "253402214400000000"
    strand = "UPDATE mergeguard_chain SET owner = NULL, lease_until = NULL, retry_at = NULL, head = NULL"
    isolation = "SERIALIZABLE"

    def make_engine(self) -> sa.Engine:
        engine = sa.create_engine(self.url, connect_args={"timeout": 30})
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        sa.event.listen(engine, "connect", lambda driver, _record: setattr(driver, "isolation_level", None))
        return engine


class MssqlPlace(Place):
    kind = "mssql"
    isolation = "READ COMMITTED"
    passing = " WITH (READPAST, READCOMMITTEDLOCK)"
    shift = "DATEADD(second, -:seconds, {})"

    def make_engine(self) -> sa.Engine:
        return MssqlSource(sa.make_url(self.url), Profile(), Options()).make_engine()

    def close(self) -> None:
        for table in (*OUR_TABLES, "mergeguard_queue", "effect"):
            self.run(f"DROP TABLE {table}")
        for sequence in ("mergeguard_event_id", "mergeguard_chain_id"):
            self.run(f"DROP SEQUENCE {sequence}")
        super().close()


PLACES: dict[str, Callable[[str], Place]] = {"postgresql": PostgresqlPlace, "sqlite": SqlitePlace, "mssql": MssqlPlace}
"""A store joins the contract by standing here; its URL comes from the fixture ``place``."""


def event(
    source: uuid.UUID = SOURCES[0],
    body: bytes | None = b"<nse/>",
    *,
    priority: int = 0,
    queue: Queue = Queue.FAST,
    file: str | None = None,
    size: int | None = None,
) -> NewEvent:
    """An event with what a test does not care about filled in."""
    kept = None if file is not None else body
    return NewEvent(source, priority, queue, size if size is not None else len(body or b""), kept, file)


def registered(place: Place, *events: NewEvent, file_limit: int = 0) -> list[int]:
    """Register events that must all be let in."""
    answers = place.store.register(events, file_limit=file_limit)
    assert all(isinstance(answer, Registered) for answer in answers)
    return [answer.id for answer in answers if isinstance(answer, Registered)]


def claimed(place: Place, worker: str = "w", queue: Queue = Queue.FAST, **limits: int) -> Claim:
    claim = place.store.claim(queue, worker, LEASE, **limits)
    assert claim is not None
    return claim


def ids(claim: Claim) -> list[list[int]]:
    return [[one.id for one in lease.events] for lease in claim.leases]


def finish(place: Place, claim: Claim, ran: Iterable[Ran] | None = None) -> None:
    """Give every done event its effect and finish, in the batch's transaction."""
    steps: Sequence[Ran] = [Ran(one, len(one.events)) for one in claim.leases] if ran is None else list(ran)
    with place.store.batch(claim) as batch:
        for step in steps:
            for done in step.lease.events[: step.done]:
                batch.add("INSERT INTO effect (event, worker) VALUES (?, ?)", (done.id, claim.worker))
        batch.finish(steps)


def process(place: Place, worker: str = "w", queue: Queue = Queue.FAST, **limits: int) -> list[list[int]]:
    """Claim, do and release; return the ids."""
    claim = claimed(place, worker, queue, **limits)
    finish(place, claim)
    place.store.release(claim)
    return ids(claim)


def park(place: Place, claim: Claim, done: int = 0, lease: int = 0, **why: Any) -> Parking:
    """Say of a claim's lease that so many events are done and the next one is parked."""
    one = claim.leases[lease]
    given: dict[str, Any] = {"guids": (SOURCES[3],), "status": "cycle", "message": "it leads in a circle", **why}
    parking = Parking(one.events[done].id, **given)
    finish(place, claim, [Ran(one, done, parked=parking)])
    return parking


def parked(place: Place) -> list[int]:
    return [one.event.id for one in place.store.parked()]
