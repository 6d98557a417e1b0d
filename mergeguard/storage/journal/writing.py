"""The journal: what each run did, written in the transaction that did it, with all that takes it back.

A step and its changes are committed together with the rows that they changed; so after a crash the journal tells
exactly which steps were made. Only ``begin``, ``finish`` and ``create`` have transactions of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mergeguard.core.repair.journal import JournalStep, Run
from mergeguard.errors import CannotCheck, Locked, PermissionDenied, Stale, Unsupported, WriteFailed
from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.journal import reading as journal_reading
from mergeguard.storage.journal import rows as journal_rows
from mergeguard.storage.journal.rows import StepValues
from mergeguard.storage.journal.tables import CLOCKS, JournalTables
from mergeguard.storage.lookup.database import PLAIN_FAILURES
from mergeguard.storage.mssql import lookup as mssql_lookup
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Source

if TYPE_CHECKING:
    from mergeguard.storage.rows.database import DatabaseRows

_NUMBERS_AT_ONCE = 1000
_FEW = 8
"""So many rows go one by one; more go as the driver likes them best."""
BEGIN = "SELECT COUNT(*) FROM sys.tables"
_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")


class Journal:
    """The journal of one target.

    Args:
        source: the target, a database.
        profile: where the tables are named.

    Raises:
        Unsupported: the target is a file.
    """

    def __init__(self, source: Source, profile: Profile) -> None:
        if not isinstance(source, DatabaseSource):
            raise Unsupported(
                f"{source.info.target} is a file and keeps no journal", hint="only databases are repaired"
            )
        self.source = source
        self.tables = JournalTables(profile.journal)
        self._clock: sa.ColumnClause[Any] = sa.literal_column(CLOCKS[source.kind])
        self._insert_step = self.tables.steps.insert().values(happened=self._clock)
        self._insert_change = self.tables.changes.insert()
        self._compiled: dict[tuple[sa.Insert, tuple[str, ...]], tuple[str, Sequence[str]]] = {}
        self._insert_whole_run = self.tables.runs.insert().values(started=self._clock, finished=self._clock)

    # The tables.

    def exists(self) -> bool:
        """Say whether the journal is there.

        Raises:
            JournalDamaged: a table is missing beside the others, or altered; it is named, and so is the column.
        """
        with self.source.snapshot() as snapshot, self.source.translated():
            return self.tables.stand(snapshot)

    def create(self) -> None:
        """Make the tables where they are missing, in a transaction of its own; several may try at the same time.

        Raises:
            JournalDamaged: as ``exists``.
            PermissionDenied, Locked: nothing was made.
            WriteFailed: any other failure; nothing was made.
        """
        with self._writing() as connection:
            self._take_turn(connection)
            snapshot = self.source.snapshot_class(self.source, connection, "write transaction")
            if not self.tables.stand(snapshot):
                for table in self.tables.all.values():
                    connection.execute(sa.schema.CreateTable(table))

    # Runs.

    def begin(self, run: Run) -> Run:
        """Write down that a run begins; one that is there already goes on, and is returned as it was written.

        ``started`` is the database's time, whatever ``run`` says.
        """
        try:
            with self._writing() as connection:
                found = self._one(connection, run.run_id)
                if found is None:
                    connection.execute(self._insert_run(run))
                    found = self._one(connection, run.run_id)
        except WriteFailed:
            found = self.run(run.run_id)  # another session may have been quicker
            if found is None:
                raise
        if found is None:
            raise WriteFailed(f"{self.source.info.target}: the run was written and is not there")
        return found

    def finish(self, run_id: str) -> None:
        """Write down that a run came to its end."""
        with self._writing() as connection:
            connection.execute(self._finish_run(run_id))

    def runs(self) -> list[Run]:
        """Return all runs, newest first; none where there is no journal."""
        with self._reading() as connection:
            return [] if connection is None else journal_reading.runs(connection, self.tables)

    def run(self, run_id: str) -> Run | None:
        """Return one run; ``None`` where there is none of that id."""
        with self._reading() as connection:
            return None if connection is None else self._one(connection, run_id)

    def record_run(self, rows: DatabaseRows, run: Run) -> None:
        """Write down, in the transaction of its one step, a run that begins and ends with it."""
        with self.source.translated(writing=True):
            rows.run(*self._compiled_insert(rows, self._insert_whole_run, journal_rows.run_values(run)))

    # Steps.

    def record(self, rows: DatabaseRows, step: JournalStep, *, briefly: bool = False) -> None:
        """Write a step down in the transaction of its changes: two statements, whatever it changed.

        ``briefly`` is for a transaction of a handful of statements: what is few goes straight through the driver.
        """
        self.record_values(rows, journal_rows.step_values(step), briefly=briefly)

    def record_values(self, rows: DatabaseRows, step: StepValues, *, briefly: bool = False) -> None:
        """Do the same with what is stored of a step, worked out before."""
        values, changes = step
        with self.source.translated(writing=True):
            if briefly and len(changes) <= _FEW:
                return self._record_briefly(rows, values, changes)
            rows.connection.execute(self._insert_step, values)
            if changes:
                rows.connection.execute(self._insert_change, changes)
            return None

    def mark_undone(self, rows: DatabaseRows, run_id: str, numbers: Sequence[int], by: str) -> None:
        """Write down, in the transaction that takes them back, that steps were taken back.

        Raises:
            Stale: another run took one of them back meanwhile, or it is not there.
        """
        steps = self.tables.steps
        with self.source.translated(writing=True):
            for start in range(0, len(numbers), _NUMBERS_AT_ONCE):
                wanted = list(dict.fromkeys(numbers[start : start + _NUMBERS_AT_ONCE]))
                standing = sa.and_(steps.c.run_id == run_id, steps.c.step.in_(wanted), steps.c.undone_by.is_(None))
                found = rows.connection.scalars(sa.select(steps.c.step).where(standing)).all()
                missing = sorted(set(wanted) - set(found))
                if missing:
                    listed = ", ".join(map(str, missing[:10]))
                    raise Stale(
                        f"step {listed} of run {run_id} was taken back by another run",
                        hint="'mergeguard journal' shows which; nothing was changed",
                    )
                rows.connection.execute(steps.update().where(standing).values(undone_by=by))

    def steps(self, run_id: str) -> list[JournalStep]:
        """Return all steps of a run in their order, all in memory; see ``each_step`` for long runs.

        Raises:
            JournalDamaged: a step is not as it was written.
        """
        with self._reading() as connection:
            return [] if connection is None else list(journal_reading.steps(connection, self.tables, run_id, None))

    def step(self, run_id: str, number: int) -> JournalStep | None:
        """Return one step; ``None`` where it is not there.

        Raises:
            JournalDamaged: it is not as it was written.
        """
        with self._reading() as connection:
            found = (
                []
                if connection is None
                else list(journal_reading.steps(connection, self.tables, run_id, (number, number)))
            )
        return found[0] if found else None

    def each_step(self, run_id: str, *, newest_first: bool = False) -> Iterator[JournalStep]:
        """Yield the steps of a run in their order, or the other way round; few are in memory at a time.

        No transaction is open while the caller has a step: it may write.

        Raises:
            JournalDamaged: a step is not as it was written.
        """
        with self._reading() as connection:
            spans = [] if connection is None else journal_reading.spans(connection, self.tables, run_id)
        for span in reversed(spans) if newest_first else spans:
            with self._reading() as connection:
                found = [] if connection is None else list(journal_reading.steps(connection, self.tables, run_id, span))
            yield from reversed(found) if newest_first else found

    def _record_briefly(
        self, rows: DatabaseRows, step: Mapping[str, object], changes: Sequence[Mapping[str, object]]
    ) -> None:
        """Send the inserts through the driver: SQLAlchemy's own results would double the cost of a short transaction.

        PostgreSQL takes them as one statement.
        """
        with rows.joining():
            rows.write(*self._compiled_insert(rows, self._insert_step, step))
            for change in changes:
                rows.write(*self._compiled_insert(rows, self._insert_change, change))

    def _compiled_insert(
        self, rows: DatabaseRows, insert: sa.Insert, values: Mapping[str, object]
    ) -> tuple[str, list[object]]:
        """Return an insert as the driver takes it; its text is made once."""
        key = insert, tuple(values)
        if key not in self._compiled:
            dialect: Any = type(rows.connection.dialect)
            style = "format" if self.source.kind == "postgresql" else "qmark"
            made: Any = insert.compile(dialect=dialect(paramstyle=style), column_keys=list(values))
            self._compiled[key] = str(made), list(made.positiontup or ())
        sql, names = self._compiled[key]
        return sql, [values[name] for name in names]

    def _one(self, connection: sa.Connection, run_id: str) -> Run | None:
        return next(iter(journal_reading.runs(connection, self.tables, run_id)), None)

    def _insert_run(self, run: Run) -> sa.Insert:
        return self.tables.runs.insert().values(started=self._clock, **journal_rows.run_values(run))

    def _finish_run(self, run_id: str) -> sa.Update:
        runs = self.tables.runs
        return runs.update().where(runs.c.run_id == run_id).values(finished=self._clock)

    # Connections.

    def _take_turn(self, connection: sa.Connection) -> None:
        """Let one session make the tables at a time; on SQLite the transaction itself sees to that."""
        name = f"mergeguard journal {self.tables.names.runs}"
        if self.source.kind == "postgresql":
            connection.execute(_LOCK, {"key": name})
        if self.source.kind == "mssql":
            connection.exec_driver_sql(BEGIN).all()  # the lock belongs to a transaction, and a read begins one
            wait = int(self.source.options.lock_timeout * 1000)
            if connection.exec_driver_sql(mssql_lookup.TAKE_TURN, (name[:255], wait)).scalar_one() < 0:
                raise Locked(f"{self.source.info.target}: another session is making the journal")

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection | None]:
        with self.source.snapshot() as snapshot, self.source.translated():
            yield snapshot.connection if self.tables.stand(snapshot) else None

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with _failing(self.tables), self.source.translated(writing=True):
            connection = self.source.connect_to_write()
            try:
                self.source.begin_write(connection)
                yield connection
                connection.commit()
            finally:
                # Closing rolls back what was not committed; where even that fails the database does it by itself.
                with suppress(sa.exc.SQLAlchemyError):
                    connection.close()


@contextmanager
def _failing(tables: JournalTables) -> Iterator[None]:
    """Say of a failed write that it was one, and of a missing permission which."""
    try:
        yield
    except PermissionDenied as error:
        raise PermissionDenied(
            error.message,
            hint="a repair keeps a journal beside the merges: let one run of a login that may CREATE TABLE make it, "
            f"and grant SELECT, INSERT and UPDATE on {', '.join(tables.all)}",
        ) from error
    except CannotCheck as error:
        if isinstance(error, PLAIN_FAILURES):
            raise
        raise WriteFailed(error.message, hint="nothing was changed; run the command again") from error
