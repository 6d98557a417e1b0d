"""The history: a local SQLite file of our own that keeps each night's counts and the fingerprints of its findings.

Nothing of the scanned database is kept but the guid a finding is about. The file is never made or changed by reading.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from mergeguard.core import trend
from mergeguard.core.findings import ScanReport, Severity
from mergeguard.core.trend import Mark, Night, RuleCount, Trend
from mergeguard.errors import (
    CannotCheck,
    Locked,
    NotADatabase,
    PermissionDenied,
    TargetNotFound,
    Unsupported,
    UsageError,
    WriteFailed,
)

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x4D474831
"""Marks the file as ours ("MGH1"), so that no other database is ever written by mistake."""
_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
BUSY_SECONDS: Final = 30.0
"""How long to wait for another process that is recording its own run."""

_START_ANEW: Final = "move the file away: the next scan starts a new one"
_SCHEMA: Final = (
    "CREATE TABLE target (id INTEGER PRIMARY KEY, target TEXT NOT NULL UNIQUE)",
    """CREATE TABLE night (
        id INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, target_id INTEGER NOT NULL REFERENCES target,
        started TEXT NOT NULL, finished TEXT NOT NULL, complete INTEGER NOT NULL, rows INTEGER NOT NULL,
        guids INTEGER NOT NULL, profile TEXT NOT NULL, tool_version TEXT NOT NULL)""",
    "CREATE INDEX night_in_order ON night (target_id, started, id)",
    """CREATE TABLE rule_count (
        night_id INTEGER NOT NULL REFERENCES night, rule TEXT NOT NULL, severity TEXT NOT NULL, count INTEGER NOT NULL,
        unnamed INTEGER NOT NULL, suppressed INTEGER NOT NULL, checked INTEGER NOT NULL,
        PRIMARY KEY (night_id, rule)) WITHOUT ROWID""",
    """CREATE TABLE defect (
        id INTEGER PRIMARY KEY, target_id INTEGER NOT NULL REFERENCES target, rule TEXT NOT NULL,
        fingerprint TEXT NOT NULL, subject BLOB, UNIQUE (target_id, rule, fingerprint))""",
    """CREATE TABLE seen (
        night_id INTEGER NOT NULL REFERENCES night, defect_id INTEGER NOT NULL REFERENCES defect,
        accepted INTEGER NOT NULL, PRIMARY KEY (night_id, defect_id)) WITHOUT ROWID""",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_NIGHT = "id, run_id, started, finished, complete, rows, guids, profile, tool_version"


class HistoryStore:
    """The recorded nights of all targets in one file. Many processes may record into it at the same time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, report: ScanReport) -> None:
        """Add one run in one transaction; the file and its folder are made where they are missing.

        Raises:
            UsageError: a run of that id is already there.
            NotADatabase: the file is damaged or is not a history.
            Unsupported: a newer MergeGuard wrote the file.
            Locked: another process kept the file locked for too long.
            PermissionDenied: the file or its folder may not be written.
            WriteFailed: any other reason, e.g. a full disk; nothing was recorded.
        """
        night = trend.night_of(report)
        with self._translated(), self._open("rwc") as connection:
            connection.execute("BEGIN IMMEDIATE")
            if not self._is_ours(connection):
                for statement in _SCHEMA:
                    connection.execute(statement)
            self._refuse_repeated(connection, night.run_id)
            _insert(connection, _text(report.target), night)
            connection.execute("COMMIT")

    def prune(self, target: str, keep: int) -> int:
        """Forget all but the newest ``keep`` runs of a target; return how many were forgotten.

        With a run goes what no other run has seen: a finding of long ago that comes back is then new.

        Raises:
            ValueError: ``keep`` is below 1; a history is begun anew by deleting its file.
            TargetNotFound: there is no history file.
            CannotCheck: it could not be changed, see ``record``.
            WriteFailed: the disk is full or failing; nothing was forgotten.
        """
        if keep < 1:
            raise ValueError(f"keep {keep} runs?")
        self._require()
        with self._translated(), self._open("rw") as connection:
            connection.execute("BEGIN IMMEDIATE")
            if not self._is_ours(connection):
                return 0
            forgotten = _forget(connection, _text(target), keep)
            connection.execute("COMMIT")
            return forgotten

    def nights(self, target: str, limit: int | None = None) -> tuple[Night, ...]:
        """Return the newest recorded nights of a target with their counts, newest first; without fingerprints.

        Raises:
            TargetNotFound: there is no history file.
            CannotCheck: it could not be read, see ``record``.
        """
        with self._translated(), self._reading() as connection:
            rows = connection.execute(
                f"SELECT {_NIGHT} FROM night WHERE target_id = (SELECT id FROM target WHERE target = ?)"  # noqa: S608 - constants
                " ORDER BY started DESC, id DESC LIMIT ?",
                (_text(target), -1 if limit is None else limit),
            ).fetchall()
            return tuple(_night(connection, row, marks=False) for row in rows)

    def targets(self) -> tuple[str, ...]:
        """Return all targets that the file knows, in the order of their text."""
        with self._translated(), self._reading() as connection:
            return tuple(text for (text,) in connection.execute("SELECT target FROM target ORDER BY target"))

    def compare(self, target: str, run: str | None = None) -> Trend:
        """Compare a run (the newest where ``None``) with all runs of its target before it.

        Raises:
            TargetNotFound: there is no history file, or no such target or run in it.
            CannotCheck: it could not be read, see ``record``.
        """
        with self._translated(), self._reading() as connection:
            # One transaction: a run recorded meanwhile is seen whole or not at all.
            connection.execute("BEGIN")
            rows = self._nights_until(connection, target, run)
            return trend.compare(target, (_night(connection, row, marks=True) for row in rows))

    def _nights_until(self, connection: sqlite3.Connection, target: str, run: str | None) -> list[sqlite3.Row]:
        rows: list[sqlite3.Row] = connection.execute(
            f"SELECT {_NIGHT} FROM night WHERE target_id = (SELECT id FROM target WHERE target = ?)"  # noqa: S608 - constants
            " ORDER BY started, id",
            (_text(target),),
        ).fetchall()
        if not rows:
            raise TargetNotFound(
                f"the history {self.path} holds no run of {target}",
                hint="scan it once with this history; the target must be written as it was then",
            )
        if run is None:
            return rows
        ids = [row[1] for row in rows]
        if run not in ids:
            raise TargetNotFound(
                f"the history {self.path} holds no run {run} of {target}", hint=f"its newest run is {ids[-1]}"
            )
        return rows[: ids.index(run) + 1]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        self._require()
        # Not mode=ro: what a killed writer left behind has to be rolled back first.
        with self._open("rw") as connection:
            connection.execute("PRAGMA query_only = ON")
            if not self._is_ours(connection):
                raise NotADatabase(f"{self.path} is empty: no run was ever recorded in it")
            yield connection

    def _require(self) -> None:
        if not self.path.exists():
            raise TargetNotFound(
                f"there is no history at {self.path}", hint="'mergeguard scan TARGET --remember' begins one"
            )

    @contextmanager
    def _open(self, mode: str) -> Iterator[sqlite3.Connection]:
        self._refuse_foreign()
        if mode == "rwc":
            self.path.parent.mkdir(parents=True, exist_ok=True)
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            # Closing rolls back what was not committed.
            yield connection

    def _refuse_foreign(self) -> None:
        """Refuse another program's database by its header alone: opening it could leave side files or a lock."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        foreign = int.from_bytes(header[68:72], "big") != APPLICATION_ID
        if len(header) == _HEADER_BYTES and header.startswith(_MAGIC) and foreign:
            raise NotADatabase(
                f"{self.path} is an SQLite database, but not a history of MergeGuard; it was not touched",
                hint="give --history a file of its own",
            )

    def _is_ours(self, connection: sqlite3.Connection) -> bool:
        """Say whether the file is a history; ``False`` where it is a new, empty one."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not version and not tables:
            return False
        if version > SCHEMA_VERSION:
            raise Unsupported(
                f"the history {self.path} was written by a newer MergeGuard "
                f"(layout {version}, this one knows {SCHEMA_VERSION})",
                hint="update MergeGuard, or give --history another file",
            )
        return True

    def _refuse_repeated(self, connection: sqlite3.Connection, run_id: str) -> None:
        if connection.execute("SELECT 1 FROM night WHERE run_id = ?", (run_id,)).fetchone():
            raise UsageError(f"the run {run_id} is already in the history {self.path}", hint="each run is kept once")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what SQLite and the operating system say into errors that a person understands."""
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # a bug of ours, not a damaged file
        except sqlite3.Error as error:
            raise self._failure(error) from error
        except ValueError as error:
            raise NotADatabase(f"the history {self.path} is damaged: {error}", hint=_START_ANEW) from error
        except OSError as error:
            raise PermissionDenied(
                f"the history {self.path} cannot be used: {error.strerror or error}",
                hint="give --history a file in a folder that may be written",
            ) from error

    def _failure(self, error: sqlite3.Error) -> CannotCheck | WriteFailed:
        # The low byte of SQLite's extended result code is the code itself.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Locked(f"another process has kept the history {self.path} locked", hint="try again in a moment")
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return PermissionDenied(
                f"the history {self.path} cannot be opened for writing: {error}",
                hint="give --history a file in a folder that may be written",
            )
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            return WriteFailed(f"the history {self.path} could not be written: {error}; nothing was recorded")
        return NotADatabase(
            f"the history {self.path} is damaged or is not a history: {error}",
            hint=_START_ANEW,
        )


def _insert(connection: sqlite3.Connection, target: str, night: Night) -> None:
    connection.execute("INSERT INTO target (target) VALUES (?) ON CONFLICT DO NOTHING", (target,))
    (target_id,) = connection.execute("SELECT id FROM target WHERE target = ?", (target,)).fetchone()
    night_id = connection.execute(
        "INSERT INTO night (run_id, target_id, started, finished, complete, rows, guids, profile, tool_version)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            night.run_id,
            target_id,
            _stamp(night.started),
            _stamp(night.finished),
            night.complete,
            night.rows,
            night.guids,
            _text(night.profile),
            night.tool_version,
        ),
    ).lastrowid
    connection.executemany(
        "INSERT INTO rule_count VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (night_id, one.rule, one.severity.value, one.count, one.unnamed, one.suppressed, one.checked)
            for one in night.rules.values()
        ],
    )
    for rule, marks in night.marks.items():
        _insert_marks(connection, target_id, night_id, marks, accepted=night.accepted.get(rule, frozenset()))
    for rule, accepted in night.accepted.items():
        marks = [Mark(rule, fingerprint) for fingerprint in accepted]
        _insert_marks(connection, target_id, night_id, marks, accepted=accepted)


def _insert_marks(
    connection: sqlite3.Connection,
    target_id: int,
    night_id: int | None,
    marks: Iterable[Mark],
    *,
    accepted: frozenset[str],
) -> None:
    rows = [
        (target_id, mark.rule, mark.fingerprint, None if mark.subject is None else mark.subject.bytes) for mark in marks
    ]
    connection.executemany(
        "INSERT INTO defect (target_id, rule, fingerprint, subject) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET subject = coalesce(subject, excluded.subject)",
        rows,
    )
    connection.executemany(
        "INSERT INTO seen (night_id, defect_id, accepted)"
        " SELECT ?, id, ? FROM defect WHERE target_id = ? AND rule = ? AND fingerprint = ? ON CONFLICT DO NOTHING",
        [(night_id, row[2] in accepted, *row[:3]) for row in rows],
    )


def _forget(connection: sqlite3.Connection, target: str, keep: int) -> int:
    old = [
        row
        for (row,) in connection.execute(
            "SELECT id FROM night WHERE target_id = (SELECT id FROM target WHERE target = ?)"
            " ORDER BY started DESC, id DESC LIMIT -1 OFFSET ?",
            (target, keep),
        )
    ]
    for table, column in (("seen", "night_id"), ("rule_count", "night_id"), ("night", "id")):
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(row,) for row in old])  # noqa: S608 - constants
    if old:
        connection.execute("DELETE FROM defect WHERE id NOT IN (SELECT defect_id FROM seen)")
    return len(old)


def _night(connection: sqlite3.Connection, row: sqlite3.Row, *, marks: bool) -> Night:
    number, run_id, started, finished, complete, rows, guids, profile, tool_version = row
    rules = {
        rule: RuleCount(rule, Severity(severity), count, unnamed, suppressed, bool(checked))
        for rule, severity, count, unnamed, suppressed, checked in connection.execute(
            "SELECT rule, severity, count, unnamed, suppressed, checked FROM rule_count WHERE night_id = ?", (number,)
        )
    }
    found: dict[str, list[Mark]] = {}
    accepted: dict[str, set[str]] = {}
    for mark, is_accepted in _marks(connection, number) if marks else ():
        if is_accepted:
            accepted.setdefault(mark.rule, set()).add(mark.fingerprint)
        else:
            found.setdefault(mark.rule, []).append(mark)
    return Night(
        run_id=run_id,
        started=dt.datetime.fromisoformat(started),
        finished=dt.datetime.fromisoformat(finished),
        complete=bool(complete),
        rows=rows,
        guids=guids,
        profile=profile,
        tool_version=tool_version,
        rules=rules,
        marks=found,
        accepted={rule: frozenset(names) for rule, names in accepted.items()},
    )


def _marks(connection: sqlite3.Connection, night_id: int) -> Iterator[tuple[Mark, bool]]:
    # By what they are and not by when they were first seen: pruning must not change the order.
    for rule, fingerprint, subject, accepted in connection.execute(
        "SELECT rule, fingerprint, subject, accepted FROM seen JOIN defect ON defect.id = defect_id"
        " WHERE night_id = ? ORDER BY defect.rule, defect.fingerprint",
        (night_id,),
    ):
        yield Mark(rule, fingerprint, None if subject is None else uuid.UUID(bytes=subject)), bool(accepted)


def _text(value: str) -> str:
    # A path that is not UTF-8 arrives with lone surrogates, which SQLite does not take.
    return value.encode("utf-8", "backslashreplace").decode()


def _stamp(moment: dt.datetime) -> str:
    # Of one length and one zone, so that the order of the texts is the order of the moments.
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
