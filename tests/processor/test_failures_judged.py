"""Whose fault it is: real errors of drivers, those of MergeGuard, wrapped ones; and what a charge says."""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from processor.fake_store import BEGAN

from mergeguard import errors
from mergeguard.core.events import MOST_PARKED_GUIDS, Event, Queue, Reason
from mergeguard.processor.failures import (
    Verdict,
    failure_of,
    is_of_the_database,
    parking_of,
    told,
    verdict_of_commit,
    verdict_of_handler,
    verdict_of_store,
)
from mergeguard.storage import failures

STEP = dt.timedelta(milliseconds=100)


def event(tries: int = 0) -> Event:
    return Event(7, uuid.UUID(int=1), 0, Queue.FAST, 3, BEGAN, tries, b"<a>")


def raised(call: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - any is wanted
        call()
    return caught.value


def throw(error: BaseException) -> None:
    raise error


def state(number: str) -> psycopg.Error:
    return psycopg.errors.lookup(number)("words of the server")


OUTAGES = ("08006", "57P01", "57P03", "53100", "53300", "25006", "28P01", "3D000")
CLASHES = ("40001", "40P01", "55P03")
OWN = ("23505", "22001", "42P01", "42703", "57014", "25P02", "P0001")


@pytest.mark.parametrize("number", OUTAGES)
def test_a_database_that_is_away_full_or_read_only_charges_nobody(number: str) -> None:
    assert verdict_of_handler(state(number)) is verdict_of_store(state(number)) is Verdict.OUTAGE


@pytest.mark.parametrize("number", CLASHES)
def test_a_deadlock_a_lock_timeout_and_a_failed_serialization_charge_nobody(number: str) -> None:
    assert verdict_of_handler(state(number)) is verdict_of_commit(state(number)) is Verdict.CLASH
    assert verdict_of_store(state(number)) is Verdict.CLASH


@pytest.mark.parametrize("number", OWN)
def test_what_the_database_says_of_a_handlers_statements_is_the_events_own(number: str) -> None:
    assert verdict_of_handler(state(number)) is verdict_of_commit(state(number)) is Verdict.FAILED
    assert verdict_of_store(state(number)) is Verdict.OUTAGE, "the queue's own statements are never an event's fault"
    assert is_of_the_database(state(number))


@pytest.mark.parametrize("number", [*OUTAGES, *CLASHES])
def test_an_error_that_wraps_an_outage_is_one(number: str) -> None:
    def wrapped() -> None:
        try:
            throw(state(number))
        except psycopg.Error as cause:
            raise ValueError("the import failed") from cause

    def hidden() -> None:
        try:
            throw(sa.exc.DBAPIError("SELECT 1", {}, state(number)))
        except sa.exc.DBAPIError:
            raise ValueError("the import failed") from None

    assert (
        verdict_of_handler(raised(wrapped)) is verdict_of_handler(raised(hidden)) is verdict_of_handler(state(number))
    )


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (errors.LeaseLost("x"), Verdict.LOST),
        (errors.Locked("x"), Verdict.CLASH),
        (errors.FolderAway("x"), Verdict.CLASH),
        (errors.ConnectionLost("x"), Verdict.OUTAGE),
        (errors.ConnectFailed("x"), Verdict.OUTAGE),
        (errors.MalformedEvent("x"), Verdict.FAILED),
        (errors.WriteFailed("x"), Verdict.FAILED),
        (ValueError("x"), Verdict.FAILED),
        (SystemExit(3), Verdict.FAILED),
        (MemoryError(), Verdict.FAILED),
        (ConnectionRefusedError("another service"), Verdict.FAILED),
        (TimeoutError("another service"), Verdict.FAILED),
    ],
)
def test_verdicts_on_what_is_no_drivers(error: BaseException, verdict: Verdict) -> None:
    assert verdict_of_handler(error) is verdict
    assert not is_of_the_database(error)


