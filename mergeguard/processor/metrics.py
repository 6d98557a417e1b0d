"""Metrics of the event queue, for Prometheus: what the database says, and what this process did.

``METRICS`` is the contract; the reference page is tested against it. The first half is worked out from a report and
needs no further package, so that ``queue status --format prometheus`` works everywhere. The second half are counters of
a server, kept by ``prometheus_client``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from mergeguard.core.events import Queue
from mergeguard.processor.failures import Verdict
from mergeguard.processor.report import ChainLine, QueueLine, QueueStatistics

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from mergeguard.processor.integrity_look import Looked
    from mergeguard.processor.worker import Handled

Type: TypeAlias = Literal["gauge", "counter"]
Sample: TypeAlias = tuple[tuple[str, ...], float]
"""Values of the metric's labels in their order, and the number."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric."""

    name: str
    type: Type
    help: str
    labels: tuple[str, ...] = ()


_QUEUE: Final = ("queue",)
QUEUE_METRICS: Final = (
    Metric("mergeguard_queue_events", "gauge", "Pending events, those in process and those that wait.", _QUEUE),
    Metric("mergeguard_queue_inline_bytes", "gauge", "Bytes of pending events in rows.", _QUEUE),
    Metric("mergeguard_queue_file_bytes", "gauge", "Bytes of pending events in files, uncompressed.", _QUEUE),
    Metric("mergeguard_queue_file_limit_bytes", "gauge", "Most bytes of pending files; 0: no limit."),
    Metric(
        "mergeguard_queue_oldest_seconds",
        "gauge",
        "Age of the oldest pending event by the database's clock; 0 where there is none.",
        _QUEUE,
    ),
    Metric("mergeguard_queue_registered_total", "counter", "Events ever registered.", _QUEUE),
    Metric("mergeguard_queue_done_total", "counter", "Events ever done.", _QUEUE),
    Metric("mergeguard_queue_retries_total", "counter", "Retries ever.", _QUEUE),
    Metric(
        "mergeguard_queue_parked_events",
        "gauge",
        "Events that wait, their chains with them, for somebody to mend the merges of their guids.",
        _QUEUE,
    ),
    Metric("mergeguard_queue_dead_events", "gauge", "Dead events that are kept.", _QUEUE),
    Metric("mergeguard_queue_dead_bytes", "gauge", "Bytes of dead events that are kept.", _QUEUE),
    Metric(
        "mergeguard_queue_chains",
        "gauge",
        "Chains by state, of the thousand that wait longest: leased, expired, retrying, parked, waiting.",
        ("state",),
    ),
    Metric(
        "mergeguard_queue_stranded_chains", "gauge", "Chains that nobody would ever pick up; anything but 0 is a bug."
    ),
)
"""What the database says; the same whichever process is asked."""
SERVER_METRICS: Final = (
    Metric("mergeguard_posts_total", "counter", "Posts by answer: accepted, full, busy, refused.", ("answer",)),
    Metric(
        "mergeguard_resource_questions_total",
        "counter",
        "Questions of agents for their guid by answer: told, busy, refused.",
        ("answer",),
    ),
    Metric("mergeguard_inbox_files_total", "counter", "Files of the inboxes: accepted, dead, left.", ("outcome",)),
    Metric(
        "mergeguard_handled_total",
        "counter",
        "Tries of events by outcome: done, failed, dead, parked.",
        ("queue", "outcome"),
    ),
    Metric("mergeguard_leases_lost_total", "counter", "Batches rolled back because another worker held the chain."),
    Metric("mergeguard_database_away", "gauge", "1 while the processor waits for the database to come back."),
    Metric("mergeguard_settings_bad", "gauge", "1 while the newest settings are not in force because they are wrong."),
    Metric(
        "mergeguard_integrity_findings",
        "gauge",
        "Findings of this server's last integrity job; no sample for a rule that was not checked.",
        ("rule", "name", "severity"),
    ),
    Metric(
        "mergeguard_integrity_lookup_drift",
        "gauge",
        "Old guids that the stored lookup answers wrongly, by kind: missing, extra, different; none without a lookup.",
        ("kind",),
    ),
    Metric("mergeguard_integrity_purged_rows_total", "counter", "Rows of event classes that were purged."),
    Metric("mergeguard_integrity_runs_total", "counter", "Integrity jobs by outcome: done, failed.", ("outcome",)),
    Metric(
        "mergeguard_integrity_last_success_timestamp_seconds",
        "gauge",
        "When the last integrity job without a failure ended, in Unix time; 0: none yet.",
    ),
)
"""What one server did since it started."""
METRICS: Final = QUEUE_METRICS + SERVER_METRICS


