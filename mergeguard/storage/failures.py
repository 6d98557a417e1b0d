"""Turns what drivers and the operating system raise into the classes of ``mergeguard.errors``, in words for a DBA.

What our own triggers and procedures refuse says so itself. Other evidence is taken in this order: the server's own
number (SQL Server), the SQLSTATE, SQLite's error code, and only then the text, which drivers change and servers
translate. What is no failure of the outer world (a ``TypeError``, a statement that SQLAlchemy cannot compile) passes
through untouched: it is a bug and must look like one.
"""

from __future__ import annotations

import errno
import gzip
import os
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mergeguard import errors
from mergeguard.storage import secrets as hush
from mergeguard.storage.merging import refusals

ODBC_REMEDY = (
    "install the ODBC driver manager and a driver: `apt-get install unixodbc` (or `dnf install unixODBC`) and "
    "Microsoft ODBC Driver 18 for SQL Server (package msodbcsql18 of packages.microsoft.com), or FreeTDS "
    "(`apt-get install tdsodbc`)"
)
_REMEDIES = {
    "pyodbc": ("SQL Server needs pyodbc and an ODBC driver manager", ODBC_REMEDY),
    "psycopg": ("PostgreSQL needs psycopg", "pip install 'mergeguard[postgresql]'"),
    "psycopg2": ("this URL asks for psycopg2, which is not installed", "write postgresql+psycopg:// in the URL"),
    "pyarrow": ("Parquet needs pyarrow", "pip install 'mergeguard[parquet]'"),
    "arrow_odbc": ("reading through Arrow needs arrow-odbc", "pip install 'mergeguard[fast]', or use --no-fast"),
    "adbc_driver_manager": ("reading through ADBC needs its drivers", "pip install 'mergeguard[fast]', or --no-fast"),
}
_DRIVERS = frozenset({"sqlite3", "psycopg", "pyodbc", "adbc_driver_manager", "arrow_odbc"})
_NAMES_HINT = "compare the names with the profile; `mergeguard discover` lists what the database holds"
_QUERY_HINT = "check the queries of the profile"
_GRANT_HINT = "grant SELECT on the tables that the profile names to this login"
_WRITE_GRANT_HINT = (
    "what writes needs SELECT, INSERT, UPDATE and DELETE on the tables that it writes to, and CREATE TABLE where one "
    "of its own is missing"
)
_LOGIN_HINT = errors.LoginFailed.default_hint
_CONNECT_HINT = "check host, port and firewall, and that the server is running"


@dataclass(frozen=True, slots=True)
class _Failure:
    """What one code means."""

    error: type[errors.MergeGuardError]
    words: str
    hint: str | None = None


_AGAIN = "run the command again"
_DEADLOCK = _Failure(errors.Locked, "the server chose this session as the victim of a deadlock", _AGAIN)
_LOCK_TIMEOUT = _Failure(errors.Locked, "another session holds a lock for longer than the lock timeout")
_SNAPSHOT_CLASH = _Failure(errors.Locked, "another session changed the same rows meanwhile", _AGAIN)
_LOGIN = _Failure(errors.LoginFailed, "the server refused the login", _LOGIN_HINT)
_EXPIRED = _Failure(errors.LoginFailed, "the login is disabled, locked or its password has expired", "ask the DBA")
_NO_DATABASE = _Failure(
    errors.TargetNotFound,
    "the database does not exist, or this login may not open it",
    "check the database name in the URL",
)
_DENIED = _Failure(errors.PermissionDenied, "the login lacks a permission", _GRANT_HINT)
_READ_ONLY = _Failure(errors.PermissionDenied, "the database is read-only", "write to the primary, not to a replica")
_NO_TABLE = _Failure(errors.UnknownSchema, "a table does not exist", _NAMES_HINT)
_NO_COLUMN = _Failure(errors.UnknownSchema, "a column does not exist", _NAMES_HINT)
_REFUSED = _Failure(errors.ConnectFailed, "the server did not answer", _CONNECT_HINT)
_BUSY_SERVER = _Failure(errors.ConnectFailed, "the server takes no connection now", "try again later")
_LOST = _Failure(errors.ConnectionLost, "the connection to the server was lost")
_TIMEOUT = _Failure(errors.CannotCheck, "the server cancelled the statement", "raise its statement timeout")
_SYNTAX = _Failure(errors.ProfileError, "the database does not understand a query", _QUERY_HINT)
_NO_DRIVER = _Failure(errors.MissingExtra, "the ODBC driver that the URL names is not installed", ODBC_REMEDY)
_FULL = _Failure(errors.CannotCheck, "the disk or the log of the database is full", "make room and run it again")
_CERTIFICATE = _Failure(
    errors.ConnectFailed,
    "the server's certificate is not trusted",
    "install the certificate of its authority on this machine; only on a network that you trust, add "
    "TrustServerCertificate=yes to the connection string",
)

