"""What our triggers and procedures refuse becomes an error of ours, by its reason, through every driver."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from mergeguard import errors
from mergeguard.processor.failures import Verdict, verdict_of_commit, verdict_of_handler
from mergeguard.storage.failures import as_error, is_outage, is_refused_data, translated
from mergeguard.storage.guard import mssql as guard_mssql
from mergeguard.storage.guard import parts as guard_parts
from mergeguard.storage.merging import refusals

SQL = Path(__file__).parents[2] / "sql"
TARGET = "mssql+pyodbc://reader:Geheim123@db/cmdb"
WAIT = {"locked", "moved"}
SAID = re.compile(r"mergeguard: ([a-z-]+): |\brefuse\(\s*'([a-z-]+)'")
KINDS = {
    "stale": errors.Stale,
    "undone": errors.PlanRefused,
    "unknown-run": errors.JournalDamaged,
    "journal-damaged": errors.JournalDamaged,
    "unsupported": errors.Unsupported,
    "usage": errors.UsageError,
    "isolation": errors.UsageError,
    "write": errors.WriteFailed,
    **dict.fromkeys(WAIT, errors.Locked),
}


def numbered() -> dict[str, int]:
    """Return a number for every reason for which SQL Server's scripts and its guard throw."""
    found: dict[str, int] = {}
    for file in sorted((SQL / "mssql").glob("*.sql")):
        text = file.read_text()
        for throw in re.finditer(r"THROW (5\d{4}), ", text):
            after = re.match(r"N'mergeguard: ([a-z-]+): ", text[throw.end() :])
            reason = after or re.findall(r"N'mergeguard: ([a-z-]+): ", text[: throw.start()])[-1:]
            found.setdefault(reason[1] if isinstance(reason, re.Match) else reason[0], int(throw[1]))
    return dict(guard_mssql.ERRORS.items()) | found


NUMBERS = numbered()


def made(module: str, name: str, *args: object, **attributes: object) -> Exception:
    error: Exception = type(name, (Exception,), {"__module__": module})(*args)
    for key, value in attributes.items():
        setattr(error, key, value)
    return error


def pyodbc_said(reason: str, words: str) -> Exception:
    number = NUMBERS.get(reason, 51999)
    head = "[42000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]"
    return made(
        "pyodbc", "ProgrammingError", "42000", f"{head}mergeguard: {reason}: {words} ({number}) (SQLExecDirectW)"
    )


def psycopg_said(reason: str, words: str) -> Exception:
    text = f"mergeguard: {reason}: {words}\nCONTEXT:  PL/pgSQL function mergeguard.refuse(text) line 3 at RAISE"
    return made("psycopg.errors", "RaiseException", text, sqlstate="P0001")


def sqlite_said(reason: str, words: str) -> Exception:
    error = sqlite3.IntegrityError(f"mergeguard: {reason}: {words}")
    error.sqlite_errorcode = sqlite3.SQLITE_CONSTRAINT_TRIGGER
    return error


DRIVERS = [pyodbc_said, psycopg_said, sqlite_said]


def test_every_reason_that_the_scripts_give_is_known_and_no_other() -> None:
    said = {one or other for file in SQL.rglob("*.sql") for one, other in SAID.findall(file.read_text())}
    said |= set(guard_parts.REFUSALS)
    assert said - refusals.REASONS == set()
    assert refusals.REASONS - said == set()
    assert set(range(51911, 51922)) | {51924, 51925, 51926, 51930, *range(51940, 51945)} <= set(NUMBERS.values())


@pytest.mark.parametrize("reason", sorted(refusals.REASONS))
@pytest.mark.parametrize("said", DRIVERS)
def test_a_refusal_is_the_error_of_its_reason(said: Callable[[str, str], Exception], reason: str) -> None:
    cause = said(reason, "it cannot be (a -> b)")
    wrapped = sa.exc.ProgrammingError("EXEC x", {}, cause)
    for one in (cause, wrapped):
        error = as_error(one, TARGET, writing=True)
        assert type(error) is KINDS.get(reason, errors.MergeRefused)
        said_so = f"the database refused it (mergeguard: {reason}: it cannot be (a -> b))"
        assert error.message == f"mssql+pyodbc://reader:***@db/cmdb: {said_so}"
        if isinstance(error, errors.MergeRefused):
            assert error.reason == reason


@pytest.mark.parametrize("reason", sorted(refusals.REASONS))
def test_what_sql_server_refuses_is_the_fault_of_the_data_and_no_outage(reason: str) -> None:
    cause = pyodbc_said(reason, "because somebody wrote (4060); (18456)")
    assert is_refused_data(cause) == (reason not in WAIT)
    assert not is_outage(cause)
    expected = Verdict.CLASH if reason in WAIT else Verdict.FAILED
    assert verdict_of_handler(cause) is expected
    raised = errors.WriteFailed("the batch was not committed")
    raised.__cause__ = cause
    assert verdict_of_commit(raised) is expected


@given(reason=st.sampled_from(sorted(refusals.REASONS)), words=st.text("ab (->)%:;'[]Message0123456789", min_size=1))
def test_a_line_is_read_whatever_its_words_are(reason: str, words: str) -> None:
    found = refusals.read(f"mergeguard: {reason}: {words.strip()}x")
    assert found == refusals.Refusal(reason, f"{words.strip()}x")
    assert refusals.read(f"mergeguard: {reason}: {words.strip()}x (51911)") == found


@pytest.mark.parametrize(
    "line",
    ["", "mergeguard: ", "mergeguard: cycle", "mergeguard: tomorrow: no", "no mergeguard: cycle: x", "MergeGuard"],
)
def test_what_is_not_ours_is_left_to_the_server_s_own_codes(line: str) -> None:
    assert refusals.read(line) is None
    error = as_error(made("psycopg.errors", "RaiseException", line, sqlstate="P0001"), "postgresql://db/cmdb")
    assert type(error) is errors.CannotCheck


def test_words_of_an_exception_that_no_driver_raised_are_nobody_s_refusal() -> None:
    assert as_error(RuntimeError("mergeguard: cycle: x"), TARGET) is None


def test_a_password_in_a_refusal_is_not_told() -> None:
    error = as_error(psycopg_said("never-merge", "ask Geheim123"), TARGET)
    assert isinstance(error, errors.MergeRefused)
    assert "Geheim123" not in f"{error} {error.hint}"


def test_a_real_trigger_of_sqlite(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.executescript(
            "CREATE TABLE t (a); CREATE TRIGGER g BEFORE INSERT ON t BEGIN "
            "SELECT RAISE(ABORT, 'mergeguard: self-merge: a guid would be merged into itself'); END"
        )
        with pytest.raises(errors.MergeRefused, match="merged into itself") as refused, translated("a.db"):
            connection.execute("INSERT INTO t VALUES (1)")
    assert refused.value.reason == "self-merge"


def test_a_real_trigger_of_postgresql(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url, poolclass=sa.pool.NullPool)
    raised = "DO $$ BEGIN RAISE EXCEPTION 'mergeguard: locked: a repair is under way' USING ERRCODE = '22000'; END $$"
    with pytest.raises(errors.Locked, match="a repair is under way"), translated(postgres_url):  # noqa: SIM117 - inside
        with engine.connect() as connection:
            connection.exec_driver_sql(raised)
