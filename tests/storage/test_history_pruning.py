"""Old runs go out of the history whole; what is left answers as if they had never been."""

from __future__ import annotations

import datetime as dt
import sqlite3
import tempfile
import uuid
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.findings import Finding, Outcome, ScanReport, Severity
from mergeguard.errors import NotADatabase, TargetNotFound
from mergeguard.integrity import history as use_case
from mergeguard.storage.own_files.history import HistoryStore

DAY_ONE = dt.datetime(2026, 3, 1, 2, 30, tzinfo=dt.UTC)


def night(target: str, number: int, names: set[str], accepted: set[str]) -> ScanReport:
    found = tuple(
        Finding("MG001", Severity.ERROR, name, name, uuid.uuid5(uuid.NAMESPACE_DNS, name))
        for name in sorted(names - accepted)
    )
    outcome = Outcome("MG001", "cycle", Severity.ERROR, len(found), found, None, len(accepted), tuple(sorted(accepted)))
    started = DAY_ONE + dt.timedelta(days=number)
    return ScanReport(
        run_id=f"{target}-{number}",
        tool_version="1.0",
        target=target,
        profile="reference",
        started=started,
        finished=started,
        rows=9,
        guids=9,
        isolation="snapshot",
        complete=True,
        outcomes=(outcome,),
    )


NAMES = st.sets(st.sampled_from("abcd"))
NIGHTS = st.lists(st.tuples(st.sampled_from(("one", "two")), NAMES, NAMES), min_size=1, max_size=8)


@given(NIGHTS, st.integers(1, 5))
def test_what_is_left_is_as_if_the_older_runs_had_never_been(
    nights: list[tuple[str, set[str], set[str]]], keep: int
) -> None:
    reports = [night(target, number, *rest) for number, (target, *rest) in enumerate(nights)]
    own = [report for report in reports if report.target == "one"]
    others = [report for report in reports if report.target == "two"]
    with tempfile.TemporaryDirectory() as folder:
        pruned, fresh = HistoryStore(Path(folder) / "pruned.db"), HistoryStore(Path(folder) / "fresh.db")
        for report in reports:
            pruned.record(report)
        for report in [*own[-keep:], *others]:
            fresh.record(report)
        assert pruned.prune("one", keep) == max(0, len(own) - keep)
        assert pruned.prune("one", keep) == 0
        for target in {report.target for report in reports}:
            assert pruned.nights(target) == fresh.nights(target)
            assert pruned.compare(target) == fresh.compare(target)
        assert left_over(pruned.path) == []


def left_over(path: Path) -> list[tuple[object, ...]]:
    """Rows that belong to no run."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT 'seen', night_id FROM seen WHERE night_id NOT IN (SELECT id FROM night)"
            " UNION ALL SELECT 'count', night_id FROM rule_count WHERE night_id NOT IN (SELECT id FROM night)"
            " UNION ALL SELECT 'defect', id FROM defect WHERE id NOT IN (SELECT defect_id FROM seen)"
        ).fetchall()


def test_a_history_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(TargetNotFound):
        use_case.prune(tmp_path / "history.db", "one", 3)
    assert list(tmp_path.iterdir()) == []


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE night (id INTEGER PRIMARY KEY)")
    before = path.read_bytes()
    with pytest.raises(NotADatabase):
        use_case.prune(path, "one", 3)
    assert path.read_bytes() == before


def test_an_unknown_target_and_no_nights_at_all(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path / "history.db")
    store.record(night("one", 1, {"a"}, set()))
    assert store.prune("other", 1) == 0
    with pytest.raises(ValueError, match="0 runs"):
        store.prune("one", 0)
    assert len(store.nights("one")) == 1