_SQL_SERVER: Mapping[int, _Failure] = {
    # 4060 comes together with an 18456 that only echoes it, so it stands first.
    **dict.fromkeys((4060, 911), _NO_DATABASE),
    1205: _DEADLOCK,
    1222: _LOCK_TIMEOUT,
    **dict.fromkeys((3960, 3961), _SNAPSHOT_CLASH),
    **dict.fromkeys((18456, 18452), _LOGIN),
    **dict.fromkeys((18470, 18486, 18487, 18488), _EXPIRED),
    **dict.fromkeys((229, 230, 262, 297, 300, 916, 2760), _DENIED),
    **dict.fromkeys((3906, 978), _READ_ONLY),
    208: _NO_TABLE,
    207: _NO_COLUMN,
    **dict.fromkeys((102, 105, 156, 2812), _SYNTAX),
    **dict.fromkeys((1105, 9002), _FULL),
    **dict.fromkeys((10928, 10929, 40197, 40501, 40613, 17142), _BUSY_SERVER),
    **dict.fromkeys((596, 6005, 10054), _LOST),
    # FreeTDS numbers its own findings from 20000.
    **dict.fromkeys((20002, 20009, 20013, 20019), _REFUSED),
    **dict.fromkeys((20003, 20004, 20006, 20047), _LOST),
}
_SQLSTATES: Mapping[str, _Failure] = {
    **dict.fromkeys(("28000", "28P01"), _LOGIN),
    "3D000": _NO_DATABASE,
    "42501": _DENIED,
    "25006": _READ_ONLY,
    **dict.fromkeys(("42P01", "42S02", "3F000"), _NO_TABLE),
    **dict.fromkeys(("42703", "42S22"), _NO_COLUMN),
    **dict.fromkeys(("40001", "40P01"), _DEADLOCK),
    "55P03": _LOCK_TIMEOUT,
    "57014": _TIMEOUT,
    **dict.fromkeys(("57P01", "57P02", "08003", "08006", "08007", "08S01", "08P01"), _LOST),
    **dict.fromkeys(("57P03", "53300"), _BUSY_SERVER),
    **dict.fromkeys(("08000", "08001", "08004", "HYT01"), _REFUSED),
    **dict.fromkeys(("42601", "42883", "42702", "42804"), _SYNTAX),
    **dict.fromkeys(("IM002", "IM003", "IM004"), _NO_DRIVER),
    **dict.fromkeys(("53100", "HY013", "53200"), _FULL),
}
_SQLITE: Mapping[int, _Failure] = {
    sqlite3.SQLITE_NOTADB: _Failure(errors.NotADatabase, "the file is not an SQLite database", "check the file name"),
    sqlite3.SQLITE_CORRUPT: _Failure(
        errors.NotADatabase, "the SQLite file is damaged", "run `PRAGMA integrity_check` on a copy, or restore a backup"
    ),
    **dict.fromkeys((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED), _LOCK_TIMEOUT),
    sqlite3.SQLITE_READONLY: _Failure(errors.PermissionDenied, "the database file is read-only", "check its mode"),
    **dict.fromkeys(
        (sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH),
        _Failure(errors.PermissionDenied, "the operating system does not allow this", "check the mode of the file"),
    ),
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: _Failure(
        errors.ConnectionLost,
        "the disk, or the share, that holds the file failed",
        "look at it; run the command again when the file can be read and written",
    ),
}
_AWAY = (_LOGIN, _EXPIRED, _NO_DATABASE, _READ_ONLY, _REFUSED, _BUSY_SERVER, _LOST, _FULL, _CERTIFICATE)
_SQLITE_AWAY = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})
_SQLITE_DATA = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH})
_STATES_OF_DATA = ("22", "23", "25P02", "44", "P0")
"""25P02: a statement was refused before, and whoever sent it did not say so."""
_UNREADABLE = _Failure(errors.UnreadableFile, "the file cannot be read")
_OS: Sequence[tuple[type[OSError], _Failure]] = (
    (gzip.BadGzipFile, _Failure(errors.UnreadableFile, "the file is not gzip or is damaged", "unpack it and look")),
    (FileNotFoundError, _Failure(errors.TargetNotFound, "the file does not exist", "check the path")),
    (NotADirectoryError, _Failure(errors.TargetNotFound, "a folder on the way does not exist", "check the path")),
    (PermissionError, _SQLITE[sqlite3.SQLITE_PERM]),
    (TimeoutError, _REFUSED),
    (ConnectionRefusedError, _REFUSED),
    (ConnectionError, _LOST),
)
# Only where no code says it: libpq gives none for a failed connection, ADBC not always.
_TEXTS: Sequence[tuple[re.Pattern[str], _Failure]] = tuple(
    (re.compile(pattern, re.IGNORECASE), failure)
    for pattern, failure in (
        (r"can't open lib|data source name not found|file not found \(0\)", _NO_DRIVER),
        (r"certificate verify failed|certificate chain|self.signed certificate", _CERTIFICATE),
        (r"file is not a database|file is encrypted", _SQLITE[sqlite3.SQLITE_NOTADB]),
        (r"disk image is malformed", _SQLITE[sqlite3.SQLITE_CORRUPT]),
        (r"database (table )?is locked", _LOCK_TIMEOUT),
        (r"readonly database", _SQLITE[sqlite3.SQLITE_READONLY]),
        (r"no such table|relation .* does not exist", _NO_TABLE),
        (r"no such column|column .* does not exist", _NO_COLUMN),
        (r"syntax error|incomplete input", _SYNTAX),
        (r"password authentication failed|no password supplied|role .* does not exist|login failed", _LOGIN),
        (r"no pg_hba\.conf entry", _LOGIN),
        (r"database .* does not exist", _NO_DATABASE),
        (r"too many clients|too many connections|starting up|shutting down", _BUSY_SERVER),
        (r"server closed the connection|connection (is|was) (closed|lost)|consuming input failed|broken pipe", _LOST),
        (r"terminating connection|connection reset|ssl (connection|syscall)", _LOST),
        (r"connection (refused|failed|is bad|timeout)|could not translate host|timeout expired", _REFUSED),
        (r"could not connect|login timeout|unable to connect|name or service not known", _REFUSED),
    )
)
_BUGS = ("ProgrammingError", "InterfaceError", "NotSupportedError")
_RECORD = re.compile(r"\((\d{2,6})\)(?=\s*(?:\(SQL\w+\)|;|$))|native error: (\d+)", re.IGNORECASE)
_STATE = re.compile(r"^\[?([0-9A-Z]{5})\]|\bState: ([0-9A-Z]{5})\b")
_NOISE = re.compile(r"^\s*(?:\[[^\]]*\]\s*)+|\s*\(SQL\w+\)", re.MULTILINE)


