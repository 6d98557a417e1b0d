"""A merge by SQL puts agents on the black list as Python does; either takes it back; both take one turn of a guid."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_model import guid
from merging_world import PROFILE
from sql_sides import Side, Start
from sql_world import drop, opened, plain

from mergeguard.integrity.undo import undo_run
from mergeguard.storage.merging.store import turn_of
from mergeguard.storage.profile import Blacklist, Managed

A, B = guid(0), guid(1)
LISTED = replace(
    PROFILE, blacklist=Blacklist("Banned", "Guid", "At", "Now"), managed=Managed("Managed", "Guid", "Said")
)
BANNED = """
    CREATE TABLE "Banned" ("Guid" uuid PRIMARY KEY, "At" timestamptz NOT NULL, "Now" text);
    CREATE TABLE "Managed" ("Guid" text, "Said" text);
"""


@pytest.fixture(scope="module")
def side(postgres_url: str) -> Iterator[Side]:
    drop(postgres_url)
    made = Side(postgres_url, "banned", LISTED, BANNED)
    yield made
    made.close()


def banned(side: Side) -> list[Any]:
    return side.connection.execute('SELECT "Guid", "Now" FROM "Banned" WHERE "At" IS NOT NULL').fetchall()


@pytest.mark.parametrize("said", ["1", " Yes", "no", None])
@pytest.mark.parametrize("there", [False, True])
def test_an_agent_is_listed_by_both_or_by_neither(side: Side, said: str | None, there: bool) -> None:
    found = []
    for way in ("python", "sql"):
        side.begin(Start({"Alive": [(A,), (B,)], "Managed": [(str(A).upper(), said)]}, [], []))
        if there:
            side.connection.execute('INSERT INTO "Banned" VALUES (%s, now(), NULL)', [A])
        getattr(side, way)(A, B)
        (last,) = side.connection.execute(
            "SELECT (array_agg(action ORDER BY place DESC))[1] FROM mergeguard_change"
        ).fetchone() or ("",)
        found.append((banned(side), last))
    assert found[0] == found[1]
    assert (found[1][1] == "black-list") == (said in {"1", " Yes"} and not there)


@pytest.mark.parametrize(("way", "back"), list(itertools.product(("python", "sql"), repeat=2)))
def test_either_takes_it_off_again(side: Side, way: str, back: str) -> None:
    side.begin(Start({"Alive": [(A,), (B,)], "Managed": [(str(A), "1")]}, [], []))
    getattr(side, way)(A, B)
    assert banned(side) == [(A, str(B))]
    ((run,),) = side.connection.execute("SELECT run_id FROM mergeguard_run").fetchall()
    if back == "sql":
        side.connection.execute("SELECT mergeguard.unmerge(%s)", [run])
    else:
        with opened(side.url, LISTED) as source:
            undo_run(source, LISTED, run)
    assert banned(side) == []
    assert {row[0] for row in side.world.rows("Alive")} == {A, B}


@settings(max_examples=25)
@given(st.uuids())
def test_a_turn_has_one_number(side: Side, drawn: uuid.UUID) -> None:
    assert side.connection.execute("SELECT mergeguard.turn_of(%s)", [drawn]).fetchone() == (turn_of(drawn),)


def test_a_merge_holds_the_turn_of_both_roots_until_it_ends(side: Side) -> None:
    side.begin(Start({"Alive": [(A,), (B,)]}, [], []))
    asked = "SELECT pg_try_advisory_xact_lock_shared(%s), pg_try_advisory_xact_lock_shared(%s)"
    with psycopg.connect(plain(side.url), autocommit=True) as other:
        with side.connection.transaction():
            side.connection.execute("SELECT mergeguard.merge(%s, %s)", [A, B])
            assert other.execute(asked, [turn_of(A), turn_of(B)]).fetchone() == (False, False)
        assert other.execute(asked, [turn_of(A), turn_of(B)]).fetchone() == (True, True)
