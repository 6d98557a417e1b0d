"""One night: what is kept before anything else can go wrong, what a repair changes, and the one exit code."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mergeguard
from mergeguard.core.findings import ScanReport
from mergeguard.errors import (
    ApplyFailed,
    ExitCode,
    Locked,
    MergeGuardError,
    PermissionDenied,
    Stale,
    TargetNotFound,
    UsageError,
    WriteFailed,
)
from mergeguard.integrity import history
from mergeguard.integrity.nightly import Nightly, NightlyOptions, Ports, Repaired, nightly_source
from mergeguard.integrity.scan import ScanOptions
from mergeguard.integrity.verdict import gravest
from mergeguard.render.nightly import nightly_text, ports_of
from mergeguard.storage.own_files.report_folder import ReportFolder
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Progress, Source
from mergeguard.storage.targets import open_target

GUID = "00000000-0000-4000-8000-00000000000"
NIGHT = dt.datetime(2026, 3, 1, 2, 30, tzinfo=dt.UTC)
CYCLE = ScanOptions(only=["MG001"])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write(tmp_path / "m.csv", "12", "21")


def write(path: Path, *pairs: str) -> Path:
    """Write a file of merges: ``ab`` stands for a row a -> b."""
    path.write_text("OldGuid,NewGuid\n" + "".join(f"{GUID}{old},{GUID}{new}\n" for old, new in pairs))
    return path


def run(table: Path, options: NightlyOptions, day: int = 0, **ports: Any) -> Nightly:
    """Run a night whose clock goes a second at a time."""
    clock = itertools.count()
    with closing(open_target(str(table), Profile())) as source:
        return nightly_source(
            source,
            Profile(),
            options,
            replace(ports_of(options), **ports),
            now=lambda: NIGHT + dt.timedelta(day, next(clock)),
        )


def options(folder: Path, **more: Any) -> NightlyOptions:
    values: dict[str, Any] = {"scan": CYCLE, "history": folder / "h.db", "reports": folder / "reports"}
    return NightlyOptions(**values | {"metrics_file": folder / "m.prom"} | more)


class Repair:
    """A repair that writes other rows into the file, and may fail after that."""

    def __init__(self, *rows: str, failure: MergeGuardError | None = None, applied: int = 1) -> None:
        self.rows, self.failure, self.applied = rows, failure, applied
        self.seen: list[ScanReport] = []

    def __call__(
        self, source: Source, _profile: Profile, report: ScanReport, folder: ReportFolder, _progress: Progress
    ) -> Repaired:
        self.seen.append(report)
        write(Path(source.info.target), *self.rows)
        plan = folder.dated(report.started, report.run_id, "plan.json")
        plan.touch()
        return Repaired(plan, report.run_id if self.applied else None, self.applied, failure=self.failure)


def test_a_night_leaves_reports_metrics_and_a_run_in_the_history(table: Path, tmp_path: Path) -> None:
    night = run(table, options(tmp_path, formats=("html", "sarif")))
    stem = f"mergeguard-20260301T023000Z-{night.report.run_id[:8]}"
    names = {f"{stem}.html", f"{stem}.sarif", "mergeguard-latest.html", "mergeguard-latest.sarif"}
    assert {path.name for path in (tmp_path / "reports").iterdir()} == names
    assert {path.name for path in night.files} == names | {"m.prom"}
    for suffix in ("html", "sarif"):
        latest = (tmp_path / "reports" / f"mergeguard-latest.{suffix}").read_bytes()
        assert latest == (tmp_path / "reports" / f"{stem}.{suffix}").read_bytes()
    success = re.findall(r"^mergeguard_last_success_timestamp_seconds\{.*\} (\d+)$", metrics(tmp_path), re.MULTILINE)
    assert success == [str(int(night.report.finished.timestamp()))]
    assert [one.run_id for one in history.nights(tmp_path / "h.db", str(table))] == [night.report.run_id]
    assert (night.code, night.failures, night.before, night.repaired) == (ExitCode.FINDINGS, (), None, None)


def metrics(folder: Path) -> str:
    return (folder / "m.prom").read_text()


def test_the_latest_report_is_tonights_and_last_nights_stays(table: Path, tmp_path: Path) -> None:
    first = run(table, options(tmp_path, formats=("json",)))
    write(table, "12")
    second = run(table, options(tmp_path, formats=("json",)), day=1)
    reports = {path.name: json.loads(path.read_text())["run_id"] for path in (tmp_path / "reports").iterdir()}
    assert reports.pop("mergeguard-latest.json") == second.report.run_id
    assert set(reports.values()) == {first.report.run_id, second.report.run_id}
    assert second.code == ExitCode.CLEAN


def test_nothing_is_written_where_nothing_is_asked_for(table: Path, tmp_path: Path) -> None:
    night = run(table, NightlyOptions(CYCLE))
    assert (night.files, night.trend, night.code) == ((), None, ExitCode.FINDINGS)
    assert list(tmp_path.iterdir()) == [table]


def test_old_reports_and_old_runs_go(table: Path, tmp_path: Path) -> None:
    folder = ReportFolder(tmp_path / "reports")
    folder.prepare()
    days = {day: folder.dated(NIGHT - dt.timedelta(days=day), "a" * 32, "html") for day in (1, 29, 31)}
    for path in (*days.values(), folder.path / "mine.html"):
        path.touch()
    for _ in range(3):
        night = run(table, options(tmp_path, keep_days=30, keep_nights=2))
    left = set(folder.path.iterdir())
    assert {days[1], days[29], folder.path / "mine.html"} <= left
    assert days[31] not in left
    assert len(history.nights(tmp_path / "h.db", str(table))) == 2
    assert (night.removed, night.forgotten) == ((), 1)


@pytest.mark.parametrize("days", [36_500, 10**18])
def test_reports_may_be_kept_for_ever(days: int, table: Path, tmp_path: Path) -> None:
    assert run(table, options(tmp_path, keep_days=days)).removed == ()


def test_a_repair_is_followed_by_a_scan_that_decides(table: Path, tmp_path: Path) -> None:
    repair = Repair("12")
    night = run(table, options(tmp_path, repair="safe", formats=("json",)), repair=repair)
    assert (night.code, night.report.count(), repair.seen[0].count()) == (ExitCode.CLEAN, 0, 1)
    assert night.before == repair.seen[0]
    latest = json.loads((tmp_path / "reports" / "mergeguard-latest.json").read_text())
    assert latest["run_id"] == night.report.run_id
    kept = [one.run_id for one in history.nights(tmp_path / "h.db", str(table))]
    assert kept == [night.report.run_id, night.before.run_id if night.before else ""]
    assert night.trend is not None
    assert len(night.trend.fixed) == 1
    assert 'mergeguard_findings{target="' in metrics(tmp_path)
    assert re.search(r'rule="MG001".*\} 0$', metrics(tmp_path), re.MULTILINE)


def test_no_repair_unless_it_is_asked_for(table: Path, tmp_path: Path) -> None:
    repair = Repair("12")
    assert run(table, options(tmp_path), repair=repair).repaired is None
    assert repair.seen == []
    assert table.read_text() == write(tmp_path / "same.csv", "12", "21").read_text()


def test_a_repair_that_applied_nothing_needs_no_second_scan(table: Path, tmp_path: Path) -> None:
    night = run(table, options(tmp_path, repair="safe"), repair=Repair("12", "21", applied=0))
    assert (night.before, night.code) == (None, ExitCode.FINDINGS)
    assert len(history.nights(tmp_path / "h.db", str(table))) == 1


@pytest.mark.parametrize(
    ("rows", "failure", "code"),
    [
        (("12",), ApplyFailed("rolled back"), ExitCode.ROLLED_BACK),
        (("12", "21"), ApplyFailed("rolled back"), ExitCode.ROLLED_BACK),
        (("12", "21"), Stale("rows changed"), ExitCode.PLAN_REFUSED),
        (("12", "21"), Locked("held"), ExitCode.FINDINGS),
        (("12",), Locked("held"), ExitCode.UNCHECKED),
    ],
)
def test_what_a_failed_repair_means_for_the_exit_code(
    rows: Sequence[str], failure: MergeGuardError, code: ExitCode, table: Path, tmp_path: Path
) -> None:
    night = run(table, options(tmp_path, repair="safe"), repair=Repair(*rows, failure=failure))
    assert (night.code, night.failures) == (code, (failure,))
    assert night.before is not None


def test_a_second_scan_that_fails_leaves_no_verdict(table: Path, tmp_path: Path) -> None:
    class Destroys(Repair):
        def __call__(self, *arguments: Any) -> Repaired:
            done = super().__call__(*arguments)
            table.unlink()
            return done

    night = run(table, options(tmp_path, repair="safe"), repair=Destroys("12"))
    assert night.code == ExitCode.UNCHECKED
    assert isinstance(night.failures[0], TargetNotFound)
    assert night.report.count() == 1
    assert 'rule="MG001"' in metrics(tmp_path)


def test_only_what_is_new_tonight_counts_also_after_a_repair(table: Path, tmp_path: Path) -> None:
    asked = options(tmp_path, fail_on="new", repair="safe")
    run(table, replace(asked, fail_on="none"), repair=Repair("12", "21"))
    write(table, "12", "21", "34", "43")
    night = run(table, asked, day=1, repair=Repair("12", "21", "34", "43"))
    assert night.code == ExitCode.FINDINGS
    assert night.trend is not None
    assert [str(change.mark.subject) for change in night.trend.new] == [GUID + "3"]
    assert [str(change.mark.subject) for change in night.trend.recurring] == [GUID + "1"]
    assert run(table, asked, day=2, repair=Repair("12", "21")).code == ExitCode.CLEAN


def test_a_full_disk_below_the_reports_does_not_cost_the_history_its_night(table: Path, tmp_path: Path) -> None:
    def full(_report: ScanReport) -> tuple[Path, ...]:
        raise WriteFailed("no space")

    night = run(table, options(tmp_path), publish=full)
    assert (night.code, [failure.message for failure in night.failures]) == (ExitCode.ROLLED_BACK, ["no space"])
    assert len(history.nights(tmp_path / "h.db", str(table))) == 1
    assert (tmp_path / "m.prom").exists()


def test_a_history_that_cannot_be_written_does_not_cost_the_reports(table: Path, tmp_path: Path) -> None:
    (tmp_path / "h.db").mkdir()
    night = run(table, options(tmp_path, fail_on="none"))
    assert night.code == ExitCode.UNCHECKED
    assert isinstance(night.failures[0], PermissionDenied)
    assert len([*(tmp_path / "reports").iterdir()]) == 4


def test_a_scan_that_fails_ends_the_night_and_leaves_all_as_it_was(table: Path, tmp_path: Path) -> None:
    run(table, options(tmp_path))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != table}
    table.unlink()
    with pytest.raises(TargetNotFound):
        run(table, options(tmp_path))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("places", [{}, {"history": None}], ids=["beside the history", "beside the reports"])
def test_two_nights_of_one_target_never_run_at_once(places: dict[str, Any], table: Path, tmp_path: Path) -> None:
    asked = options(tmp_path, repair="safe", **places)
    other = write(tmp_path / "other.csv", "12")

    class Meanwhile(Repair):
        def __call__(self, *arguments: Any) -> Repaired:
            with pytest.raises(Locked, match=r"nightly run of .*m\.csv is under way"):
                run(table, asked)
            assert run(other, asked, repair=Repair("12", applied=0)).code == ExitCode.CLEAN
            return super().__call__(*arguments)

    assert run(table, asked, repair=Meanwhile("12")).code == ExitCode.CLEAN
    assert run(table, asked, repair=Repair("12", applied=0)).code == ExitCode.CLEAN


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"reports": None, "repair": "safe"}, "plan beside the reports"),
        ({"history": None, "fail_on": "new"}, "history"),
    ],
)
def test_options_that_do_not_go_together(changed: dict[str, Any], words: str, table: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        run(table, options(tmp_path, **changed))
    assert list(tmp_path.iterdir()) == [table]


@pytest.mark.parametrize("formats", [("pdf",), (), ("html", "")])
def test_a_format_that_does_not_exist_is_refused_first(formats: Sequence[str], table: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="format"):
        mergeguard.nightly(table, nightly_options=options(tmp_path, formats=formats))
    assert list(tmp_path.iterdir()) == [table]


def test_the_public_function_does_it_all(table: Path, tmp_path: Path) -> None:
    night = mergeguard.nightly(table, nightly_options=options(tmp_path))
    assert (night.code, len(night.files)) == (ExitCode.FINDINGS, 5)
    assert mergeguard.nightly(table).code == ExitCode.FINDINGS


@given(st.lists(st.sampled_from([code for code in ExitCode if code < ExitCode.BUG]), min_size=1))
def test_the_gravest_code_wins(codes: list[ExitCode]) -> None:
    order = [6, 5, 1, 2, 3, 4, 0]
    assert gravest(codes) == order[min(order.index(code) for code in codes)]
    assert gravest([*codes, ExitCode.BUG]) == ExitCode.BUG


def test_the_story_of_a_night(table: Path, tmp_path: Path) -> None:
    run(table, options(tmp_path))
    write(table, "12", "21", "34", "43")
    night = run(table, options(tmp_path, repair="safe", reports=tmp_path / "r"), day=1, repair=Repair("12", "21"))
    told = nightly_text(night).splitlines()
    assert told[0] == str(table)
    assert told[1].startswith("before the repair: 2 errors in 4 rows")
    assert told[2].startswith("1 error in 2 rows")
    assert told[3].startswith("history: 0 new, 0 returned, 1 recurring, 1 fixed")
    assert told[4] == (
        f"repair: 1 certain step applied; 'mergeguard undo' takes back run {night.before and night.before.run_id}"
    )
    assert told[5:] == [f"written: {path}" for path in night.files]
    assert nightly_text(replace(night, files=(), removed=night.files[:2], forgotten=3)).splitlines() == [
        *told[:5],
        "removed: 2 report files of nights long ago",
        "history: 3 of the oldest runs were forgotten",
    ]


def test_ports_write_nothing_without_a_place(table: Path) -> None:
    ports = ports_of(NightlyOptions())
    report = mergeguard.scan(table)
    assert isinstance(ports, Ports)
    assert (ports.publish(report), ports.measure(report)) == ((), ())