class Translated:
    """Re-raises driver and operating-system failures as the classes of ``mergeguard.errors``; see ``translated``.

    A class, for a short transaction enters some twenty of these, and a generator costs three times as much.
    """

    __slots__ = ("_secrets", "_target", "_writing")

    def __init__(self, target: str, secrets: Sequence[str], *, writing: bool) -> None:
        self._target = target
        self._secrets = secrets
        self._writing = writing

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, cause: BaseException | None, _trace: object) -> None:
        """Raise what a failure means in its place.

        Raises:
            MergeGuardError: for every failure of the outer world; what is a bug passes through untouched.
        """
        if not isinstance(cause, Exception):
            return
        error = as_error(cause, self._target, secrets=self._secrets, writing=self._writing)
        if error is not None:
            # The driver's exception may quote the connection string: nothing may print it as a cause.
            raise error from None


def translated(target: str, *, secrets: Sequence[str] = (), writing: bool = False) -> Translated:
    """Return a context that re-raises driver and operating-system failures as the classes of ``mergeguard.errors``.

    Args:
        target: What is being read, for the message; a password in it is masked.
        secrets: Passwords that must not appear in the message although ``target`` does not hold them.
        writing: True where a failed statement was a write: what has no better name becomes ``WriteFailed``.
    """
    return Translated(target, secrets, writing=writing)


