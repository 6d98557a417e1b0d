"""What the event queue sends to SQL Server is parsed by Microsoft's own grammar, and what its modules do by a fake."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import subprocess
import sys
from types import ModuleType
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_places import SOURCES

from mergeguard.core.events import NO_SOURCE, Claim, Event, Failure, Lease, Parking, Queue, Ran
from mergeguard.errors import LeaseLost
from mergeguard.storage.queue import (
    mssql_batch,
    mssql_claiming,
    mssql_parking,
    mssql_reading,
    mssql_registering,
    mssql_sessions,
    mssql_tables,
)
from mergeguard.storage.queue.finishing import Finish
from mergeguard.storage.queue.mssql_lists import GIVEN, PARAMETERS, pieces
from mergeguard.storage.queue.mssql_sessions import Run

MODULES = (
    mssql_batch,
    mssql_claiming,
    mssql_parking,
    mssql_reading,
    mssql_registering,
    mssql_sessions,
    mssql_tables,
)
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
WORDS = ("SELECT ", "UPDATE ", "INSERT ", "DELETE ", "SET ", "WITH ", "CREATE ", "ALTER ", "IF ")


def written(module: ModuleType) -> list[str]:
    """Write every statement of a module; a table of parameters has as many columns as the statement names."""
    found = []
    for name, value in vars(module).items():
        for statement in value if isinstance(value, tuple) else (value,):
            if name.isupper() and name[0] != "_" and isinstance(statement, str) and statement.strip().startswith(WORDS):
                text = statement.replace("{timeout}", "1").replace("{where}", "")
                names = re.search(r"\{given\} AS \w+ \(([^)]*)\)", text)
                if names is not None:
                    types = ["bigint"] * len(names[1].split(","))
                    ((text, _),) = pieces(text, types, [[1] * len(types)])
                found.append(text)
    return found


STATEMENTS = [statement for module in MODULES for statement in written(module)]


def parse(sql: str) -> subprocess.CompletedProcess[str]:
    maxdop = shutil.which("maxdop", path=sys.executable.rpartition("/")[0]) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    command = [maxdop, "--parser-version", "2012"]
    return subprocess.run(
        command, input=sql.replace("?", "@p"), capture_output=True, text=True, check=False, timeout=60
    )


def test_every_statement_parses_as_transact_sql() -> None:
    assert len(STATEMENTS) > 55
    if parse("\nGO\n".join(STATEMENTS)).returncode != 0:
        broken = {sql: said for sql in STATEMENTS if (said := parse(sql).stderr)}
        pytest.fail("\n\n".join(f"{said}{sql}" for sql, said in broken.items()))


def test_the_parser_would_notice() -> None:
    assert parse("UPDATE TOP (1) mergeguard_chain WITH SET owner = 1").returncode != 0


def test_nothing_newer_or_forbidden_is_used() -> None:
    for statement in STATEMENTS:
        assert not re.search(r"\b(MERGE|NOLOCK|OPENJSON|STRING_AGG|GREATEST|OR\s+ALTER)\b", statement), statement


def test_a_claim_skips_rows_and_locks_by_writing() -> None:
    for hint in ("ROWLOCK", "UPDLOCK", "READPAST", "READCOMMITTEDLOCK"):
        assert hint in mssql_claiming.LOCK
    assert "UPDATE ready SET" in mssql_claiming.LOCK
    assert "OUTPUT" in mssql_claiming.LOCK


def test_rows_are_counted_in_every_session() -> None:
    """What a statement without values sets stays set in the session, and a batch counts the rows that it changed."""
    assert "SET NOCOUNT OFF" in mssql_sessions.SET_UP
    assert [one for one in STATEMENTS if "NOCOUNT ON" in one and "?" not in one] == []


def test_tables_that_were_dropped_by_hand_are_made_again_beside_their_sequences() -> None:
    made = [one for one in mssql_tables.TABLES if "CREATE SEQUENCE" in one]
    assert len(made) == 2
    for one in made:
        assert re.fullmatch(r"IF OBJECT_ID\(N'(\w+)', N'SO'\) IS NULL CREATE SEQUENCE \1 AS bigint .*", one)


class Asked:
    """A session that gives no chains, and knows of which answers the end was read."""

    def __init__(self) -> None:
        self.open: list[str] = []

    def __call__(self, statement: str, _values: object = ()) -> Asked:
        self.open.append(statement)
        return self

    def fetchall(self) -> list[object]:
        self.open.pop()
        return []


def test_a_claim_reads_all_that_it_wakes() -> None:
    """A driver cancels what it is still being told when its cursor goes, and the server takes the statement back."""
    asked = Asked()
    assert mssql_claiming.claim(cast("Run", asked), Queue.FAST, "w", dt.timedelta(1), events=9, chains=9) is None
    assert asked.open == []


def test_what_frees_a_chain_is_not_what_locks_it() -> None:
    assert "mergeguard_event" not in mssql_claiming.MINE + mssql_claiming.EXPIRED
    assert "mergeguard_event" in mssql_claiming.FREE


@given(count=st.integers(1, 2500), width=st.integers(1, 6))
def test_a_list_goes_in_pieces_that_the_server_takes(count: int, width: int) -> None:
    rows = [tuple(range(at, at + width)) for at in range(count)]
    sent = list(pieces(f"x ? {GIVEN} ?", ["int"] * width, rows, ("before",), ("after",)))
    assert all(len(values) <= PARAMETERS + 2 and text.count("?") == len(values) for text, values in sent)
    assert all((values[0], values[-1]) == ("before", "after") for _, values in sent)
    flat = [value for _, values in sent for value in values[1:-1]]
    assert flat == [value for row in rows for value in row]


def test_a_batch_is_written_in_statements_of_which_each_must_find_its_rows() -> None:
    """What is sent at the end of a batch, as a fake driver hears it."""
    events = tuple(Event(number, SOURCES[0], 0, Queue.FAST, 3, NOW, 0, b"abc") for number in (5, 6, 7))
    alone = (Event(8, NO_SOURCE, 0, Queue.FAST, 3, NOW, 0, b"abc"),)
    leases = (Lease(1, 4, events), Lease(2, 9, events[:1]), Lease(-8, 1, alone))
    ran = [
        Ran(leases[0], 1, Failure(6, "E", "m", None)),
        Ran(leases[1], 0, Failure(5, "E", "m", dt.timedelta(microseconds=1500))),
        Ran(leases[2], 1),
    ]
    driver = Driver()
    mssql_batch.finish(driver, Finish.of(Claim("w", Queue.FAST, leases, NOW), ran))
    buried, deleted, tried, fenced, ended, counted = driver.sent
    assert buried[1] == ("E", "m", "its tries are spent", 1, 1, 6)
    assert deleted[1] == (1, 5, 6, -8, 8, 8)
    assert tried[1] == (2, 5)
    assert fenced[1] == (1, 4, 6, 1, -1, 2, 9, 0, 0, 2, "w")
    assert ended[1] == (-8, 1, "w")
    assert counted[1][:8] == (-3, -9, 0, 2, 1, 3, 1, 1)


def test_a_parked_event_is_noted_anew_and_its_chain_waits_for_ever() -> None:
    events = tuple(Event(number, SOURCES[0], 0, Queue.FAST, 3, NOW, 0, b"abc") for number in (5, 6))
    lease = Lease(1, 4, events)
    why = Parking(6, (SOURCES[1], SOURCES[2]), "s" * 60, "m")
    driver = Driver()
    mssql_batch.finish(driver, Finish.of(Claim("w", Queue.FAST, (lease,), NOW), [Ran(lease, 1, parked=why)]))
    deleted, unparked, parked, fenced, counted = driver.sent
    assert deleted[1] == (1, 5, 5)
    assert unparked == (mssql_batch.UNPARK, (1,))
    assert parked[1] == ("s" * 40, f"{SOURCES[1]} {SOURCES[2]}", "m", 1, 6)
    assert fenced[1] == (1, 4, 5, 1, -2, "w")
    assert "k.pause = -2 THEN CONVERT(datetime2(6), '9999-12-31T00:00:00', 126)" in fenced[0]
    assert counted[1][:8] == (-1, -3, 0, 1, 0, 0, 0, 1)


@pytest.mark.parametrize("fails", range(6))
def test_a_statement_that_finds_too_few_rows_is_a_lost_lease(fails: int) -> None:
    events = tuple(Event(number, SOURCES[0], 0, Queue.FAST, 3, NOW, 0, b"abc") for number in (5, 6))
    leases = (Lease(1, 4, events), Lease(-8, 1, (Event(8, NO_SOURCE, 0, Queue.FAST, 3, NOW, 0, b"abc"),)))
    ran = [Ran(leases[0], 1, Failure(6, "E", "m", None if fails % 2 else dt.timedelta(1))), Ran(leases[1], 1)]
    driver = Driver(fails)
    finish = Finish.of(Claim("w", Queue.FAST, leases, NOW), ran)
    if fails == 5:
        mssql_batch.finish(driver, finish)
        assert len(driver.sent) == 5
        return
    with pytest.raises(LeaseLost):
        mssql_batch.finish(driver, finish)
    assert len(driver.sent) == fails + 1


class Driver:
    """Finds what each statement has to find, but for one."""

    def __init__(self, fails: int = -1) -> None:
        self.sent: list[tuple[str, tuple[object, ...]]] = []
        self.fails = fails
        self.rowcount = 0

    def cursor(self) -> Driver:
        return self

    def execute(self, statement: str, *values: object) -> None:
        self.sent.append((statement, values))
        ranges = statement.count("CAST(? AS bigint)") // 3 if "DELETE e" in statement else 0
        spans = [values[at + 2] - values[at + 1] + 1 for at in range(0, 3 * ranges, 3)]  # type: ignore[operator]
        width = {"UPDATE e": 2, "UPDATE c": 5, "DELETE c": 2}.get(statement.strip()[:8])
        rows = statement.count("CAST(? AS bigint)") // width if width else 1
        self.rowcount = sum(spans) if ranges else rows
        if len(self.sent) - 1 == self.fails:
            self.rowcount -= 1

    def close(self) -> None: ...
