"""Where guids lead by SQL Server's scripts, run on PostgreSQL, against a dictionary."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given, settings
from merge_model import Answer, guid
from rule_model import Case, cases
from sql_world import plain
from transact_sql import Transact
from transact_world import ask, make

LOOKUP = ["10_current_guid.sql", "30_closure.sql", "40_lookup.sql"]


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(plain(postgres_url)) as opened:
        yield opened
        opened.rollback()


def told(answer: Answer) -> tuple[uuid.UUID | None, int | None, str]:
    status, current, depth = answer
    return current, depth, status


@settings(max_examples=15)
@given(case=cases())
def test_every_guid_is_what_the_dictionary_says(connection: psycopg.Connection, case: Case) -> None:
    make(connection, case)
    scripts = Transact(connection, LOOKUP)
    for old in case.olds:
        ((same, *found),) = scripts.rows("current_guid", old)
        assert (same, *found) == (old, *told(case.answers[old]))
    stranger = guid(999)
    ((_, current, depth, status),) = scripts.rows("current_guid", stranger)
    assert (current, depth, status) == (stranger, 0, "ok" if case.live is None else "dangling")


@settings(max_examples=15)
@given(case=cases())
def test_a_rebuilt_lookup_holds_every_old_once(connection: psycopg.Connection, case: Case) -> None:
    make(connection, case)
    scripts = Transact(connection, LOOKUP, take_merge_lock=lambda _: {})
    scripts.call("rebuild_lookup")
    rows = ask(connection, "SELECT * FROM transact.lookup_rows")
    found = {old: rest for old, *rest in rows}
    assert len(found) == len(rows)
    assert found == {old: list(told(answer)) for old, answer in case.answers.items()}
    scripts.call("rebuild_lookup")
    assert scripts.results[-1] == [{"rows": len(found), "written": 0, "deleted": 0}]


def test_a_long_chain_takes_few_rounds(connection: psycopg.Connection) -> None:
    length = 3000
    case = Case.of(*((at, at + 1) for at in range(length)))
    make(connection, case)
    scripts = Transact(connection, LOOKUP, take_merge_lock=lambda _: {})
    scripts.call("rebuild_lookup")
    assert scripts.statements < 200
    found = {old: (current, depth) for old, current, depth, _ in ask(connection, "SELECT * FROM transact.lookup_rows")}
    assert found == {guid(at): (guid(length), length - at) for at in range(length)}
