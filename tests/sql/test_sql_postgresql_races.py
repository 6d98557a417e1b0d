"""Merges by SQL, by Python and by hand under the guard, at the same time: no schedule of them closes a circle."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
import pytest
from hypothesis import strategies as st
from sql_world import ask, drop, install, opened, plain, reason_of

from mergeguard.integrity.guard import install_guard
from mergeguard.testing import Case, OwnMerge, PlainMerge, Sandbox, check_merges, rings
from mergeguard.testing.history import Outcome
from mergeguard.testing.rings import cases, forks
from mergeguard.testing.sandbox import SENTINEL
from mergeguard.testing.scheduler import Programs
from mergeguard.testing.tables import guid

SCHEDULES = 60
RAISED = (psycopg.errors.RaiseException,)


@pytest.fixture(scope="module")
def sandbox(postgres_url: str) -> Iterator[Sandbox]:
    with psycopg.connect(plain(postgres_url)) as connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {SENTINEL} ()")
    with Sandbox(postgres_url) as opened_one:
        install(opened_one.url, opened_one.profile)
        yield opened_one
        drop(postgres_url)


def by_function(connection: Any, old: str, new: str) -> None:
    """Merge in a transaction, whose level is brought to what the function takes."""
    connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    connection.execute("SELECT mergeguard.merge(%s, %s)", [old, new])
    connection.commit()


def by_hand(connection: Any, old: str, new: str) -> None:
    """Insert a row as a program does that knows nothing of us."""
    connection.execute("INSERT INTO merge (old, new) VALUES (%s, %s)", [old, new])
    connection.commit()


class Mixed(OwnMerge):
    """The merges of a case by turns: the first by SQL, the second by Python, and so on."""

    def __init__(self, sandbox: Sandbox, ways: tuple[Any, ...]) -> None:
        super().__init__(sandbox)
        self._ways = ways

    def begin(self, case: Case) -> Programs:
        programs = list(super().begin(case))
        level = case.level if by_hand in self._ways else "READ COMMITTED"
        sessions = self.sandbox.sessions(len(case.edges), level)
        for at, edge in enumerate(case.edges):
            way = self._ways[at % len(self._ways)]
            if way is not None:
                programs[at] = programs[at][0], partial(way, sessions[at], edge.old, edge.new)
        return programs

    def is_refusal(self, outcome: Outcome) -> bool:
        raised = (*RAISED, psycopg.errors.CheckViolation)
        return super().is_refusal(outcome) or isinstance(outcome.error, raised)


def test_no_schedule_of_rings_breaks_the_function(sandbox: Sandbox, pytestconfig: pytest.Config) -> None:
    schedules = 1000 if pytestconfig.getoption("--long") else SCHEDULES
    tally = check_merges(PlainMerge(sandbox, by_function, RAISED), drawn=rings(), schedules=schedules)

    assert tally.outcomes["made"] > schedules
    assert tally.waits > 0, "no schedule met a lock"


def test_no_schedule_with_references_and_exceptions_breaks_the_function(sandbox: Sandbox) -> None:
    tally = check_merges(PlainMerge(sandbox, by_function, RAISED), drawn=cases(), schedules=SCHEDULES)

    assert tally.outcomes["made"] > SCHEDULES / 2
    assert tally.outcomes["refused"] > 0


@pytest.mark.parametrize("ways", [(by_function,), (by_function, None)], ids=["two functions", "function and Python"])
def test_two_merges_do_not_deadlock_each_other_in_every_try(sandbox: Sandbox, ways: tuple[Any, ...]) -> None:
    mixed = Mixed(sandbox, ways)
    try:
        tally = check_merges(mixed, drawn=forks(), schedules=SCHEDULES)
    finally:
        mixed.close()

    assert tally.outcomes["made"] == 2 * tally.schedules, "nobody was told that it is locked"


@pytest.mark.parametrize("in_one_order", [True, False])
def test_a_further_try_holds_no_root_while_it_waits_for_what_comes_before_it(
    sandbox: Sandbox, in_one_order: bool
) -> None:
    first, old, new = sorted(map(guid, range(3)), key=str)
    beside = [first] if in_one_order else []
    held = "SELECT 1 FROM mergeguard.roots WHERE guid = %s FOR UPDATE NOWAIT"
    make = "INSERT INTO mergeguard.roots (guid, turn) VALUES (%s, 1) ON CONFLICT (guid) DO UPDATE SET turn = 1"
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(plain(sandbox.url)) as one,
        psycopg.connect(plain(sandbox.url)) as other,
        psycopg.connect(plain(sandbox.url)) as third,
    ):
        for each in (first, old, new):
            ask(sandbox.url, make, [each])
        one.execute(held, [first])
        lock = "SELECT mergeguard.lock_roots(%s, %s, %s), mergeguard.share_roots(%s)"
        waiting = pool.submit(other.execute, lock, [old, new, beside, [first]])
        until_blocked(one, other.info.backend_pid)
        if in_one_order:
            assert third.execute(held, [old]).fetchone() == (1,)
        else:
            with pytest.raises(psycopg.errors.LockNotAvailable):
                third.execute(held, [old])
        third.rollback()
        one.rollback()
        assert waiting.result(60)


def until_blocked(connection: psycopg.Connection, pid: int) -> None:
    deadline, pause = time.monotonic() + 60, threading.Event()
    while not (connection.execute("SELECT pg_blocking_pids(%s)", [pid]).fetchone() or ([],))[0]:
        assert time.monotonic() < deadline, "nobody waits for the other session"
        pause.wait(0.01)


def test_python_and_sql_may_be_mixed(sandbox: Sandbox, pytestconfig: pytest.Config) -> None:
    schedules = 1000 if pytestconfig.getoption("--long") else SCHEDULES
    mixed = Mixed(sandbox, (by_function, None))
    try:
        tally = check_merges(mixed, drawn=st.one_of(rings(), cases()), schedules=schedules)
    finally:
        mixed.close()

    assert tally.outcomes["made"] > schedules / 2
    assert tally.waits > 0


def test_rows_by_hand_under_the_guard_may_be_mixed_in(sandbox: Sandbox) -> None:
    with opened(sandbox.url, sandbox.profile) as source:
        install_guard(source, sandbox.profile)
    mixed = Mixed(sandbox, (by_function, by_hand, None))
    try:  # who inserts by hand keeps no lookup and lets the old live on: the shape of the merges is what must hold
        tally = check_merges(mixed, drawn=rings(), schedules=SCHEDULES, checks=["forest"])
    finally:
        mixed.close()

    assert tally.outcomes["made"] > SCHEDULES / 2
    assert tally.waits > 0


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_snapshot_that_may_be_older_than_the_locks_is_refused(sandbox: Sandbox, level: str) -> None:
    with psycopg.connect(plain(sandbox.url)) as connection:
        connection.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        with pytest.raises(psycopg.errors.RaiseException) as refused:
            connection.execute("SELECT mergeguard.merge(%s, %s)", [uuid.uuid4(), uuid.uuid4()])
    assert reason_of(refused.value) == "isolation"


def test_the_procedure_takes_its_own_level_and_commits(sandbox: Sandbox) -> None:
    one, other = sorted(uuid.uuid5(uuid.NAMESPACE_OID, text) for text in "ab")
    ask(sandbox.url, "INSERT INTO item VALUES (%s, 'computer'), (%s, 'computer')", [one, other])
    ask(sandbox.url, "INSERT INTO live VALUES (%s), (%s)", [one, other])
    with psycopg.connect(plain(sandbox.url), autocommit=True) as connection:
        connection.execute("SET default_transaction_isolation = 'serializable'")
        connection.execute("CALL mergeguard.merge_guids(%s, %s)", [one, other])
    assert ask(sandbox.url, "SELECT current FROM mergeguard.current_guid(%s)", [one]) == [(other,)]
    ((run,),) = ask(sandbox.url, "SELECT run_id FROM mergeguard.journal_runs ORDER BY started DESC LIMIT 1")
    with psycopg.connect(plain(sandbox.url), autocommit=True) as connection:
        connection.execute("CALL mergeguard.unmerge_run(%s)", [run])
    assert ask(sandbox.url, "SELECT current FROM mergeguard.current_guid(%s)", [one]) == [(one,)]
