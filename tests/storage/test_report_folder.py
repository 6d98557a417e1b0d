"""The folder of reports: names that sort by time, and nothing removed that is not ours."""

from __future__ import annotations

import datetime as dt
import string
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mergeguard.errors import PermissionDenied, UsageError
from mergeguard.storage.own_files.report_folder import ReportFolder

SUFFIXES = st.sampled_from(("html", "json", "sarif", "plan.json"))
MOMENTS = st.integers(631_152_000, 6_942_672_000).map(lambda second: dt.datetime.fromtimestamp(second, dt.UTC))
RUNS = st.text("0123456789abcdef", min_size=32, max_size=32)
NAMES = st.one_of(
    st.text(string.ascii_letters + string.digits + ".-_", min_size=1, max_size=40),
    st.from_regex(r"mergeguard-[0-9]{8}T[0-9]{6}Z?-[0-9a-f]{7,9}\.[a-zA-Z]{1,5}(\.bak)?", fullmatch=True),
)


@given(st.lists(st.tuples(MOMENTS, RUNS, SUFFIXES), max_size=8), MOMENTS)
def test_what_is_older_goes_and_the_rest_stays(runs: list[tuple[dt.datetime, str, str]], before: dt.datetime) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = ReportFolder(Path(name))
        written = {folder.dated(*run): run for run in runs}
        kept = [folder.latest("html"), folder.latest("plan.json"), folder.path / "notes.html"]
        for path in (*written, *kept):
            path.touch()
        gone = sorted(path for path, run in written.items() if run[0] < before)
        assert folder.prune(before) == tuple(gone)
        assert set(folder.path.iterdir()) == {*kept, *written} - {*gone}
        assert folder.prune(before) == ()


@given(NAMES)
def test_no_other_file_is_ever_removed(name: str) -> None:
    assume(name not in {".", ".."})
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / name
        path.touch()
        removed = ReportFolder(Path(place)).prune(dt.datetime.max.replace(tzinfo=dt.UTC))
        assert path.exists() or removed == (path,)
        if removed:  # then the name is one that this module gives
            _, stamp, rest = name.split("-")
            moment = dt.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
            run, suffix = rest.split(".", 1)
            assert ReportFolder(Path(place)).dated(moment, run, suffix) == path


@given(st.lists(MOMENTS, min_size=2, max_size=5, unique=True), RUNS)
def test_names_sort_as_the_nights_do(moments: list[dt.datetime], run: str) -> None:
    folder = ReportFolder(Path("reports"))
    assert sorted(moments) == sorted(moments, key=lambda moment: folder.dated(moment, run, "html"))


def test_two_runs_of_one_second_have_two_names() -> None:
    folder, moment = ReportFolder(Path("reports")), dt.datetime(2026, 3, 1, 2, 30, tzinfo=dt.UTC)
    assert folder.dated(moment, "a" * 32, "html").name == "mergeguard-20260301T023000Z-aaaaaaaa.html"
    assert folder.dated(moment, "a" * 32, "html") != folder.dated(moment, "b" * 32, "html")


def test_the_name_tells_the_time_in_utc() -> None:
    east = dt.datetime(2026, 3, 1, 2, 30, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=45)))
    assert "20260228T204500Z" in ReportFolder(Path("reports")).dated(east, "a" * 32, "html").name


def test_folders_and_links_of_our_names_stay(tmp_path: Path) -> None:
    folder = ReportFolder(tmp_path)
    (tmp_path / "mergeguard-20200101T000000Z-aaaaaaaa.html").mkdir()
    (tmp_path / "mergeguard-20200101T000000Z-bbbbbbbb.html").symlink_to("/etc/hostname")
    assert folder.prune(dt.datetime.max.replace(tzinfo=dt.UTC)) == ()
    assert len([*tmp_path.iterdir()]) == 2


def test_the_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    folder = ReportFolder(tmp_path / "a" / "b")
    folder.prepare()
    folder.prepare()
    assert folder.path.is_dir()


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(UsageError, match="is no folder"):
            ReportFolder(path).prepare()


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(PermissionDenied, match="cannot be tidied up"):
        ReportFolder(tmp_path / "gone").prune(dt.datetime.max.replace(tzinfo=dt.UTC))
