"""Metrics: every one of the contract is written, once, parseable, and says what the report says."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processor.tended_queue import ALICE, BOB, TendedQueue, tended
from prometheus_client.parser import text_string_to_metric_families

from mergeguard.core.events import Failure, Lease, Parking, Queue, Ran
from mergeguard.errors import ConnectionLost, LeaseLost
from mergeguard.processor import metrics
from mergeguard.processor.failures import Verdict
from mergeguard.processor.metrics import METRICS, QUEUE_METRICS, SERVER_METRICS, ServerMetrics, chain_state, exposition
from mergeguard.processor.report import QueueStatistics, take_statistics
from mergeguard.processor.worker import Handled


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[TendedQueue]:
    with tended(tmp_path) as made:
        yield made


def read(text: str) -> Mapping[tuple[str, tuple[str, ...]], float]:
    """Parse by Prometheus' own reader: (name, values of the labels in their order) to number."""
    families = list(text_string_to_metric_families(text))
    samples = [
        ((sample.name, tuple(sample.labels.values())), sample.value) for one in families for sample in one.samples
    ]
    found = dict(samples)
    assert len(found) == len(samples), "no series is written twice"
    return found


def test_the_contract_is_well_formed() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"mergeguard_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.type == "counter")
        assert metric.help.endswith(".")


def test_every_metric_of_the_queue_is_written_as_the_report_has_it(queue: TendedQueue) -> None:
    queue.register(ALICE, b"123")
    queue.register_file(BOB, b"12345")
    queue.seconds = 8
    queue.take(worker="w")
    report = take_statistics(queue.store, file_limit=99)

    text = exposition(report)
    found = read(text)

    assert {name for name, _ in found} == {metric.name for metric in QUEUE_METRICS}
    assert found["mergeguard_queue_events", ("fast",)] == 2
    assert found["mergeguard_queue_inline_bytes", ("fast",)] == 3
    assert found["mergeguard_queue_file_bytes", ("fast",)] == 5
    assert found["mergeguard_queue_oldest_seconds", ("fast",)] == 8
    assert found["mergeguard_queue_oldest_seconds", ("large",)] == 0
    assert found["mergeguard_queue_registered_total", ("fast",)] == 2
    assert found["mergeguard_queue_file_limit_bytes", ()] == 99
    assert found["mergeguard_queue_chains", ("leased",)] == 2
    assert found["mergeguard_queue_stranded_chains", ()] == 0
    assert text.endswith("\n")


@given(st.text())
def test_any_name_of_a_target_is_carried(tmp_path_factory: pytest.TempPathFactory, target: str) -> None:
    with tended(tmp_path_factory.mktemp("m")) as queue:
        report = take_statistics(queue.store)
    visible = target.encode("unicode_escape").decode()  # as the command line hands it over
    found = read(exposition(report, visible))
    assert found["mergeguard_queue_stranded_chains", (visible,)] == 0
    assert found["mergeguard_queue_events", (visible, "slow")] == 0


def test_the_states_of_chains(queue: TendedQueue) -> None:
    def states() -> list[str]:
        return sorted(chain_state(line) for line in take_statistics(queue.store).chains)

    queue.register(ALICE)
    assert states() == ["waiting"]
    queue.take(seconds=30)
    queue.register(BOB)
    assert states() == ["leased", "waiting"]
    queue.seconds = 31
    assert states() == ["expired", "waiting"]
    queue.store.sweep()
    queue.park()
    assert states() == ["parked", "waiting"]


def test_parked_events_are_counted_by_queue(queue: TendedQueue) -> None:
    queue.register(ALICE)
    queue.register(ALICE)
    queue.park()
    found = read(exposition(take_statistics(queue.store)))
    assert found["mergeguard_queue_parked_events", ("fast",)] == 1
    assert found["mergeguard_queue_parked_events", ("slow",)] == 0
    assert found["mergeguard_queue_chains", ("parked",)] == 1
    assert take_statistics(queue.store).total.size.parked == 1


def test_a_server_counts_what_it_did(queue: TendedQueue) -> None:
    asked: list[QueueStatistics | None] = [take_statistics(queue.store), None]
    server = ServerMetrics(lambda: asked.pop(0))
    server.posted("accepted", 3)
    server.posted("full")
    server.posted("accepted")
    server.taken_from_inbox("left", 2)
    server.saw(Queue.SLOW, Handled(None, [ran(3), ran(2, retry=True), ran(0, retry=False)]))
    server.saw(Queue.SLOW, Handled(None, [ran(1, retry=False)]))
    server.saw(Queue.SLOW, Handled(None, [Ran(Lease(1, 1, ()), 0, parked=Parking(1, (), "cycle", "m"))]))
    server.saw(Queue.SLOW, Handled(Verdict.LOST, error=LeaseLost("gone")))
    server.saw(Queue.SLOW, Handled(Verdict.OUTAGE, error=ConnectionLost("away")))
    away_now = [True]
    server.watch_database(lambda: away_now[0])
    server.watch_settings(lambda: False)

    found = read(server.exposition())

    assert found["mergeguard_posts_total", ("accepted",)] == 4
    assert found["mergeguard_posts_total", ("full",)] == 1
    assert found["mergeguard_inbox_files_total", ("left",)] == 2
    assert {values: number for (name, values), number in found.items() if name == "mergeguard_handled_total"} == {
        ("done", "slow"): 6,
        ("failed", "slow"): 1,
        ("dead", "slow"): 2,
        ("parked", "slow"): 1,
    }
    assert found["mergeguard_leases_lost_total", ()] == 1
    assert (found["mergeguard_database_away", ()], found["mergeguard_settings_bad", ()]) == (1, 0)
    assert ("mergeguard_queue_events", ("fast",)) in found
    away_now[0] = False
    away = read(server.exposition())
    assert away["mergeguard_database_away", ()] == 0
    assert {name for name, _ in away} <= {metric.name for metric in SERVER_METRICS}, "the database does not answer"
    assert away["mergeguard_posts_total", ("accepted",)] == 4


def ran(done: int, *, retry: bool | None = None) -> Ran:
    """A lease of which so many events are done, and perhaps the next one is to be retried, or is dead."""
    failure = None if retry is None else Failure(1, "ValueError", "no", dt.timedelta(1) if retry else None)
    return Ran(Lease(1, 1, ()), done, failure)


def test_two_servers_of_one_process_do_not_share_counters() -> None:
    one, other = ServerMetrics(lambda: None), ServerMetrics(lambda: None)
    one.posted("busy")
    assert ("mergeguard_posts_total", ("busy",)) in read(one.exposition())
    assert ("mergeguard_posts_total", ("busy",)) not in read(other.exposition())


def test_the_metrics_of_a_queue_need_no_further_package() -> None:
    words = (
        f"import {metrics.__name__}, sys; sys.exit('prometheus_client' in sys.modules or 'sqlalchemy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0
