"""Merges go on while a repair runs: no row that somebody inserts is lost, and what was decided holds afterwards."""

from __future__ import annotations

import itertools
import random
import sqlite3
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self, TypeAlias

import networkx as nx
import psycopg
import pytest
import sqlalchemy as sa
from merge_model import answers

from mergeguard import api
from mergeguard.core.repair.plan import Plan
from mergeguard.errors import Stale
from mergeguard.integrity.apply import PHASE
from mergeguard.storage.profile import Live, Merge, Profile

Pair: TypeAlias = tuple[uuid.UUID, uuid.UUID]
PROFILE = Profile(merge=Merge("merges", "old", "new", "id"), live=Live("alive", "guid"))
COMPONENTS = 12
SECONDS = 60.0


def guid(number: int) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"beside {number}")


def ring(component: int) -> list[uuid.UUID]:
    return [guid(100 * component + at) for at in range(2 + component % 3)]


RINGS = [ring(component) for component in range(COMPONENTS)]
LIVE = [members[0] for members in RINGS]
PAIRS = [(old, new) for members in RINGS for old, new in zip(members, [*members[1:], members[0]], strict=True)]
MEMBERS = {member for members in RINGS for member in members}


class Database:
    """A target, and connections of others to it."""

    def __init__(self, target: str, connect: Callable[[], Any], mark: str, guid_type: str) -> None:
        self.target, self._connect, self._mark = target, connect, mark
        with self.connection() as connection:
            connection.execute("DROP TABLE IF EXISTS mergeguard_lookup")
            for name, columns in (("merges", "id {}, old {}, new {}"), ("alive", "guid {}")):
                connection.execute(f"DROP TABLE IF EXISTS {name}")
                key = "integer PRIMARY KEY" if mark == "?" else "serial PRIMARY KEY"
                types = (key, guid_type, guid_type) if name == "merges" else (guid_type,)
                connection.execute(f"CREATE TABLE {name} ({columns.format(*types)})")
            for pair in PAIRS:
                self.insert(connection, pair)
            for one in LIVE:
                connection.execute(f"INSERT INTO alive VALUES ({mark})", (self.spelt(one),))

    def connection(self) -> Any:
        return closing(self._connect())

    def insert(self, connection: Any, pair: Pair) -> None:
        values = tuple(map(self.spelt, pair))
        connection.execute(f"INSERT INTO merges (old, new) VALUES ({self._mark}, {self._mark})", values)

    def spelt(self, one: uuid.UUID) -> object:
        return str(one) if self._mark == "?" else one

    def pairs(self) -> list[Pair]:
        return self._pairs("SELECT old, new FROM merges")

    def lookup(self) -> dict[uuid.UUID, tuple[str, uuid.UUID | None, int | None]]:
        with self.connection() as connection:
            rows = connection.execute("SELECT old_guid, status, current_guid, depth FROM mergeguard_lookup").fetchall()
        return {as_guid(old): (status, current and as_guid(current), depth) for old, status, current, depth in rows}

    def _pairs(self, statement: str) -> list[Pair]:
        with self.connection() as connection:
            return [(as_guid(old), as_guid(new)) for old, new in connection.execute(statement).fetchall()]


def as_guid(cell: object) -> uuid.UUID:
    return uuid.UUID(bytes=cell) if isinstance(cell, bytes) else uuid.UUID(str(cell))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        path = tmp_path / "m.db"
        made = Database(
            str(path), lambda: sqlite3.connect(path, timeout=SECONDS, isolation_level=None, uri=False), "?", "text"
        )
    else:
        url = request.getfixturevalue("postgres_url")
        plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        made = Database(url, lambda: psycopg.connect(plain, autocommit=True), "%s", "uuid")
    api.build_lookup(made.target, PROFILE)
    return made


def planned(database: Database) -> Plan:
    plan = api.plan(database.target, PROFILE)
    assert len(plan.steps) == COMPONENTS
    return plan


