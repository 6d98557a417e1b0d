"""The data class *Event Queue Status*: a row a queue for each look, in a table of ours, for reports of any tool.

Beside it stands a view in the shape of the older data class, *NS Event Queue Status*: totals without queues. It is
there so that older reports go on working, is made from the same rows, and holds nothing of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.dialects import mssql, postgresql

from mergeguard.errors import Unsupported
from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import is_file_target, open_target

TABLE: Final = "mergeguard_event_queue_status"
LEGACY_VIEW: Final = "mergeguard_ns_event_queue_status"

_TIME = (
    sa.DateTime()
    .with_variant(sa.Text(), "sqlite")
    .with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
    .with_variant(mssql.DATETIME2(6), "mssql")  # type: ignore[no-untyped-call]
)
_STATUS = sa.Table(
    TABLE,
    sa.MetaData(),
    sa.Column("taken", _TIME, primary_key=True, nullable=False),
    sa.Column("server", sa.Unicode(200), primary_key=True, nullable=False),
    sa.Column("queue", sa.SmallInteger, primary_key=True, nullable=False, autoincrement=False),
    sa.Column("queue_name", sa.Unicode(16), nullable=False),
    *(
        sa.Column(name, sa.BigInteger, nullable=False)
        for name in (
            "events",
            "inline_bytes",
            "file_bytes",
            "file_limit_bytes",
            "registered",
            "done",
            "retries",
            "dead",
            "dead_bytes",
            "stranded_chains",
        )
    ),
    *(sa.Column(name, sa.Double, nullable=True) for name in ("oldest_seconds", "in_per_second", "out_per_second")),
    sa.Column("parked", sa.BigInteger, nullable=True),
)
_ADD_PARKED: Final = f"ALTER TABLE {TABLE} ADD parked BIGINT NULL"
"""Tables that an earlier version made have no such column."""
_LEGACY: Final = (
    f"CREATE VIEW {LEGACY_VIEW} AS "  # noqa: S608 - names of this module
    "SELECT taken, server, SUM(events) AS events, SUM(inline_bytes + file_bytes) / 1024 AS size_kb, "
    f"MAX(file_limit_bytes) / 1024 AS limit_kb FROM {TABLE} GROUP BY taken, server"
)


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One queue at one look. The columns of the table are these fields, in this order."""

    taken: dt.datetime
    """By the database's clock."""
    server: str
    """Who looked: host and process."""
    queue: int
    queue_name: str
    events: int
    """Pending, those in process included."""
    inline_bytes: int
    file_bytes: int
    file_limit_bytes: int
    """Of all queues together; 0: no limit."""
    registered: int
    """Ever; so are done and retries."""
    done: int
    retries: int
    dead: int
    dead_bytes: int
    stranded_chains: int
    """Of all queues together; anything but 0 is a bug."""
    oldest_seconds: float | None
    """Age of the oldest pending event."""
    in_per_second: float | None
    """Registered since the look before; so is out, of those done."""
    out_per_second: float | None
    parked: int | None = None
    """Of the pending events; ``None`` in a row of an earlier version."""


class StatusTable:
    """The table in one database.

    Args:
        source: of the database; kept and closed by this object.
    """

    def __init__(self, source: DatabaseSource) -> None:
        self._source = source

    def create(self) -> None:
        """Make the table and the view that are missing, and the column that an earlier version did not have.

        Raises:
            WriteFailed: they cannot be made.
        """
        with self._writing() as connection:
            _STATUS.create(connection, checkfirst=True)
            if "parked" not in _columns(connection):
                connection.exec_driver_sql(_ADD_PARKED)
            if LEGACY_VIEW not in sa.inspect(connection).get_view_names():
                connection.exec_driver_sql(_LEGACY)

    def write(self, rows: Sequence[StatusRow], *, keep: dt.timedelta) -> None:
        """Add the rows of one look and remove those that are older than ``keep``, in one transaction.

        Raises:
            WriteFailed: nothing was written.
        """
        with self._writing() as connection:
            connection.execute(sa.insert(_STATUS), [self._stored(row) for row in rows])
            cut = self._time(max(row.taken for row in rows) - keep)
            connection.execute(sa.delete(_STATUS).where(_STATUS.c.taken < cut))

    def latest(self) -> Sequence[StatusRow]:
        """Return the rows of the newest look, by queue; none where nobody has looked or there is no table.

        Raises:
            CannotCheck: the table cannot be read.
        """
        newest = sa.select(sa.func.max(_STATUS.c.taken)).scalar_subquery()
        order = (_STATUS.c.server, _STATUS.c.queue)
        look = sa.select(_STATUS).where(_STATUS.c.taken == newest).order_by(*order)
        # The snapshot of a source would open and close an SQLite file, and with that drop the locks that others in
        # this process have on it.
        with self._source.translated(), self._source.connect_to_write() as connection:
            if not sa.inspect(connection).has_table(TABLE):
                return ()
            there = _columns(connection)
            look = look.with_only_columns(*(column for column in _STATUS.c if column.name in there))
            found = [_row(row) for row in connection.execute(look).mappings()]
        return [row for row in found if row.server == found[0].server]

    def close(self) -> None:
        """Give back the connections."""
        self._source.close()

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._source.translated(writing=True), self._source.connect_to_write() as connection:
            self._source.begin_write(connection)
            yield connection
            connection.commit()

    def _stored(self, row: StatusRow) -> dict[str, Any]:
        return asdict(row) | {"taken": self._time(row.taken), "server": row.server[:200]}

    def _time(self, when: dt.datetime) -> dt.datetime | str:
        utc = when.astimezone(dt.UTC)
        if self._source.kind == "sqlite":
            return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")
        return utc if self._source.kind == "postgresql" else utc.replace(tzinfo=None)


def open_status(target: str, options: Options | None = None) -> StatusTable:
    """Open the table of a database; nothing is connected to yet.

    Raises:
        UsageError: the target is not understood.
        Unsupported: it is a file of rows.
    """
    if is_file_target(target):
        raise Unsupported(f"{target} is a file of rows; an event queue lives in a database")
    # An URL in any case: to tell what kind of file it is, the file itself would be opened.
    url = target if "://" in target else sa.URL.create("sqlite", database=target).render_as_string()
    return StatusTable(cast("DatabaseSource", open_target(url, Profile(), options or Options())))


def _columns(connection: sa.Connection) -> frozenset[str]:
    return frozenset(column["name"] for column in sa.inspect(connection).get_columns(TABLE))


def _row(stored: Any) -> StatusRow:  # noqa: ANN401 - a row of SQLAlchemy as a mapping
    values = {field.name: stored.get(field.name) for field in fields(StatusRow)}
    taken = values["taken"]
    when = taken if isinstance(taken, dt.datetime) else dt.datetime.fromisoformat(str(taken))
    values["taken"] = when if when.tzinfo is not None else when.replace(tzinfo=dt.UTC)
    return StatusRow(**values)
