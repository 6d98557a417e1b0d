"""What drivers and the operating system raise comes out in words for a DBA, with the right class and no password."""

from __future__ import annotations

import errno
import gzip
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote_plus

import pytest
import sqlalchemy as sa
from hypothesis import assume, given
from hypothesis import strategies as st

from mergeguard import errors
from mergeguard.storage.failures import as_error, translated

WRONG = "Geheim123"
TARGET = "mssql+pyodbc://reader:Geheim123@db/cmdb"


def driver_error(module: str, name: str, *args: object, **attributes: object) -> Exception:
    """Make an exception as a driver that is not installed here would raise it."""
    kind = type(name, (Exception,), {"__module__": module})
    error = kind(*args)
    for key, value in attributes.items():
        setattr(error, key, value)
    return error


def pyodbc_error(state: str, text: str, number: int = 0, name: str = "Error") -> Exception:
    words = f"[{state}] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]{text} ({number}) (SQLExecDirectW)"
    return driver_error("pyodbc", name, state, words)


def arrow_error(state: str, text: str, number: int = 0) -> Exception:
    words = f"ODBC emitted an error calling 'SQLExecDirect':\nState: {state}, Native error: {number}, Message: {text}"
    return driver_error("arrow_odbc.error", "Error", words)


SQL_SERVER = [
    ("42000", 1205, errors.Locked), ("42000", 1222, errors.Locked), ("HY000", 3960, errors.Locked),
    ("28000", 18456, errors.LoginFailed), ("28000", 18488, errors.LoginFailed), ("42000", 4060, errors.TargetNotFound),
    ("42000", 229, errors.PermissionDenied), ("42000", 230, errors.PermissionDenied),
    ("42S02", 208, errors.UnknownSchema),
    ("42S22", 207, errors.UnknownSchema), ("42000", 102, errors.ProfileError), ("08S01", 10054, errors.ConnectionLost),
    ("08001", 2, errors.ConnectFailed), ("08S01", 20009, errors.ConnectFailed), ("IM002", 0, errors.MissingExtra),
    ("HYT01", 0, errors.ConnectFailed), ("42000", 9002, errors.CannotCheck), ("42000", 40613, errors.ConnectFailed),
    ("22003", 8115, errors.CannotCheck),
]  # fmt: skip


@pytest.mark.parametrize(("state", "number", "expected"), SQL_SERVER)
@pytest.mark.parametrize("make", [pyodbc_error, arrow_error])
def test_sql_server_says_it_by_number(
    make: Callable[..., Exception], state: str, number: int, expected: type[errors.MergeGuardError]
) -> None:
    error = as_error(make(state, "Something (12) went wrong.", number), TARGET)
    assert type(error) is expected
    assert error.hint or expected is errors.CannotCheck
    assert "Something (12) went wrong." in error.message
    assert "[Microsoft]" not in error.message
    assert error.message.startswith("mssql+pyodbc://reader:***@db/cmdb: ")


def test_a_missing_database_hides_behind_a_failed_login() -> None:
    text = (
        "[28000] [Microsoft][ODBC][SQL Server]Login failed for user 'a'. (18456) (SQLDriverConnect); "
        '[28000] [Microsoft][ODBC][SQL Server]Cannot open database "x" requested by the login. (4060)'
    )
    assert isinstance(as_error(driver_error("pyodbc", "InterfaceError", "28000", text), TARGET), errors.TargetNotFound)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("SSL Provider: [certificate verify failed:self-signed certificate]", "TrustServerCertificate=yes"),
        ("[unixODBC][Driver Manager]Can't open lib 'x' : file not found", "msodbcsql18"),
    ],
)
def test_the_hint_names_the_remedy(text: str, hint: str) -> None:
    error = as_error(pyodbc_error("08001", text), TARGET)
    assert error is not None
    assert hint in str(error.hint)


def test_a_slow_login_is_not_a_slow_statement() -> None:
    assert isinstance(as_error(pyodbc_error("HYT00", "Login timeout expired"), TARGET), errors.ConnectFailed)
    assert type(as_error(pyodbc_error("HYT00", "Query timeout expired"), TARGET)) is errors.CannotCheck


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("28P01", errors.LoginFailed), ("3D000", errors.TargetNotFound), ("42501", errors.PermissionDenied),
        ("42P01", errors.UnknownSchema), ("42703", errors.UnknownSchema), ("40P01", errors.Locked),
        ("55P03", errors.Locked), ("57P01", errors.ConnectionLost), ("57P03", errors.ConnectFailed),
        ("08006", errors.ConnectionLost), ("25006", errors.PermissionDenied), ("42601", errors.ProfileError),
        ("XX001", errors.CannotCheck),
    ],
)  # fmt: skip
@pytest.mark.parametrize("module", ["psycopg.errors", "adbc_driver_manager"])
def test_sqlstates_of_postgresql(module: str, state: str, expected: type[errors.MergeGuardError]) -> None:
    cause = driver_error(module, "OperationalError", "etwas ging schief", sqlstate=state)
    assert type(as_error(cause, "postgresql://db/cmdb")) is expected
    wrapped = sa.exc.OperationalError("SELECT 'Geheim123'", {"a": "Geheim123"}, cause)
    found = as_error(wrapped, "postgresql://db/cmdb")
    assert type(found) is expected
    assert "Geheim123" not in str(found)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "merges.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE merges (a)")
    return path