def chain_state(line: ChainLine) -> str:
    """Say in one word what becomes of a chain: ``leased``, ``expired``, ``parked``, ``retrying`` or ``waiting``."""
    if line.state.owner is not None:
        return "expired" if line.lease_seconds is not None and line.lease_seconds < 0 else "leased"
    if line.state.parked:
        return "parked"
    return "retrying" if line.retry_seconds is not None and line.retry_seconds > 0 else "waiting"


def samples(statistics: QueueStatistics) -> dict[str, list[Sample]]:
    """Return the samples of ``QUEUE_METRICS`` by name."""
    found = {f"mergeguard_queue_{name}": _each(statistics, number) for name, number in _NUMBERS.items()}
    states = [chain_state(line) for line in statistics.chains]
    chains: list[Sample] = [
        ((state,), float(states.count(state))) for state in ("leased", "expired", "retrying", "parked", "waiting")
    ]
    return found | {
        "mergeguard_queue_chains": chains,
        "mergeguard_queue_file_limit_bytes": [((), float(statistics.file_limit))],
        "mergeguard_queue_stranded_chains": [((), float(statistics.stranded))],
    }


_NUMBERS: Final[dict[str, Callable[[QueueLine], float]]] = {
    "events": lambda line: line.size.events,
    "inline_bytes": lambda line: line.size.inline_bytes,
    "file_bytes": lambda line: line.size.file_bytes,
    "oldest_seconds": lambda line: line.oldest_seconds or 0.0,
    "registered_total": lambda line: line.size.registered,
    "done_total": lambda line: line.size.done,
    "retries_total": lambda line: line.size.retries,
    "parked_events": lambda line: line.size.parked,
    "dead_events": lambda line: line.size.dead,
    "dead_bytes": lambda line: line.size.dead_bytes,
}


def _each(statistics: QueueStatistics, number: Callable[[QueueLine], float]) -> list[Sample]:
    return [((line.size.queue.name.lower(),), float(number(line))) for line in statistics.queues]


def exposition(statistics: QueueStatistics, target: str | None = None) -> str:
    """Write a report in Prometheus' text format, version 0.0.4.

    Args:
        statistics: the report.
        target: what all samples are labelled with, for files of several databases in one folder; it must be visible
            text without a password.
    """
    found = samples(statistics)
    return "".join(line for metric in QUEUE_METRICS for line in _family(metric, found[metric.name], target))


def _family(metric: Metric, found: list[Sample], target: str | None) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.type}\n"
    common = [] if target is None else [("target", target)]
    for values, number in found:
        pairs = [*common, *zip(metric.labels, values, strict=True)]
        labels = ",".join(f'{name}="{_label(value)}"' for name, value in pairs)
        yield f"{metric.name}{{{labels}}} {number:.15g}\n" if labels else f"{metric.name} {number:.15g}\n"


