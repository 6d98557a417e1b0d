"""The circuit breaker: growing waits, one who probes, nobody who passes while the database is away."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.errors import ConnectionLost
from mergeguard.processor.circuit import FIRST_PAUSE, Circuit

PATIENCE = 30


class Database:
    """Away for so many probes."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.probes = 0
        self.waits: list[float] = []

    def probe(self) -> None:
        self.probes += 1
        if self.away:
            self.away -= 1
            raise ConnectionLost("it is away")

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return False


def circuit(database: Database, longest: Callable[[], float] = lambda: 1.0) -> Circuit:
    return Circuit(database.probe, database.wait, longest)


def test_a_closed_circuit_asks_nobody() -> None:
    database = Database(0)
    assert circuit(database).passed()
    assert (database.probes, database.waits) == (0, [])


@given(st.integers(0, 12), st.sampled_from([0.05, 0.1, 1.0, 10.0]))
def test_the_waits_double_up_to_the_longest_until_a_probe_succeeds(away: int, longest: float) -> None:
    database = Database(away)
    one = circuit(database, lambda: longest)
    one.open(ConnectionLost("it is away"))
    assert one.outage is not None
    assert one.passed()
    assert one.outage is None
    assert database.probes == away + 1
    assert database.waits == [min(FIRST_PAUSE * 2**at, longest) for at in range(away + 1)]


def test_only_real_work_makes_the_waits_short_again() -> None:
    database = Database(2)
    one = circuit(database)
    one.open(ConnectionLost("it is away"))
    one.passed()
    one.open(ConnectionLost("reads work, writes do not"))
    one.passed()
    one.succeeded()
    one.open(ConnectionLost("it is away"))
    one.passed()
    assert database.waits == [0.1, 0.2, 0.4, 0.8, 0.1]


def test_the_outage_says_why_and_counts_its_probes() -> None:
    database = Database(99)
    seen = []

    def wait(_seconds: float) -> bool:
        seen.append((one.outage.message, one.outage.probes) if one.outage else None)
        return len(seen) == 3

    one = Circuit(database.probe, wait)
    one.open(RuntimeError("first"))
    one.open(RuntimeError("second"))
    assert not one.passed(), "a stop ends the waiting"
    assert seen == [("first", 0), ("it is away", 1), ("it is away", 2)]


def test_of_many_workers_one_probes_and_all_go_on_together() -> None:
    database, waiting = Database(3), threading.Event()
    everybody = threading.Barrier(8, timeout=PATIENCE)

    def wait(_seconds: float) -> bool:
        return not waiting.wait(PATIENCE)

    one = Circuit(database.probe, wait)
    one.open(ConnectionLost("it is away"))
    passed: list[bool] = []

    def work() -> None:
        everybody.wait()
        passed.append(one.passed())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    waiting.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert passed == [True] * 8
    assert database.probes == 4
