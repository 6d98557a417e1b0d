"""The history file: what it keeps, what it refuses, and that it stays whole whatever happens to a writer."""

from __future__ import annotations

import datetime as dt
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeguard.core import trend
from mergeguard.core.findings import Finding, Outcome, ScanReport, Severity
from mergeguard.errors import (
    Locked,
    MergeGuardError,
    NotADatabase,
    PermissionDenied,
    TargetNotFound,
    Unsupported,
    UsageError,
)
from mergeguard.integrity import history as use_case
from mergeguard.storage.own_files import history
from mergeguard.storage.own_files.history import HistoryStore

DAY_ONE = dt.datetime(2026, 3, 1, 2, 30, tzinfo=dt.UTC)


def finding(name: str, rule: str = "MG001", severity: Severity = Severity.ERROR) -> Finding:
    return Finding(rule, severity, f"cell text {name}", name, uuid.uuid5(uuid.NAMESPACE_DNS, name))


def report(number: int, *names: str, target: str = "sqlite:///db", **changes: Any) -> ScanReport:
    values: dict[str, Any] = {
        "run_id": f"{target}-{number}",
        "tool_version": "1.0",
        "target": target,
        "profile": "reference",
        "started": DAY_ONE + dt.timedelta(days=number),
        "finished": DAY_ONE + dt.timedelta(days=number, seconds=9, microseconds=7),
        "rows": 100,
        "guids": 90,
        "isolation": "snapshot",
        "complete": True,
        "outcomes": (Outcome("MG001", "cycle", Severity.ERROR, len(names), tuple(map(finding, names))),),
    }
    return ScanReport(**values | changes)


@st.composite
def reports(draw: st.DrawFn) -> list[ScanReport]:
    nights = []
    for number in range(draw(st.integers(1, 6))):
        outcomes = []
        for rule in ("MG001", "MG002"):
            names = draw(st.sets(st.sampled_from("abcd")))
            accepted = draw(st.sets(st.sampled_from("abcd"))) - names
            unnamed = draw(st.sampled_from((0, 0, 3)))
            reason = draw(st.sampled_from((None, None, "no liveness")))
            found = () if reason else tuple(finding(name, rule) for name in sorted(names))
            count = len(found) + unnamed if reason is None else 0
            outcomes.append(
                Outcome(rule, rule, Severity.ERROR, count, found, reason, len(accepted), tuple(sorted(accepted)))
            )
        target = draw(st.sampled_from(("one", "two")))
        complete = draw(st.sampled_from((True, True, True, False)))
        nights.append(report(number, target=target, complete=complete, outcomes=tuple(outcomes)))
    return nights