def _label(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class ServerMetrics:
    """The metrics of one server: its own counters, and at each question a fresh look at the queue.

    Raises:
        MissingExtra: ``prometheus_client`` is not installed.
    """

    def __init__(self, look: Callable[[], QueueStatistics | None]) -> None:
        """Set all counters to zero.

        Args:
            look: takes statistics; ``None`` where the database does not answer, and then its metrics are left out.
        """
        client = _client()
        client.disable_created_metrics()  # when a counter began is what no series here is asked for
        self.registry: CollectorRegistry = client.CollectorRegistry()
        self._own: dict[str, Any] = {
            metric.name: (client.Counter if metric.type == "counter" else client.Gauge)(
                metric.name, metric.help, metric.labels, registry=self.registry
            )
            for metric in SERVER_METRICS
        }
        self._look = look

    def posted(self, answer: Literal["accepted", "full", "busy", "refused"], posts: int = 1) -> None:
        """Count posts by what their senders were told."""
        self._own["mergeguard_posts_total"].labels(answer).inc(posts)

    def asked(self, answer: Literal["told", "busy", "refused"]) -> None:
        """Count questions for a guid by what the agent was told."""
        self._own["mergeguard_resource_questions_total"].labels(answer).inc()

    def taken_from_inbox(self, outcome: Literal["accepted", "dead", "left"], files: int = 1) -> None:
        """Count files of the inboxes by what became of them."""
        self._own["mergeguard_inbox_files_total"].labels(outcome).inc(files)

    def saw(self, queue: Queue, handled: Handled) -> None:
        """Count what became of a claim: tries of events, or a lease that was lost."""
        if handled.verdict is Verdict.LOST:
            self._own["mergeguard_leases_lost_total"].inc()
        failures = [one.failure for one in handled.ran if one.failure is not None]
        dead = sum(failure.retry_after is None for failure in failures)
        outcomes = {
            "done": sum(one.done for one in handled.ran),
            "failed": len(failures) - dead,
            "dead": dead,
            "parked": sum(one.parked is not None for one in handled.ran),
        }
        for outcome, events in outcomes.items():
            self._own["mergeguard_handled_total"].labels(queue.name.lower(), outcome).inc(events)

    def looked(self, found: Looked, now: float) -> None:
        """Show what an integrity job saw; what it failed to see stays as it was. ``now`` is in Unix time."""
        if found.rules:
            self._own["mergeguard_integrity_findings"].clear()
        for rule in found.rules:
            self._own["mergeguard_integrity_findings"].labels(rule.rule, rule.name, rule.severity).set(rule.count)
        if found.drift is None and not found.failures:  # there is no lookup any more
            self._own["mergeguard_integrity_lookup_drift"].clear()
        for kind, olds in (found.drift or {}).items():
            self._own["mergeguard_integrity_lookup_drift"].labels(kind).set(olds)
        self._own["mergeguard_integrity_purged_rows_total"].inc(found.purged)
        self._own["mergeguard_integrity_runs_total"].labels("failed" if found.failures else "done").inc()
        if not found.failures:
            self._own["mergeguard_integrity_last_success_timestamp_seconds"].set(now)

    def watch_database(self, is_away: Callable[[], bool]) -> None:
        """Ask at each question whether the processor waits for the database."""
        self._own["mergeguard_database_away"].set_function(lambda: float(is_away()))

    def watch_settings(self, is_bad: Callable[[], bool]) -> None:
        """Ask at each question whether the newest settings are wrong, so that older ones are in force."""
        self._own["mergeguard_settings_bad"].set_function(lambda: float(is_bad()))

    def exposition(self) -> str:
        """Write everything in Prometheus' text format."""
        own = str(_client().generate_latest(self.registry).decode("utf-8"))
        found = self._look()
        return own if found is None else exposition(found) + own


def _client() -> Any:  # noqa: ANN401 - the module
    from importlib import import_module  # noqa: PLC0415 - with its only use

    from mergeguard.errors import MissingExtra  # noqa: PLC0415 - likewise

    try:
        return import_module("prometheus_client")
    except ImportError:
        raise MissingExtra(
            "metrics of a server need prometheus-client", hint="pip install 'mergeguard[serve]'"
        ) from None