def as_error(
    cause: BaseException, target: str, *, secrets: Sequence[str] = (), writing: bool = False
) -> errors.MergeGuardError | None:
    """Return the error that says what ``cause`` means, ``None`` where it is a bug or one of ours already."""
    if isinstance(cause, errors.MergeGuardError):
        return None
    cause = getattr(cause, "orig", None) or cause
    known = (*secrets, *hush.passwords(target))
    where = hush.scrub(hush.masked(target), secrets)
    if (refusal := _refusal(cause)) is not None:
        return refusal.error(where, hush.scrub(refusal.words, known))
    failure = _failure(cause, target, writing=writing)
    if failure is None:
        return None
    quoted = _quoted(hush.scrub(_text(cause), known))
    error = errors.WriteFailed if writing and failure.error is errors.CannotCheck else failure.error
    hint = _WRITE_GRANT_HINT if writing and failure is _DENIED else failure.hint
    return error(f"{where}: {failure.words}{quoted}", hint=hint)


def is_outage(cause: BaseException) -> bool:
    """Say whether a driver raised this because its database is away, full or not to be written, whoever asks."""
    cause = getattr(cause, "orig", None) or cause
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _SQLITE_AWAY
    if _refusal(cause) is not None:
        return False
    root = type(cause).__module__.partition(".")[0]
    return (root == "sqlalchemy" or root in _DRIVERS) and _failure(cause, "", writing=False) in _AWAY


def is_refused_data(cause: BaseException) -> bool:
    """Say whether a driver raised this because of what was written before: a constraint, a range, a trigger."""
    cause = getattr(cause, "orig", None) or cause
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _SQLITE_DATA
    if type(cause).__module__.partition(".")[0] not in _DRIVERS:
        return False
    if (refusal := _refusal(cause)) is not None:
        return refusal.is_lasting
    return (_code(cause, _text(cause)) or "").startswith(_STATES_OF_DATA)


def _refusal(cause: BaseException) -> refusals.Refusal | None:
    """Return what our own SQL said through a driver, ``None`` where it was not ours."""
    is_drivers = type(cause).__module__.partition(".")[0] in _DRIVERS
    return refusals.read(_line(_text(cause))) if is_drivers else None


def _failure(cause: BaseException, target: str, *, writing: bool) -> _Failure | None:
    # A library that loads the driver manager by itself reports its absence as an OSError.
    if isinstance(cause, ImportError) or (isinstance(cause, OSError) and "libodbc" in str(cause)):
        return _of_import(ImportError(*cause.args, name=getattr(cause, "name", None)))
    if isinstance(cause, OSError):
        return _of_os(cause)
    root = type(cause).__module__.partition(".")[0]
    if root == "sqlalchemy":
        return _of_sqlalchemy(cause)
    if root not in _DRIVERS:
        return None
    return _of_driver(cause, target, writing=writing)