@settings(deadline=None)
@given(reports(), st.randoms(use_true_random=False))
def test_the_file_answers_like_the_nights_themselves_in_whatever_order_they_were_recorded(
    nights: list[ScanReport], random: Any
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state" / "history.db"
        for one in random.sample(nights, len(nights)):
            HistoryStore(path).record(one)
        for target in {one.target for one in nights}:
            own = [trend.night_of(one) for one in nights if one.target == target]
            for until, night in enumerate(own, 1):
                got = use_case.trend(path, target, night.run_id)
                expected = trend.compare(target, own[:until])
                assert [(c.state, c.mark.rule, c.mark.fingerprint, c.first_seen) for c in got.changes] == [
                    (c.state, c.mark.rule, c.mark.fingerprint, c.first_seen) for c in expected.changes
                ]
                assert (got.rules, got.notes, got.nights) == (expected.rules, expected.notes, until)
            assert use_case.trend(path, target) == use_case.trend(path, target, own[-1].run_id)
            kept = use_case.nights(path, target)
            assert [(one.run_id, one.rules, one.started, one.finished) for one in kept] == [
                (one.run_id, one.rules, one.started, one.finished) for one in reversed(own)
            ]
            assert use_case.nights(path, target, 2) == kept[:2]


def test_remember_records_and_compares(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    assert [change.mark.fingerprint for change in use_case.remember(report(0, "a", "b"), path).new] == ["a", "b"]
    second = use_case.remember(report(1, "b", "c"), path)
    assert [change.mark for change in second.fixed] == [trend.Mark("MG001", "a", finding("a").subject)]
    assert second.rules[0].mean_time_to_repair == dt.timedelta(days=1)
    assert use_case.targets(path) == ("sqlite:///db",)


def test_nothing_of_the_scanned_database_is_kept_but_the_subjects_guid(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    HistoryStore(path).record(report(0, "a", labels={finding("a").subject: "cell text label"}))
    kept = path.read_bytes()
    assert b"cell text" not in kept
    assert uuid.uuid5(uuid.NAMESPACE_DNS, "a").bytes in kept


def test_a_run_is_kept_once(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path / "history.db")
    store.record(report(0, "a"))
    before = store.path.read_bytes()
    with pytest.raises(UsageError, match="already in the history"):
        store.record(report(0, "b"))
    assert store.path.read_bytes() == before


@pytest.mark.parametrize("ask", [use_case.trend, use_case.nights])
def test_reading_makes_no_file(tmp_path: Path, ask: Any) -> None:
    with pytest.raises(TargetNotFound, match="no history at") as caught:
        ask(tmp_path / "history.db", "db")
    assert "scan TARGET --remember" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_target_or_run_is_named(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    use_case.remember(report(0, "a"), path)
    with pytest.raises(TargetNotFound, match="no run of other"):
        use_case.trend(path, "other")
    with pytest.raises(TargetNotFound, match="no run 77 of") as caught:
        use_case.trend(path, "sqlite:///db", "77")
    assert "sqlite:///db-0" in (caught.value.hint or "")
    assert use_case.nights(path, "other") == ()


def test_reading_changes_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    use_case.remember(report(0, "a"), path)
    before = path.read_bytes()
    use_case.trend(path, "sqlite:///db")
    use_case.nights(path, "sqlite:///db")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_newer_layout_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    use_case.remember(report(0, "a"), path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {history.SCHEMA_VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    for ask in (lambda: use_case.remember(report(1), path), lambda: use_case.trend(path, "sqlite:///db")):
        with pytest.raises(Unsupported, match="newer MergeGuard"):
            ask()
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "vendor.db"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute("CREATE TABLE ResourceMerge (OldGuid, NewGuid)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    for ask in (lambda: use_case.remember(report(0), path), lambda: use_case.trend(path, "db")):
        with pytest.raises(NotADatabase, match="not a history of MergeGuard"):
            ask()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@settings(deadline=None)
@given(st.data())
def test_a_damaged_file_gives_a_clear_error_or_the_whole_answer(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.db"
        use_case.remember(report(0, *(f"f{number}" for number in range(200))), path)
        whole = path.read_bytes()
        start = data.draw(st.integers(0, len(whole) - 1))
        damage = data.draw(st.binary(min_size=1, max_size=600))
        path.write_bytes(whole[:start] + damage + whole[start + len(damage) :])
        for ask in (lambda: use_case.trend(path, "sqlite:///db"), lambda: use_case.remember(report(1, "x"), path)):
            try:
                ask()
            except MergeGuardError as error:
                assert str(path) in error.message  # noqa: PT017 - either outcome is right; a traceback is not


@pytest.mark.parametrize("text", [b"this is no database at all" * 40, b"SQLite format 3\0"])
def test_a_file_that_is_no_database(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(text)
    with pytest.raises(NotADatabase):
        use_case.trend(path, "db")
    with pytest.raises(NotADatabase):
        use_case.remember(report(0), path)
    assert path.read_bytes() == text


def test_an_empty_file_is_filled_by_recording_only(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    path.touch()
    with pytest.raises(NotADatabase, match="is empty"):
        use_case.trend(path, "db")
    assert path.read_bytes() == b""
    assert use_case.remember(report(0, "a"), path).nights == 1


def test_a_folder_that_is_a_file_and_a_file_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with pytest.raises(PermissionDenied, match="cannot be used"):
        use_case.remember(report(0), tmp_path / "plain" / "history.db")
    with pytest.raises(PermissionDenied, match="cannot be opened"):
        use_case.remember(report(0), tmp_path)


def test_a_path_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    target = os.fsdecode(b"/srv/caf\xe9.db")
    use_case.remember(report(0, "a", target=target, run_id="1"), path)
    assert use_case.trend(path, target).nights == 1


def test_a_lock_held_too_long_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.db"
    use_case.remember(report(0), path)
    monkeypatch.setattr(history, "BUSY_SECONDS", 0.01)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Locked, match="locked"):
        use_case.remember(report(1), path)
    other.close()
    assert use_case.remember(report(1), path).nights == 2


_CHILD = """
    import sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    import {module} as nights
    from mergeguard.storage.own_files import history
    path = Path(sys.argv[1])
"""


def child(path: Path, body: str, *arguments: str) -> subprocess.Popen[str]:
    """Start another Python with this module at hand."""
    start = textwrap.dedent(_CHILD).format(tests=str(Path(__file__).parent), module=Path(__file__).stem)
    return subprocess.Popen(
        [sys.executable, "-c", start + textwrap.dedent(body), str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(history.__file__).parents[2],
    )


def test_two_processes_record_into_one_new_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "history.db"
    body = """
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(15):
            nights.use_case.remember(nights.report(number, "a", target=sys.argv[2]), path)
    """
    writers = [child(path, body, name) for name in ("one", "two")]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    for name in ("one", "two"):
        assert use_case.trend(path, name).nights == 15


def test_a_killed_writer_leaves_the_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    use_case.remember(report(0, "a"), path)
    before = use_case.trend(path, "sqlite:///db")
    # A tiny cache makes SQLite write half of the transaction into the file before it is killed.
    writer = child(
        path,
        """
        whole = history._insert_marks
        def half(connection, *rest, **named):
            connection.execute("PRAGMA cache_size = 1")
            whole(connection, *rest, **named)
            print("half", flush=True)
            sys.stdin.readline()
        history._insert_marks = half
        history.HistoryStore(path).record(nights.report(1, *(f"f{n}" for n in range(5000))))
        """,
    )
    size = path.stat().st_size
    assert writer.stdout is not None
    assert writer.stdout.readline() == "half\n"
    assert path.stat().st_size > size
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert path.with_name("history.db-journal").exists()
    assert use_case.trend(path, "sqlite:///db") == before
    assert use_case.remember(report(1, "b"), path).nights == 2


def test_a_full_disk_records_nothing(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    use_case.remember(report(0, "a"), path)
    writer = child(
        path,
        """
        import resource, signal
        from mergeguard.errors import WriteFailed
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (80_000, 80_000))
        try:
            nights.use_case.remember(nights.report(1, *(f"f{n}" for n in range(5000))), path)
        except WriteFailed as error:
            print(error.message)
        """,
    )
    out, _ = writer.communicate()
    assert "nothing was recorded" in out
    assert use_case.trend(path, "sqlite:///db").nights == 1
