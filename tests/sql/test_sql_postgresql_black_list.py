"""A merge that put an agent on the black list is taken back by the program that put it there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from merge_model import guid
from merging_world import PROFILE
from sql_sides import Side, Start
from sql_world import drop, opened, reason_of

from mergeguard.integrity.undo import undo_run
from mergeguard.resources.merge import merge
from mergeguard.storage.profile import Blacklist

A, B = guid(0), guid(1)
LISTED = replace(PROFILE, blacklist=Blacklist("Banned", "Guid", "At", "Now"))
BANNED = 'CREATE TABLE "Banned" ("Guid" uuid PRIMARY KEY, "At" timestamptz NOT NULL, "Now" uuid)'


@pytest.fixture(scope="module")
def side(postgres_url: str) -> Iterator[Side]:
    drop(postgres_url)
    made = Side(postgres_url, "banned", LISTED, BANNED)
    yield made
    made.close()


def banned(side: Side) -> list[tuple[object, ...]]:
    return side.connection.execute('SELECT "Guid", "Now" FROM "Banned"').fetchall()


def test_sql_leaves_an_agent_on_the_black_list_and_says_who_does_not(side: Side) -> None:
    side.begin(Start({"Alive": [(A,), (B,)]}, [], []))
    with opened(side.url, LISTED) as source:
        done = merge(source, LISTED, A, B)
    assert banned(side) == [(A, B)]
    with pytest.raises(psycopg.errors.RaiseException) as refused:
        side.connection.execute("SELECT mergeguard.unmerge(%s)", [done.run_id])
    assert reason_of(refused.value) == "references"
    assert "mergeguard undo" in str(refused.value.diag.message_hint)
    with opened(side.url, LISTED) as source:
        undo_run(source, LISTED, done.run_id or "")
    assert banned(side) == []


def test_a_merge_by_sql_puts_nobody_on_it(side: Side) -> None:
    side.begin(Start({"Alive": [(A,), (B,)]}, [], []))
    side.sql(A, B)
    assert banned(side) == []