def _of_import(cause: ImportError) -> _Failure | None:
    """Name the remedy for a driver that is not there; any other failed import is a bug."""
    name = "pyodbc" if "libodbc" in str(cause) else (cause.name or "").partition(".")[0]
    if name not in _REMEDIES:
        return None
    words, hint = _REMEDIES[name]
    return _Failure(errors.MissingExtra, words, hint)


def _of_os(cause: OSError) -> _Failure:
    if cause.errno == errno.ENOSPC:
        return _FULL
    return next((failure for kind, failure in _OS if isinstance(cause, kind)), _UNREADABLE)


def _of_sqlalchemy(cause: BaseException) -> _Failure | None:
    """Tell what the user wrote wrong in a URL; every other SQLAlchemy error without a driver's inside is a bug."""
    name = type(cause).__name__
    if name == "NoSuchModuleError":
        words = "this kind of database or driver is not known"
        return _Failure(errors.UsageError, words, "use sqlite, postgresql or mssql+pyodbc")
    if name == "ArgumentError":
        return _Failure(errors.UsageError, "this is not a database URL", "write it as dialect://user@host/database")
    return _BUSY_SERVER if name == "TimeoutError" else None


def _of_driver(cause: BaseException, target: str, *, writing: bool) -> _Failure | None:
    text = _text(cause)
    by_code = _by_number(text) or _by_text(text, _NO_DRIVER, _CERTIFICATE) or _by_state(cause, text)
    found = by_code or _by_sqlite(cause, text, target) or _by_text(text)
    if found is not None:
        return found
    if _code(cause, text) is None and type(cause).__name__ in _BUGS:
        return None
    words = "the write failed and was rolled back" if writing else "the database reported an error"
    return _Failure(errors.CannotCheck, words)


def _by_number(text: str) -> _Failure | None:
    numbers = {int(first or second) for first, second in _RECORD.findall(text)}
    return next((failure for number, failure in _SQL_SERVER.items() if number in numbers), None)


def _by_state(cause: BaseException, text: str) -> _Failure | None:
    state = _code(cause, text)
    if state == "HYT00":  # ODBC has one state for a slow login and for a slow statement
        return _REFUSED if "login" in text.lower() else _TIMEOUT
    return _SQLSTATES.get(state or "")


def _code(cause: BaseException, text: str) -> str | None:
    """Return the SQLSTATE of a psycopg, ADBC, pyodbc or arrow-odbc exception."""
    state = getattr(cause, "sqlstate", None) or next(iter(cause.args), None)
    if isinstance(state, str) and re.fullmatch(r"[0-9A-Z]{5}", state):
        return state
    match = _STATE.search(text)
    return match and (match[1] or match[2])


def _by_sqlite(cause: BaseException, text: str, target: str) -> _Failure | None:
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_CANTOPEN or "unable to open database file" in text.lower():
        if _file(target).exists():
            return _Failure(errors.PermissionDenied, "the file cannot be opened", "check the mode of file and folder")
        return _Failure(errors.TargetNotFound, "the file does not exist", "check the path")
    return _SQLITE.get(code)


def _by_text(text: str, *wanted: _Failure) -> _Failure | None:
    return next((f for pattern, f in _TEXTS if (not wanted or f in wanted) and pattern.search(text)), None)


def _file(target: str) -> Path:
    """Return the file behind a sqlite URL or path."""
    _, _, path = target.rpartition("://")
    return Path(os.fsdecode(path.partition("?")[0].removeprefix("/") if "://" in target else path))


def _text(cause: BaseException) -> str:
    """Return the driver's own words; pyodbc keeps them behind the SQLSTATE."""
    if len(cause.args) == 2 and isinstance(cause.args[1], str) and not isinstance(cause, OSError):
        return cause.args[1]
    return str(cause)


def _quoted(text: str) -> str:
    """Return the driver's first line as a quotation."""
    line = _line(text)
    return f" ({line[:300]})" if line else ""


def _line(text: str) -> str:
    """Return the driver's first line, without the names of the layers it came through."""
    text = text.rpartition("Message: ")[2]  # arrow-odbc says first which function failed
    return next((line.strip() for line in _NOISE.sub("", text).splitlines() if line.strip()), "")
