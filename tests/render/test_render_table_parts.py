"""Parts of the report for people that are there only where there is something to say."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.findings import Finding, Outcome, ScanReport, Severity
from mergeguard.render import plain, render_scan


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_east")
def test_a_time_without_a_zone_is_utc_wherever_the_computer_stands() -> None:
    assert plain.time(dt.datetime(2024, 1, 2, 3, 4, 5)) == "2024-01-02T03:04:05Z"  # noqa: DTZ001 - the point of the test


@given(fixes=st.lists(st.sampled_from(["mend it", "undo it", ""]), min_size=1, max_size=4))
def test_a_fix_is_said_once_where_all_share_it_and_beside_each_where_they_do_not(
    report: ScanReport, fixes: list[str]
) -> None:
    findings = tuple(Finding("MG001", Severity.ERROR, f"n{at}", f"{at}", fix=fix) for at, fix in enumerate(fixes))
    one = replace(report, outcomes=(Outcome("MG001", "cycle", Severity.ERROR, len(findings), findings),))
    lines = render_scan(one, "table", width=200).splitlines()
    said = [line for line in lines if line.strip().startswith("fix: ")]
    if len(set(fixes)) == 1:
        assert said == [f"  fix: {fixes[0]}"] * bool(fixes[0])
    else:
        assert said == [f"     fix: {fix}" for fix in fixes if fix]


@pytest.mark.parametrize("statuses", [{}, {"ok": 3}])
@pytest.mark.parametrize("depths", [(), (0, 3)])
def test_depths_are_a_part_where_there_are_olds(
    report: ScanReport, statuses: dict[str, int], depths: tuple[int, ...]
) -> None:
    text = render_scan(replace(report, statuses=statuses, depths=depths, max_depth=1), "table")
    assert ("Olds by depth" in text) == bool(statuses or depths)
    assert ("status: ok 3" in text) == bool(statuses)
    assert ("  1  #" in text) == bool(depths)


def test_notes_and_the_time_that_it_took_are_at_the_foot(report: ScanReport) -> None:
    foot = render_scan(report, "table", width=200).split("About this scan\n")[1]
    assert "  note: 3 rows were added while the scan ran\n" in foot
    assert f"  profile {report.profile}, run {report.run_id}, 2.00 s\n" in foot
    back = replace(report, finished=report.started - dt.timedelta(seconds=9))
    assert ", 0.00 s\n" in render_scan(back, "table", width=200), "a clock that was set back takes no time away"