class Others:
    """Sessions that insert merges, each as many as it is allowed to: SQLite's lock is not fair, and they would win."""

    def __init__(self, database: Database, seed: int, sessions: int) -> None:
        self._database = database
        self._numbers = itertools.count(10_000)
        self._stop = threading.Event()
        self._allowed = threading.Semaphore(0)
        self.inserted: list[Pair] = []
        self.failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._insert, args=(seed + at,)) for at in range(sessions)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.allow(len(self._threads))
        for thread in self._threads:
            thread.join(SECONDS)
        assert self.failures == []

    def allow(self, merges: int) -> None:
        """Let the sessions insert more merges from now on, while the caller goes on."""
        self._allowed.release(merges)

    def _insert(self, seed: int) -> None:
        draw = random.Random(seed)
        try:
            with self._database.connection() as connection:
                while self._allowed.acquire() and not self._stop.is_set():
                    pair = self._pair(draw)
                    self._database.insert(connection, pair)
                    self.inserted.append(pair)
        except BaseException as failure:  # noqa: BLE001 - told in the test's own thread
            self.failures.append(failure)

    def _pair(self, draw: random.Random) -> Pair:
        """Merge somebody new into a member of a ring, into a live one, or into somebody new."""
        new = draw.choice([draw.choice(draw.choice(RINGS)), draw.choice(LIVE), guid(next(self._numbers))])
        return guid(next(self._numbers)), new


def hold(database: Database, inserted: Sequence[Pair]) -> None:
    """Hold R11: nothing lost, the decided components are forests that lead to their survivors, the lookup follows."""
    pairs = database.pairs()
    assert sorted(set(pairs) - set(PAIRS)) == sorted(set(inserted))
    graph = nx.MultiDiGraph(pairs)
    assert all(graph.out_degree(member) == (member not in LIVE) for member in MEMBERS)
    assert nx.is_directed_acyclic_graph(nx.DiGraph(graph))
    told = answers(pairs, LIVE)
    for members in RINGS:
        assert {told[member][:2] for member in members[1:]} == {("ok", members[0])}
    stored = database.lookup()
    assert {old: stored[old] for old in MEMBERS & set(told)} == {old: told[old] for old in MEMBERS & set(told)}


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12))])
def test_merges_of_others_are_not_lost_and_what_was_decided_holds(database: Database, seed: int) -> None:
    plan = planned(database)
    steps = []

    with Others(database, seed, sessions=3) as others:
        others.allow(4)

        def between(phase: str, done: int, _total: int | None) -> None:
            if phase == PHASE:
                steps.append(done)
                others.allow(4)

        applied = api.apply(plan, database.target, progress=between)
    assert applied.applied == COMPONENTS
    assert steps == list(range(1, COMPONENTS + 1))
    # SQLite gives its lock to whom it likes: on a busy machine the repair gets it most of the time.
    assert len(others.inserted) >= COMPONENTS // 4, "or nothing ran beside it"
    hold(database, others.inserted)
    assert api.plan(database.target, PROFILE).steps == ()


@pytest.fixture
def second_row() -> Pair:
    """A merge that gives a member of the last ring a second new."""
    return RINGS[-1][1], guid(999_999)


def test_a_merge_that_touches_a_planned_component_stops_the_repair_there(database: Database, second_row: Pair) -> None:
    plan = planned(database)
    last = next(number for number, step in enumerate(plan.steps) if second_row[0] in step.members)

    def between(phase: str, done: int, _total: int | None) -> None:
        if phase == PHASE and done == last:
            with database.connection() as connection:
                database.insert(connection, second_row)

    if last == 0:
        with database.connection() as connection:
            database.insert(connection, second_row)
    with pytest.raises(Stale) as stopped:
        api.apply(plan, database.target, progress=between)
    assert any(str(second_row[0]) in one for one in stopped.value.changed) or str(second_row[0]) in str(stopped.value)
    pairs = database.pairs()
    assert second_row in pairs
    assert len(pairs) == len(PAIRS) - last + 1, "the steps before it were made, and none after it"
    again = api.plan(database.target, PROFILE)
    api.apply(again, database.target)
    told = answers(database.pairs(), LIVE)
    assert all(told[member][:2] == ("ok", members[0]) for members in RINGS for member in members[1:])
    kept = [
        step for step in api.journal_run(database.target, again.plan_id, PROFILE)[1] if second_row[0] in step.members
    ]
    assert (second_row in database.pairs()) != any(
        str(second_row[1]) in str(change.before) for step in kept for change in step.changes
    ), "the new plan may find that the new row is the wrong one; then the journal has it"
