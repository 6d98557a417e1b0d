"""A time budget that ends leaves a report that says what was not checked, and keeps what was found before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from case_targets import profile_of, write_csv, write_database, write_parquet
from merge_model import guid
from rule_model import Case

import mergeguard
from mergeguard.core import rules
from mergeguard.core.baseline import Accepted, Baseline
from mergeguard.core.facts import Facts
from mergeguard.core.findings import Outcome, ScanReport
from mergeguard.core.rule import Rule
from mergeguard.integrity import scan as scan_module
from mergeguard.integrity.scan import ScanOptions

CASE = Case.of(
    (1, 2),
    (2, 1),
    (3, 3),
    (4, 5),
    (4, 6),
    live=frozenset({guid(5)}),
    types=((guid(1), "A"), (guid(2), "B")),
    references={"Inv_0.Guid": {guid(1): 2}},
    stored=((guid(1), None, None, "cycle"),),
)
PHASES = ["reading merges", "reading live guids", "reading types", "reading Inv_0.Guid", "reading the lookup"]


class Clock:
    """A clock that stands until it is told that much time has passed."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def on(self, phase: str) -> Callable[[str, int, int | None], None]:
        """A progress port during which the time passes."""

        def progress(reached: str, _done: int, _total: int | None) -> None:
            if reached == phase:
                self.seconds += 1000

        return progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(scan_module, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("budget") / "case.db"
    write_database(CASE, f"sqlite:///{path}", sa.LargeBinary(), lambda guid: guid.bytes)
    return path


def scan(target: Path, clock: Clock, phase: str, **options: object) -> ScanReport:
    asked = ScanOptions(max_duration=60, **options)  # type: ignore[arg-type]
    return mergeguard.scan(target, profile_of(CASE), scan_options=asked, progress=clock.on(phase))


def checked(report: ScanReport) -> list[str]:
    return [outcome.name for outcome in report.outcomes if outcome.not_checked is None]


def test_with_time_enough_everything_is_checked(target: Path, clock: Clock) -> None:
    report = scan(target, clock, "no such phase")
    assert report.complete
    assert len(checked(report)) == len(rules.RULES) - 1  # no time column
    assert report.statuses["cycle"] == 3


@pytest.mark.parametrize("phase", [*PHASES, "checking rules"])
def test_a_budget_spent_while_reading_leaves_every_rule_unchecked(target: Path, clock: Clock, phase: str) -> None:
    report = scan(target, clock, phase)
    assert not report.complete
    assert {outcome.not_checked for outcome in report.outcomes} == {rules.OUT_OF_TIME}
    assert len(report.outcomes) == len(rules.RULES)
    assert (report.count(), report.findings) == (0, ())
    assert report.rows == (0 if phase == "reading merges" else 5)


@pytest.mark.parametrize("phase", PHASES[:2])
def test_statuses_are_not_told_where_what_decides_them_was_not_read(target: Path, clock: Clock, phase: str) -> None:
    report = scan(target, clock, phase)
    assert (report.statuses, report.depths, report.max_depth) == ({}, (), 0)


@pytest.mark.parametrize("phase", PHASES[2:])
def test_statuses_are_told_where_all_that_decides_them_was_read(target: Path, clock: Clock, phase: str) -> None:
    assert scan(target, clock, phase).statuses == scan(target, clock, "no such phase").statuses


@pytest.mark.parametrize("last", [1, 3, 14])
def test_a_budget_spent_between_rules_keeps_what_was_found(
    target: Path, clock: Clock, last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scan(target, clock, "no such phase")
    run = Rule.run

    def slow(rule: Rule, facts: Facts, limit: int) -> Outcome:
        if rule.id == f"MG{last:03}":
            clock.seconds += 1000
        return run(rule, facts, limit)

    monkeypatch.setattr(Rule, "run", slow)
    report = scan(target, clock, "no such phase")
    assert report.outcomes[:last] == whole.outcomes[:last]
    assert all(outcome.not_checked == rules.OUT_OF_TIME for outcome in report.outcomes[last:])
    assert report.complete == (last == 14)
    assert report.count() > 0


def test_a_baseline_is_not_called_stale_by_a_scan_that_did_not_finish(target: Path, clock: Clock) -> None:
    known = Baseline((Accepted("MG001", "was there", "0123456789abcdef"),))
    assert "stale" in scan(target, clock, "no such phase", baseline=known).notes[0]
    assert scan(target, clock, "checking rules", baseline=known).notes == ()


@pytest.mark.parametrize(("write", "suffix"), [(write_csv, ".csv"), (write_parquet, ".parquet")])
def test_a_budget_of_nothing_is_spent_at_once_on_files_too(
    write: Callable[[Case, Path], Path], suffix: str, tmp_path: Path
) -> None:
    for case in (CASE, Case.of()):
        path = write(case, tmp_path)
        report = mergeguard.scan(path, profile_of(case, suffix), scan_options=ScanOptions(max_duration=0))
        assert not report.complete
        assert checked(report) == []