def sqlite_failure(path: Path, sql: str, **options: object) -> errors.MergeGuardError:
    def run() -> None:
        with translated(str(path)), closing(sqlite3.connect(path, **options)) as connection:  # type: ignore[call-overload]
            connection.execute(sql)

    with pytest.raises(errors.MergeGuardError) as caught:
        run()
    return caught.value


def test_sqlite_says_it_by_code(database: Path, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, and long enough to look at" * 40)
    assert type(sqlite_failure(tmp_path / "text.db", "SELECT * FROM merges")) is errors.NotADatabase
    assert type(sqlite_failure(tmp_path / "no" / "where.db", "SELECT 1")) is errors.TargetNotFound
    assert type(sqlite_failure(database, "SELECT * FROM other")) is errors.UnknownSchema
    assert type(sqlite_failure(database, "SELECT b FROM merges")) is errors.UnknownSchema
    assert type(sqlite_failure(database, "SELEC b")) is errors.ProfileError
    read_only = sqlite_failure(f"file:{database}?mode=ro", "DELETE FROM merges", uri=True)  # type: ignore[arg-type]
    assert type(read_only) is errors.PermissionDenied


def test_a_locked_sqlite_file(database: Path) -> None:
    with closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert type(sqlite_failure(database, "SELECT * FROM merges", timeout=0)) is errors.Locked


def test_a_folder_is_not_opened_as_a_database(tmp_path: Path) -> None:
    assert type(sqlite_failure(tmp_path, "SELECT 1")) is errors.PermissionDenied


def test_wrong_use_of_sqlite_is_a_bug(database: Path) -> None:
    connection = sqlite3.connect(database)
    connection.close()
    with pytest.raises(sqlite3.ProgrammingError), translated(str(database)):
        connection.execute("SELECT 1")


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file"), errors.TargetNotFound),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), errors.TargetNotFound),
        (PermissionError(errno.EACCES, "Permission denied"), errors.PermissionDenied),
        (IsADirectoryError(errno.EISDIR, "Is a directory"), errors.UnreadableFile),
        (gzip.BadGzipFile("Not a gzipped file"), errors.UnreadableFile),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), errors.ConnectFailed),
        (ConnectionResetError(errno.ECONNRESET, "reset"), errors.ConnectionLost),
        (OSError(errno.EIO, "Input/output error"), errors.UnreadableFile),
        (OSError(errno.ENOSPC, "No space left on device"), errors.CannotCheck),
        (OSError("cannot load library: libodbc.so.2: cannot open shared object file"), errors.MissingExtra),
    ],
)
def test_the_operating_system(cause: OSError, expected: type[errors.MergeGuardError]) -> None:
    assert type(as_error(cause, "merges.csv")) is expected


@pytest.mark.parametrize(
    ("cause", "hint"),
    [
        (
            ImportError("libodbc.so.2: cannot open shared object file: No such file or directory"),
            "apt-get install unixodbc",
        ),
        (ModuleNotFoundError("No module named 'pyodbc'", name="pyodbc"), "unixodbc"),
        (ModuleNotFoundError("No module named 'psycopg'", name="psycopg"), "pip install 'mergeguard[postgresql]'"),
        (ModuleNotFoundError("No module named 'pyarrow.parquet'", name="pyarrow.parquet"), "mergeguard[parquet]"),
    ],
)
def test_a_missing_driver_comes_with_its_remedy(cause: ImportError, hint: str) -> None:
    error = as_error(cause, TARGET)
    assert type(error) is errors.MissingExtra
    assert hint in str(error.hint)


@pytest.mark.parametrize(
    "cause",
    [
        TypeError("no"), KeyError("no"), ModuleNotFoundError("No module named 'x'", name="x"),
        sa.exc.InvalidRequestError("no"), sa.exc.CompileError("no"),
        sqlite3.ProgrammingError("wrong number of bindings"),
        driver_error("psycopg", "InterfaceError", "cursor is closed"), errors.Locked("ours already"),
    ],
)  # fmt: skip
def test_bugs_pass_through_untouched(cause: Exception) -> None:
    assert as_error(cause, TARGET) is None
    with pytest.raises(type(cause)) as caught, translated(TARGET):
        raise cause
    assert caught.value is cause


