"""Event Queue Status: rows at an interval on each database, the legacy view over them, old rows removed."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from processor.tended_queue import BEGAN, TendedQueue, tended

from mergeguard.core.events import Queue
from mergeguard.errors import ConnectionLost, UnknownSchema, Unsupported
from mergeguard.processor.report import take_statistics
from mergeguard.processor.settings import Settings
from mergeguard.processor.status import StatusWriter, counters_of, status_rows, this_server
from mergeguard.storage.queue.status_table import (
    _ADD_PARKED,
    _LEGACY,
    _STATUS,
    LEGACY_VIEW,
    TABLE,
    StatusRow,
    StatusTable,
    open_status,
)

DAY = dt.timedelta(days=1)
MSSQL_URL = os.environ.get("MERGEGUARD_TEST_MSSQL_URL")


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[TendedQueue]:
    with tended(tmp_path) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mssql", marks=pytest.mark.mssql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        with tended(tmp_path) as made:
            yield f"sqlite:///{made.path}"
        return
    found = MSSQL_URL if request.param == "mssql" else request.getfixturevalue("postgres_url")
    assert found
    yield found
    engine = sa.create_engine(found)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {LEGACY_VIEW}")
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {TABLE}")
    engine.dispose()


@pytest.fixture
def table(url: str) -> Iterator[StatusTable]:
    made = open_status(url)
    yield made
    made.close()


def rows(taken: dt.datetime = BEGAN, server: str = "host:1", **more: Any) -> list[StatusRow]:
    return [
        StatusRow(taken, server, queue, queue.name.lower(), **{**_numbers(queue), **more})  # type: ignore[arg-type]
        for queue in Queue
    ]


def _numbers(queue: Queue) -> dict[str, Any]:
    names = [field.name for field in fields(StatusRow)][4:]
    numbers: dict[str, Any] = {name: 1024 * (queue + 1) + at for at, name in enumerate(names)}
    return numbers | {"oldest_seconds": 1.5, "in_per_second": None, "out_per_second": 0.25}


def asked(url: str, statement: str) -> Sequence[Any]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql(statement).fetchall()
    engine.dispose()
    return found


def test_the_columns_are_the_fields() -> None:
    assert [column.name for column in _STATUS.columns] == [field.name for field in fields(StatusRow)]


def test_rows_come_back_as_they_were_written(table: StatusTable) -> None:
    assert table.latest() == ()
    table.create()
    table.create()
    assert table.latest() == []
    table.write(rows(), keep=DAY)
    later = rows(BEGAN + dt.timedelta(microseconds=1), "host:2", events=2**40)
    table.write(later, keep=DAY)
    assert table.latest() == later


def test_on_sql_server_every_statement_is_transact_sql() -> None:
    dialect = sa.dialects.mssql.dialect()
    c = _STATUS.c
    statements = [
        sa.schema.CreateTable(_STATUS),
        sa.insert(_STATUS),
        sa.delete(_STATUS).where(c.taken < BEGAN),
        sa.select(_STATUS).where(c.taken == sa.select(sa.func.max(c.taken)).scalar_subquery()),
    ]
    texts = [str(statement.compile(dialect=dialect)) for statement in statements]  # type: ignore[attr-defined]
    for text in (*(re.sub(r":\w+|\?", "@p", text) for text in texts), _LEGACY, _ADD_PARKED):
        parsed = transact_sql(text)
        assert parsed.returncode == 0, f"{text}\n{parsed.stdout}{parsed.stderr}"
    assert transact_sql("CREATE VIEW x AS SELCT 1").returncode != 0, "the parser would notice"


def transact_sql(text: str) -> subprocess.CompletedProcess[str]:
    """Read a statement with the parser of SQL Server."""
    maxdop = shutil.which("maxdop", path=str(Path(sys.executable).parent)) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    command = [maxdop, "--parser-version", "2012"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)


def test_a_table_of_an_earlier_version_is_read_and_then_gets_its_column(table: StatusTable, url: str) -> None:
    table.create()
    table.write(rows(parked=3), keep=DAY)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {TABLE} DROP COLUMN parked")
    engine.dispose()
    assert table.latest() == rows(parked=None)
    table.create()
    assert table.latest() == rows(parked=None)
    table.write(rows(BEGAN + dt.timedelta(1), parked=3), keep=DAY)
    assert [row.parked for row in table.latest()] == [3] * len(Queue)


def test_old_rows_go_and_young_ones_stay(table: StatusTable, url: str) -> None:
    table.create()
    for hours in (0, 1, 23, 25):
        table.write(rows(BEGAN + dt.timedelta(hours=hours)), keep=DAY)
    assert asked(url, f"SELECT count(*) FROM {TABLE}")[0][0] == 3 * len(Queue)


def test_the_legacy_view_has_the_totals(table: StatusTable, url: str) -> None:
    table.create()
    table.write(rows(inline_bytes=1024, file_bytes=2048, file_limit_bytes=4096), keep=DAY)
    [(server, events, size, limit)] = asked(url, f"SELECT server, events, size_kb, limit_kb FROM {LEGACY_VIEW}")
    expected = sum(row.events for row in rows())
    assert (server, int(events), int(size), int(limit)) == ("host:1", expected, 3 * len(Queue), 4)


def test_two_servers_may_write_at_one_moment(table: StatusTable) -> None:
    table.create()
    table.write(rows(server="b"), keep=DAY)
    table.write(rows(server="a"), keep=DAY)
    assert {row.server for row in table.latest()} == {"a"}, "one of them, whole"
    assert len(table.latest()) == len(Queue)


def test_a_name_that_is_too_long_is_cut(table: StatusTable) -> None:
    table.create()
    table.write(rows(server="ü" * 300), keep=DAY)
    assert table.latest()[0].server == "ü" * 200


def test_a_file_of_rows_has_no_queue() -> None:
    with pytest.raises(Unsupported, match=r"merges\.csv"):
        open_status("merges.csv")


def test_writing_without_a_table_is_told(table: StatusTable) -> None:
    with pytest.raises(UnknownSchema):
        table.write(rows(), keep=DAY)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=5))
def test_the_rows_of_the_database_are_what_was_looked_at(
    tmp_path_factory: pytest.TempPathFactory, work: list[tuple[int, int]]
) -> None:
    """Each pair: how many events come, and how many of those waiting are done before the next look."""
    folder = tmp_path_factory.mktemp("status")
    with tended(folder) as queue:
        table = open_status(str(queue.path))
        table.create()
        writer = StatusWriter(queue.store, table, lambda: queue.settings, "here:1")
        waiting = registered = 0
        for turn, (come, done) in enumerate(work):
            registered += come
            waiting += come
            for _ in range(come):
                queue.register()
            if done and waiting:
                queue.finish(done=min(done, waiting))
                waiting -= min(done, waiting)
            queue.seconds += 60
            written = writer.write_once()

            fast = table.latest()[Queue.FAST]
            assert (fast.events, fast.registered, fast.server) == (waiting, registered, "here:1")
            assert (fast.in_per_second is None) == (turn == 0)
            assert tuple(table.latest()) == status_rows(written, "here:1")
        assert fast.in_per_second == pytest.approx(work[-1][0] / 60)
        table.close()


def test_rates_of_a_reader_count_from_the_last_row(queue: TendedQueue) -> None:
    table = open_status(str(queue.path))
    table.create()
    queue.register()
    StatusWriter(queue.store, table, lambda: queue.settings).write_once()
    queue.register()
    queue.seconds = 4

    found = take_statistics(queue.store, before=counters_of(table.latest()))

    assert (found.total.in_per_second, found.since) == (0.25, BEGAN)
    assert counters_of(()) is None
    assert table.latest()[0].server == this_server()
    table.close()


class Stop(threading.Event):
    """Does not wait, counts the waits and is set after so many."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self.waits: list[float] = []
        self.turns = turns

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        if len(self.waits) == self.turns:
            self.set()
        return self.is_set()


