"""Opens what a user calls a target: a database URL, a database file, a CSV, TSV or Parquet file.

Only the module of the target's own kind is imported. The text of a target may hold a password, so every message here
shows it masked and no exception of a parser gets out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergeguard.errors import MissingExtra, UsageError
from mergeguard.storage.profile import Profile
from mergeguard.storage.secrets import masked
from mergeguard.storage.source import Options, Source

if TYPE_CHECKING:
    import sqlalchemy as sa

SUPPORTED = (
    "a URL (sqlite:///file.db, postgresql://user@host/database, mssql+pyodbc://user@host/database) or a file "
    "(.db, .sqlite, .sqlite3, .csv, .tsv, .csv.gz, .tsv.gz, .parquet)"
)
_SQLITE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_TEXT_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_SQLITE_MAGIC = b"SQLite format 3\0"
_ASYNCHRONOUS = frozenset({"aiosqlite", "asyncpg", "psycopg_async", "aioodbc"})
_DEFAULT = Options()


def is_file_target(target: str) -> bool:
    """Say whether a target is a file of rows (CSV, TSV, Parquet) rather than a database."""
    return "://" not in target and target.lower().endswith((*_TEXT_SUFFIXES, ".parquet"))


def open_target(target: str, profile: Profile, options: Options = _DEFAULT) -> Source:
    """Return the source of a target; nothing is opened yet, save the first bytes of a file of unknown suffix.

    Args:
        target: a SQLAlchemy URL or the path of a file.
        profile: how the target spells what is to be read.
        options: ``options.password`` takes the place of any password in the URL.

    Raises:
        UsageError: no kind of target that is supported; no password stands in the message.
        MissingExtra: the kind is known but its package is not installed.
    """
    if "://" in target:
        _require_text(target)
        return _open_url(_url(target), target, profile, options)
    return _open_file(target, profile, options)


def _require_text(target: str) -> None:
    """Refuse a name that no driver can be told: one of a file whose bytes are no text."""
    try:
        target.encode()
    except UnicodeEncodeError:
        shown = target.encode("utf-8", "backslashreplace").decode()
        raise UsageError(f"{shown}: the name is not UTF-8 text", hint="rename the file, or make a link to it") from None


def resolve_password(env_name: str | None, file: Path | None) -> str | None:
    """Return the password from an environment variable or from the first line of a file; ``None`` with neither.

    The file should be readable by its owner alone (mode 600); everybody who can read it can log in.

    Raises:
        UsageError: both are given, the variable is not set, or the file cannot be read.
    """
    if env_name is not None and file is not None:
        raise UsageError("a password comes from a variable or from a file", hint="give one of the two")
    if env_name is not None:
        password = os.environ.get(env_name)
        if password is None:
            raise UsageError(f"the environment variable {env_name} is not set", hint="set it to the password")
        return password
    return None if file is None else _first_line(file)


def with_password(url: sa.URL, password: str) -> sa.URL:
    """Return a URL with this password in place of any other, in ``odbc_connect`` too."""
    from mergeguard.storage.mssql import odbc as mssql_odbc  # noqa: PLC0415 - needed where a password is given

    whole = url.query.get("odbc_connect")
    if whole is not None:
        text = mssql_odbc.with_password(whole if isinstance(whole, str) else whole[-1], password)
        return url.update_query_dict({"odbc_connect": text})
    others = {key: value for key, value in url.query.items() if key.lower() not in {"password", "pwd"}}
    return url.set(password=password, query=others)


def _first_line(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig").split("\n", 1)[0].removesuffix("\r")
    except OSError as error:
        raise UsageError(f"the password file {file} cannot be read: {error.strerror}", hint="check the path") from None
    except ValueError:
        raise UsageError(f"the password file {file} is not UTF-8 text", hint="write it as UTF-8") from None


def _url(target: str) -> sa.URL:
    import sqlalchemy as sa  # noqa: PLC0415 - not for a help page, not for a CSV file

    if target.startswith("postgres://"):  # as libpq spells it
        target = "postgresql" + target.removeprefix("postgres")
    try:
        return sa.make_url(target)
    except (sa.exc.ArgumentError, ValueError):  # the ValueError quotes what stands where the port should
        raise UsageError(
            f"{masked(target)} is not a database URL",
            hint="write dialect://user@host:port/database, with @ : / ? in a password percent-encoded, "
            "or better leave the password out and use --password-env",
        ) from None


def _open_url(url: sa.URL, target: str, profile: Profile, options: Options) -> Source:
    backend, _, driver = url.drivername.partition("+")
    opener = _DIALECTS.get(backend)
    if opener is None:
        raise UsageError(f"{masked(target)}: this kind of database is not known", hint=f"a target is {SUPPORTED}")
    if driver in _ASYNCHRONOUS:
        raise UsageError(f"{masked(target)}: the driver is asynchronous", hint=f"leave the driver out: {backend}://")
    if options.password is not None and backend != "sqlite":
        url = with_password(url, options.password)
    return opener(url, driver, profile, options)


def _open_sqlite(url: sa.URL, _driver: str, profile: Profile, options: Options) -> Source:
    from mergeguard.storage.sqlite.source import SqliteSource  # noqa: PLC0415 - a dialect is imported when it is asked for

    return SqliteSource(url, profile, options)


def _open_postgresql(url: sa.URL, driver: str, profile: Profile, options: Options) -> Source:
    from mergeguard.storage.postgresql.source import PostgresqlSource  # noqa: PLC0415 - as above

    if not driver:
        if find_spec("psycopg") is None:
            raise MissingExtra("PostgreSQL needs psycopg", hint="pip install 'mergeguard[postgresql]'")
        url = url.set(drivername="postgresql+psycopg")
    return PostgresqlSource(url, profile, options)


def _open_mssql(url: sa.URL, driver: str, profile: Profile, options: Options) -> Source:
    from mergeguard.storage.mssql.source import MssqlSource  # noqa: PLC0415 - as above

    if driver not in {"", "pyodbc"}:
        raise UsageError("SQL Server is read through pyodbc", hint="write mssql+pyodbc://user@host/database")
    return MssqlSource(url.set(drivername="mssql+pyodbc"), profile, options)


_DIALECTS: dict[str, Callable[[Any, str, Profile, Options], Source]] = {
    "sqlite": _open_sqlite,
    "postgresql": _open_postgresql,
    "mssql": _open_mssql,
}


def _open_file(target: str, profile: Profile, options: Options) -> Source:
    name = target.lower()
    if name.endswith(_TEXT_SUFFIXES):
        from mergeguard.storage.files.source import FileSource  # noqa: PLC0415 - as above

        return FileSource(Path(target), profile, options)
    if name.endswith(".parquet"):
        from mergeguard.storage.files.parquet import ParquetSource  # noqa: PLC0415 - as above

        return ParquetSource(Path(target), profile, options)
    if name.endswith(_SQLITE_SUFFIXES) or _begins_as_sqlite(target):
        import sqlalchemy as sa  # noqa: PLC0415 - as above

        _require_text(target)
        return _open_sqlite(sa.URL.create("sqlite", database=target), "", profile, options)
    shown = masked(target) or "an empty text"
    raise UsageError(f"{shown} is no target that MergeGuard knows", hint=f"a target is {SUPPORTED}")


def _begins_as_sqlite(target: str) -> bool:
    from mergeguard.storage.sqlite.file import read_without_closing  # noqa: PLC0415 - only for names that say nothing

    try:
        path = Path(target)
        return path.is_file() and read_without_closing(path, 0, len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    except (OSError, ValueError):  # the ValueError is a NUL or a lone surrogate in the name
        return False