def test_what_the_user_wrote_wrong_in_a_url() -> None:
    for text in ("nothing://db/cmdb", "postgresql+nodriver://db/cmdb"):
        with pytest.raises(errors.UsageError), translated(text):
            sa.create_engine(text)


def test_a_failed_write_says_that_it_was_rolled_back() -> None:
    error = as_error(pyodbc_error("23000", "Violation of PRIMARY KEY constraint.", 2627), TARGET, writing=True)
    assert type(error) is errors.WriteFailed
    assert "rolled back" in error.message
    denied = as_error(pyodbc_error("42000", "CREATE TABLE permission denied", 262), TARGET, writing=True)
    assert type(denied) is errors.PermissionDenied
    assert "INSERT" in str(denied.hint)


# --- A real server. ---


def postgres_failure(url: str, *statements: str) -> errors.MergeGuardError:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool, hide_parameters=True)

    def run() -> None:
        with translated(url), engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    with pytest.raises(errors.MergeGuardError) as caught:
        run()
    return caught.value


def test_postgresql_itself(postgres_url: str, postgres_stranger_url: str) -> None:
    url = sa.make_url(postgres_url)
    wrong = {"wrong login": {"password": WRONG}, "no database": {"database": "nowhere"}}
    wrong |= {"closed port": {"host": "127.0.0.1", "port": 1, "query": {}}}
    wrong |= {"no host": {"host": "no-such-host.invalid", "query": {}}}
    texts = [url.set(**change).render_as_string(hide_password=False) for change in wrong.values()]
    expected = [errors.LoginFailed, errors.TargetNotFound, errors.ConnectFailed, errors.ConnectFailed]
    assert [type(postgres_failure(text)) for text in texts] == expected
    assert type(postgres_failure(postgres_url, "SELECT 1 FROM nothing")) is errors.UnknownSchema
    assert type(postgres_failure(postgres_url, "SELECT nothing FROM pg_class")) is errors.UnknownSchema
    assert type(postgres_failure(postgres_url, "SELEC")) is errors.ProfileError
    assert type(postgres_failure(postgres_stranger_url, "SELECT * FROM pg_authid")) is errors.PermissionDenied
    killed = postgres_failure(postgres_url, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert type(killed) is errors.ConnectionLost


# --- No password, whatever the driver quotes. ---


@pytest.fixture
def quoting_driver() -> Iterator[Callable[[str], Exception]]:
    def make(text: str) -> Exception:
        return driver_error("pyodbc", "Error", "HY000", f"[HY000] [Microsoft]{text} (0) (SQLDriverConnect)")

    return make


@given(password=st.text(min_size=4, max_size=20) | st.text(";{}@%'\" +a1", min_size=4, max_size=9))
def test_no_translated_error_holds_a_password(password: str) -> None:
    braced = "{" + password.replace("}", "}}") + "}"
    encoded = quote_plus(f"DRIVER=x;UID=sa;PWD={braced};Encrypt=yes".encode("utf-8", "surrogatepass"))
    target = f"mssql+pyodbc:///?odbc_connect={encoded}"
    around = "cannot read DRIVER=x;UID=sa;PWD=***;Encrypt=yes or {***}"
    quoted = f"cannot read DRIVER=x;UID=sa;PWD={braced};Encrypt=yes or {password!r}"
    innocent = as_error(driver_error("pyodbc", "Error", "HY000", around), "mssql+pyodbc:///?odbc_connect=***")
    assume(password not in repr(innocent) + str(innocent.hint) + target + traceback_of(innocent))
    with pytest.raises(errors.CannotCheck) as caught, translated(target):
        raise driver_error("pyodbc", "Error", "HY000", quoted)
    error = caught.value
    for text in (str(error), repr(error), str(error.hint), error.message, str(error.args)):
        assert password not in text
    assert error.__cause__ is None
    assert error.__suppress_context__


def traceback_of(error: BaseException | None) -> str:
    return "" if error is None else "".join(traceback.format_exception_only(error))


def test_a_printed_traceback_holds_no_driver_message() -> None:
    with pytest.raises(errors.CannotCheck) as caught, translated(TARGET):
        raise driver_error("pyodbc", "Error", "HY000", "PWD=Geheim123")
    printed = "".join(traceback.format_exception(caught.value))
    assert "PWD=Geheim123" not in printed.replace('"PWD=Geheim123"', "")  # the line of this test


def test_importing_the_translation_loads_no_driver() -> None:
    drivers = "{'sqlalchemy', 'pyodbc', 'psycopg', 'pyarrow'}"
    code = f"import sys; import mergeguard.storage.failures; print({drivers} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
