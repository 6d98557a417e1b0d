"""The scheduled look at a database's integrity: when it comes, what it sees, and that nothing of it ends a server."""

from __future__ import annotations

import logging
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard import api
from mergeguard.core.rules import OUT_OF_TIME
from mergeguard.processor.integrity_job import FIRST_SECONDS, IntegrityJob, ask_process
from mergeguard.processor.integrity_look import Looked, Question, RuleResult, look
from mergeguard.processor.metrics import ServerMetrics
from mergeguard.processor.settings import Settings

TEXTS = st.text(max_size=20)
COUNTS = st.integers(0, 10**12)
RESULTS = st.builds(RuleResult, TEXTS, TEXTS, st.sampled_from(["error", "warning", "info"]), COUNTS, TEXTS)
ANSWERS = st.builds(
    Looked,
    st.lists(RESULTS, max_size=3).map(tuple),
    st.dictionaries(TEXTS, TEXTS, max_size=2),
    st.none() | st.dictionaries(TEXTS, COUNTS, max_size=3),
    COUNTS,
    st.lists(TEXTS, max_size=2).map(tuple),
    st.floats(0, 1e6),
)


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return api.make_demo(tmp_path).database


def question(database: Path | str, limit: float = 60.0) -> Question:
    return Question(str(database), None, 5.0, limit)


@dataclass
class Clock(threading.Event):
    """A stop that is never waited for: each wait moves the time, until there were enough."""

    seconds: float
    now: float = 0.0
    change: Callable[[float], None] = field(default=lambda _now: None)

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        self.change(self.now)
        return self.now >= self.seconds


def looks(clock: Clock, settings: Callable[[], Settings]) -> list[float]:
    """Run the job by a clock; return when it looked."""
    times: list[float] = []

    def ask(asked: Question, _stop: threading.Event) -> Looked:
        assert asked.limit == settings().integrity_limit_seconds
        times.append(clock.now)
        return Looked()

    def make(now: Settings) -> Question:
        return question("x.db", now.integrity_limit_seconds)

    IntegrityJob(make, settings, lambda _looked: None, ask=ask, clock=lambda: clock.now).run(clock)
    return times


def test_the_first_look_comes_soon_and_the_others_at_the_interval() -> None:
    settings = Settings(integrity_interval_seconds=1000.0)
    assert looks(Clock(2100.0), lambda: settings) == [FIRST_SECONDS, FIRST_SECONDS + 1000, FIRST_SECONDS + 2000]
    settings = Settings(integrity_interval_seconds=2.0)
    assert looks(Clock(7.0), lambda: settings) == [2.0, 4.0, 6.0]


def test_an_interval_of_zero_is_never_and_may_change_meanwhile() -> None:
    held = [Settings(integrity_interval_seconds=0.0)]
    assert looks(Clock(10_000.0), lambda: held[0]) == []

    def change(now: float) -> None:
        if now == 5000.0:
            held[0] = Settings(integrity_interval_seconds=3000.0)

    assert looks(Clock(9_000.0, change=change), lambda: held[0]) == [5000.0, 8000.0]