def test_it_writes_at_the_interval_of_the_settings_until_it_is_stopped(queue: TendedQueue) -> None:
    table = open_status(str(queue.path))
    intervals = itertools.count(60)
    settings = (replace(queue.settings, status_interval_seconds=float(seconds)) for seconds in intervals)
    stop = Stop(3)

    def clocked() -> Settings:
        queue.seconds += 1
        return next(settings)

    StatusWriter(queue.store, table, clocked, "here:1").run(stop)

    assert stop.waits == [61.0, 63.0, 65.0], "asked for the look and for the wait"
    assert asked(f"sqlite:///{queue.path}", f"SELECT count(DISTINCT taken) FROM {TABLE}") == [(3,)]
    table.close()


def test_a_database_that_is_away_is_waited_for(
    queue: TendedQueue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    table = open_status(str(queue.path))
    answers = iter([ConnectionLost("gone"), None, None])
    create = table.create

    def sometimes() -> None:
        trouble = next(answers)
        if trouble is not None:
            raise trouble
        create()

    monkeypatch.setattr(table, "create", sometimes)
    StatusWriter(queue.store, table, lambda: queue.settings).run(Stop(2))

    assert len(table.latest()) == len(Queue)
    assert [record.why for record in caplog.records] == ["gone"]  # type: ignore[attr-defined]
    table.close()
