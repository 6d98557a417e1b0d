"""The repair of a night on a real database: what is certain, by a plan that is kept, and taken back by undo."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import mergeguard
from mergeguard.core.repair.evidence import Confidence
from mergeguard.errors import ApplyFailed, ConnectionLost, ExitCode, Stale
from mergeguard.integrity import nightly_repair
from mergeguard.integrity.nightly import Nightly, NightlyOptions
from mergeguard.render.nightly import nightly_text
from mergeguard.storage.own_files.plan_file import load_plan


@pytest.fixture(scope="module")
def made_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mergeguard.make_demo(tmp_path_factory.mktemp("demo")).database


@pytest.fixture
def demo(made_demo: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made_demo, tmp_path / "tz.db"))


def night(demo: Path, **more: Any) -> Nightly:
    options = NightlyOptions(reports=demo.parent / "reports", history=demo.parent / "h.db", repair="safe", **more)
    return mergeguard.nightly(demo, nightly_options=options)


def counts(report: mergeguard.ScanReport) -> dict[str, int]:
    return {outcome.name: outcome.count for outcome in report.outcomes}


def test_the_certain_is_repaired_and_the_rest_is_left(demo: Path) -> None:
    done = night(demo)
    assert done.before is not None
    assert (counts(done.before)["cycle"], counts(done.report)["cycle"]) == (3, 0)
    assert counts(done.report)["split"] > 0
    assert done.code == ExitCode.FINDINGS
    assert done.repaired is not None
    assert done.repaired.plan_file is not None
    assert done.repaired.plan_file in done.files
    plan = load_plan(done.repaired.plan_file, now=None)
    assert {step.confidence for step in plan.steps} == {Confidence.CERTAIN}
    assert (done.repaired.applied, done.repaired.refused) == (len(plan.steps), len(plan.refused))
    assert done.repaired.run_id == plan.plan_id
    assert f"'mergeguard undo' takes back run {plan.plan_id}" in nightly_text(done)


def test_a_second_night_finds_nothing_certain(demo: Path) -> None:
    night(demo)
    before = demo.read_bytes()
    again = night(demo)
    assert again.repaired is not None
    assert (again.repaired.run_id, again.before) == (None, None)
    assert "repair: nothing was certain" in nightly_text(again)
    assert demo.read_bytes() == before


def test_the_nights_run_is_taken_back_by_undo(demo: Path) -> None:
    first = mergeguard.scan(demo)
    done = night(demo)
    assert done.repaired is not None
    assert done.repaired.run_id is not None
    mergeguard.undo(demo, done.repaired.run_id)
    assert counts(mergeguard.scan(demo)) == counts(first)


def test_a_plan_that_is_refused_is_told_and_nothing_is_scanned_again(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(*_: object, **__: object) -> None:
        raise Stale("rows changed")

    monkeypatch.setattr(nightly_repair, "apply_plan", stale)
    done = night(demo)
    assert (done.code, done.before) == (ExitCode.PLAN_REFUSED, None)
    assert done.repaired is not None
    assert (done.repaired.run_id, done.repaired.applied) == (None, 0)
    assert done.repaired.plan_file is not None
    assert done.repaired.plan_file.exists()
    assert "repair: not done" in nightly_text(done)


def test_what_a_repair_did_before_it_failed_is_counted(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply_plan = nightly_repair.apply_plan

    def half(*given: Any, **more: Any) -> None:
        apply_plan(*given, **more)
        raise ApplyFailed("rolled back")

    monkeypatch.setattr(nightly_repair, "apply_plan", half)
    done = night(demo)
    assert done.code == ExitCode.ROLLED_BACK
    assert done.repaired is not None
    assert done.repaired.applied > 0
    assert counts(done.report)["cycle"] == 0, "the second scan saw what was done"


def test_a_journal_that_cannot_be_asked_counts_as_maybe(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object, **__: object) -> None:
        raise ConnectionLost("gone")

    monkeypatch.setattr(nightly_repair, "apply_plan", lost)
    monkeypatch.setattr("mergeguard.storage.journal.writing.Journal.exists", lost)
    done = night(demo, fail_on="none")
    assert done.code == ExitCode.UNCHECKED
    assert done.before is not None, "nobody knows what was applied, so it is looked at again"


def test_a_file_cannot_be_repaired_and_says_so(tmp_path: Path) -> None:
    target = tmp_path / "m.csv"
    target.write_text("OldGuid,NewGuid\n")
    done = night(target)
    assert done.code == ExitCode.UNCHECKED
    assert "a plan needs a database" in done.failures[0].message