def test_a_real_full_disk_and_a_real_lock_of_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "full.db"
    with closing(sqlite3.connect(path, timeout=0)) as one, closing(sqlite3.connect(path, timeout=0)) as other:
        one.execute("CREATE TABLE t (x UNIQUE)")
        one.execute("PRAGMA max_page_count = 4")
        full = raised(lambda: one.execute("INSERT INTO t VALUES (zeroblob(100000))"))
        one.rollback()
        one.execute("BEGIN IMMEDIATE")
        locked = raised(lambda: other.execute("INSERT INTO t VALUES (1)"))
        one.execute("INSERT INTO t VALUES (1)")
        twice = raised(lambda: one.execute("INSERT INTO t VALUES (1)"))
    assert verdict_of_handler(full) is Verdict.OUTAGE
    assert verdict_of_handler(locked) is Verdict.CLASH
    assert verdict_of_handler(twice) is Verdict.FAILED
    assert failures.is_refused_data(twice)
    assert not failures.is_refused_data(full)


def test_a_commit_that_the_queue_says_failed_is_the_events_only_for_its_data() -> None:
    def translated(cause: BaseException) -> BaseException:
        def run() -> None:
            with failures.translated("queue.db", writing=True):
                raise cause

        return raised(run)

    assert verdict_of_commit(translated(state("23503"))) is Verdict.FAILED
    assert verdict_of_commit(translated(state("XX000"))) is Verdict.OUTAGE
    assert verdict_of_commit(translated(state("53100"))) is Verdict.OUTAGE
    assert verdict_of_commit(translated(sqlite3.OperationalError("disk I/O error"))) is Verdict.OUTAGE
    assert verdict_of_commit(errors.WriteFailed("the database rolled it back")) is Verdict.OUTAGE
    assert verdict_of_commit(TypeError("a value that the driver cannot send")) is Verdict.FAILED


@given(st.integers(0, 12), st.integers(0, 12))
def test_retry_n_comes_n_steps_later_and_after_the_limit_none_comes(tries: int, limit: int) -> None:
    failure = failure_of(event(tries), ValueError("x"), limit=limit, step=STEP)
    assert failure.retry_after == ((tries + 1) * STEP if tries < limit else None)
    assert (failure.event, failure.kind, failure.message, failure.reason) == (7, "ValueError", "x", Reason.RETRIES)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(errors.MalformedEvent("x"), Reason.MALFORMED), (errors.LostBody("x"), Reason.LOST_BODY)],
)
def test_what_no_retry_can_mend_is_dead_at_once(error: Exception, reason: Reason) -> None:
    failure = failure_of(event(), error, limit=3, step=STEP)
    assert (failure.retry_after, failure.reason) == (None, reason)


@given(st.text())
def test_any_text_of_an_exception_can_be_stored(text: str) -> None:
    said = told(ValueError(text))
    assert said
    assert "\0" not in said
    assert len(said.encode()) <= 4 * 4000
    assert said == text[:4000] or not text or not text.isprintable()


def test_an_exception_that_cannot_be_printed_has_its_name() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert told(Broken()) == "Broken"
    assert failure_of(event(), type("N" * 999, (Exception,), {})(), limit=3, step=STEP).kind == "N" * 200


@given(st.lists(st.uuids(), max_size=2 * MOST_PARKED_GUIDS), st.sampled_from(["cycle", "split"]), st.text())
def test_what_parks_an_event_is_told_once_and_within_bounds(guids: list[uuid.UUID], status: str, words: str) -> None:
    error = errors.EventParked(words, guids=(*guids, *guids), status=status)
    parking = parking_of(event(tries=2), error)
    assert parking.event == 7
    assert parking.guids == tuple(dict.fromkeys(guids))[:MOST_PARKED_GUIDS]
    assert (parking.status, parking.message) == (status, told(error))
    assert verdict_of_handler(error) is Verdict.FAILED, "its statements are undone like those of any that fails"


def test_an_outage_behind_it_is_an_outage_all_the_same() -> None:
    error = errors.EventParked("in a circle", guids=(), status="cycle")
    error.__cause__ = errors.ConnectionLost("the server went away")
    assert verdict_of_handler(error) is Verdict.OUTAGE