@given(ANSWERS)
def test_an_answer_is_read_as_it_was_written(looked: Looked) -> None:
    assert Looked.read(looked.text()) == looked


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"rules": [{}], "failures": []}', "null", '{"rules": 1}'])
def test_what_is_no_answer_is_no_answer(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text of it goes nowhere
        Looked.read(text)


def test_a_look_sees_what_a_scan_sees(demo: Path) -> None:
    looked = look(question(demo))
    report = api.scan(demo)
    assert {rule.rule: (rule.name, rule.severity, rule.count) for rule in looked.rules} == {
        outcome.rule: (outcome.name, outcome.severity.value, outcome.count)
        for outcome in report.outcomes
        if outcome.not_checked is None
    }
    assert set(looked.unchecked) == {outcome.rule for outcome in report.outcomes if outcome.not_checked is not None}
    cycle = next(rule for rule in looked.rules if rule.rule == "MG001")
    assert cycle.example == next(one for one in report.findings if one.rule == "MG001").message
    assert (looked.drift, looked.failures) == (None, ())
    assert looked.findings == sum(rule.count for rule in looked.rules if rule.severity in {"error", "warning"})


def test_a_look_holds_the_lookup_against_the_rows(demo: Path) -> None:
    api.build_lookup(demo)
    assert look(question(demo)).drift == {"missing": 0, "extra": 0, "different": 0}


def test_a_scan_that_is_cut_short_is_a_failure(demo: Path) -> None:
    looked = look(question(demo, limit=0.0))
    assert looked.failures == ("scan: not all was read within 0 seconds",)
    assert set(looked.unchecked.values()) == {OUT_OF_TIME}


def test_a_look_purges_event_classes_and_says_how_many_rows(demo: Path) -> None:
    with closing(sqlite3.connect(demo)) as connection, connection:
        (before,) = connection.execute("SELECT count(*) FROM Evt_Software_Execution").fetchone()
        connection.execute("UPDATE DataClass SET PurgeMaxRows = 2 WHERE TableName = 'Evt_Software_Execution'")
    looked = look(question(demo))
    assert (looked.purged, looked.failures) == (before - 2, ())
    assert look(question(demo)).purged == 0


def test_a_process_gives_the_same_answer(demo: Path) -> None:
    asked = ask_process(question(demo), threading.Event())
    assert asked is not None
    here = look(question(demo))
    assert (asked.rules, asked.unchecked, asked.drift, asked.failures) == (here.rules, here.unchecked, None, ())


def test_what_cannot_be_looked_at_is_told_in_words(tmp_path: Path) -> None:
    asked = ask_process(question(tmp_path / "none.db"), threading.Event())
    assert asked is not None
    assert asked.rules == ()
    assert all("none.db" in failure for failure in asked.failures)
    assert asked.failures


def test_a_process_that_fails_is_told_by_what_it_said_last(tmp_path: Path) -> None:
    broken = (sys.executable, "-c", "import sys; print('half an answ'); sys.exit('out of everything')")
    asked = ask_process(question(tmp_path / "x.db"), threading.Event(), broken)
    assert asked == Looked(failures=("the process ended with 1 and no answer: out of everything",))
    asked = ask_process(question(tmp_path / "x.db"), threading.Event(), (str(tmp_path / "no program"),))
    assert asked == Looked(failures=("no process could be started: No such file or directory",))


ENDLESS = (sys.executable, "-c", "import sys; sys.stdin.read()")


def test_a_stop_ends_the_process() -> None:
    stop = threading.Event()
    stop.set()
    assert ask_process(question("x.db"), stop, ENDLESS) is None


def test_a_process_that_does_not_end_is_ended() -> None:
    asked = ask_process(question("x.db", limit=-60.0), threading.Event(), ENDLESS)
    assert asked == Looked(failures=("it was not done after 0 seconds",))


def test_a_process_ends_with_its_server() -> None:
    """The one who asked closes stdin by dying; here that is done by hand, and the process must not go on."""
    code = (
        "from mergeguard.processor import integrity_look as m; m.look = lambda q: m.threading.Event().wait(); m.main()"
    )
    import subprocess  # noqa: PLC0415 - a process of its own, without the job around it

    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(question("x.db").line().encode())
    process.stdin.close()
    assert process.wait(60) == 1


def test_findings_are_logged_and_shown_as_metrics(demo: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    metrics = ServerMetrics(lambda: None)
    settings = Settings()
    job = IntegrityJob(
        lambda _settings: question(demo),
        lambda: settings,
        lambda looked: metrics.looked(looked, 1234.0),
        ask=lambda asked, _stop: look(asked),
    )
    job.look_once(threading.Event())
    told = [record for record in caplog.records if record.message == "the merges have findings"]
    cycles = next(record for record in told if record.__dict__["rule"] == "MG001")
    assert (cycles.__dict__["findings"], cycles.levelname) == (3, "WARNING")
    assert "MG013" not in {record.__dict__["rule"] for record in told}  # chains are no more than information
    text = metrics.exposition()
    assert 'mergeguard_integrity_findings{name="cycle",rule="MG001",severity="error"} 3.0' in text
    assert 'mergeguard_integrity_runs_total{outcome="done"} 1.0' in text
    assert "mergeguard_integrity_last_success_timestamp_seconds 1234.0" in text


def test_metrics_keep_what_a_failed_look_did_not_see() -> None:
    metrics = ServerMetrics(lambda: None)
    seen = (RuleResult("MG001", "cycle", "error", 2), RuleResult("MG002", "self-merge", "error", 1))
    metrics.looked(Looked(rules=seen, drift={"missing": 3}, purged=5), 10.0)
    metrics.looked(Looked(failures=("scan: away",)), 20.0)
    metrics.looked(Looked(rules=seen[:1], failures=("purge: no",), purged=2), 30.0)
    text = metrics.exposition()
    metrics.looked(Looked(), 40.0)
    assert "lookup_drift{" not in metrics.exposition()
    assert 'rule="MG001",severity="error"} 2.0' in text
    assert "MG002" not in text
    assert 'mergeguard_integrity_lookup_drift{kind="missing"} 3.0' in text
    assert "mergeguard_integrity_purged_rows_total 7.0" in text
    assert 'mergeguard_integrity_runs_total{outcome="failed"} 2.0' in text
    assert "mergeguard_integrity_last_success_timestamp_seconds 10.0" in text
