"""Merges that would close a circle only together: whoever commits last is refused, whatever the isolation level.

Every session inserts before any commits: they wait for one another at a barrier with their snapshots taken, and none
goes on to commit before each has inserted or waits for a lock, which the server's own view tells.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import networkx as nx
import psycopg
import pytest
from guard_model import Guarded

LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
RINGS = {"2-ring": (2, 0), "3-ring": (3, 0), "4-ring half merged": (4, 2)}
"""By name: how many merges make the ring, and how many of them, every second one, stand before."""
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = %s AND wait_event_type = 'Lock'
"""


@pytest.fixture
def guarded(postgres_url: str) -> Guarded:
    made = Guarded(postgres_url)
    made.install()
    return made


def ring(size: int) -> list[tuple[uuid.UUID, uuid.UUID]]:
    guids = [uuid.uuid4() for _ in range(size)]
    return list(zip(guids, [*guids[1:], guids[0]], strict=True))


class Race:
    """Sessions that each insert one merge; all have their snapshot before the first of them writes."""

    def __init__(self, guarded: Guarded, level: str, merges: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
        self.guarded = guarded
        self.level = level
        self.merges = merges
        self.name = f"race {uuid.uuid4().hex[:8]}"
        self.begun = threading.Barrier(len(merges), timeout=60)
        self.inserted = 0
        self.changed = threading.Condition()

    def run(self) -> list[str]:
        """Return what became of each session: ``committed``, ``refused`` or ``failed to serialise``."""
        with ThreadPoolExecutor(len(self.merges)) as pool:
            return list(pool.map(self._session, range(len(self.merges))))

    def _session(self, number: int) -> str:
        old, new = self.merges[number]
        url = self.guarded.url.replace("+psycopg", "", 1)
        with psycopg.connect(url, autocommit=True, application_name=self.name) as connection:
            connection.execute(f"BEGIN ISOLATION LEVEL {self.level}")
            connection.execute(f'SELECT count(*) FROM "{self.guarded.table}"')
            self.begun.wait()
            try:
                connection.execute(
                    f'INSERT INTO "{self.guarded.table}" VALUES (%s, %s, %s, 0)', (100 + number, old, new)
                )
                self._has_inserted()
                self._wait_for_the_others()
                connection.execute("COMMIT")
            except psycopg.errors.CheckViolation:
                self._has_inserted()
                return "refused"
            except psycopg.errors.SerializationFailure:
                self._has_inserted()
                return "failed to serialise"
            return "committed"

    def _has_inserted(self) -> None:
        with self.changed:
            self.inserted += 1
            self.changed.notify_all()

    def _wait_for_the_others(self) -> None:
        """Return when each other session has inserted, failed, or waits for a lock of the server."""
        with psycopg.connect(self.guarded.url.replace("+psycopg", "", 1), autocommit=True) as watching, self.changed:
            while self.inserted + watching.execute(WAITING, (self.name,)).fetchone()[0] < len(self.merges):
                self.changed.wait(0.01)


def raced(guarded: Guarded, level: str, shape: str) -> tuple[list[str], bool]:
    """Return what became of the sessions, and whether a cycle was committed."""
    size, standing = RINGS[shape]
    merges = ring(size)
    before, racing = (merges[::2], merges[1::2]) if standing else ([], merges)
    guarded.put(before)
    ends = Race(guarded, level, racing).run()
    graph = nx.DiGraph([(old, new) for _, old, new, _ in guarded.rows()])
    assert graph.number_of_edges() == len(before) + ends.count("committed")
    return ends, not nx.is_directed_acyclic_graph(graph)


@pytest.mark.parametrize("shape", RINGS)
@pytest.mark.parametrize("level", LEVELS)
def test_no_cycle_is_committed(guarded: Guarded, level: str, shape: str) -> None:
    ends, cyclic = raced(guarded, level, shape)
    assert not cyclic
    if level == "READ COMMITTED":  # who waited saw the others' merges: all but the last are made
        assert sorted(ends) == ["committed"] * (len(ends) - 1) + ["refused"]
    else:  # the others looked at a table that is no longer so
        assert sorted(ends) == ["committed"] + ["failed to serialise"] * (len(ends) - 1)


def without_the_update(text: str) -> str:
    """Let the guard look without having written its row."""
    begin = text.index("UPDATE", text.index("-- Written"))
    return text[:begin] + text[text.index("-- A merge that other rows said") :]


def with_a_lock_alone(text: str) -> str:
    """Let the guard lock its row and not write it."""
    begin = text.index("UPDATE", text.index("-- Written"))
    end = text.index("IF NOT FOUND", begin)
    table = text[begin:end].split()[1]
    return text[:begin] + f"PERFORM 1 FROM {table} WHERE id = 1 FOR UPDATE;\n    " + text[end:]


MUTANTS: dict[str, tuple[Callable[[str], str], Sequence[str]]] = {
    "no update of the guard's row": (without_the_update, LEVELS[:2]),
    "the guard's row is locked and not written": (with_a_lock_alone, LEVELS[1:2]),
}


@pytest.mark.parametrize("shape", RINGS)
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_guard_that_writes_nothing_lets_cycles_in(guarded: Guarded, mutant: str, shape: str) -> None:
    """Else the test above would hold whatever the guard did."""
    mutate, levels = MUTANTS[mutant]
    with guarded.engine.begin() as connection:
        asked = f"SELECT pg_get_functiondef(to_regprocedure('{guarded.guard}_check()'))"
        text = connection.exec_driver_sql(asked).scalar_one()
        raw = connection.connection.driver_connection
        raw.execute(mutate(text))
    assert guarded.status_problems() == (f"{guarded.guard}_check is not as this version would make it",)
    for level in levels:
        assert raced(guarded, level, shape)[1], level
