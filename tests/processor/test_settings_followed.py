"""Settings that are followed while a server runs: changed, spoiled, mended, taken away, put back."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mergeguard.errors import UsageError
from mergeguard.processor.settings_file import SettingsFile


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def put(path: Path, text: str, stamp: list[int] | None = None) -> None:
    """Write a file with a time of change of its own: two writes in one tick of the file system look alike."""
    path.write_text(text, "utf-8")
    if stamp is not None:
        stamp[0] += 1
        os.utime(path, ns=(stamp[0] * 10**9, stamp[0] * 10**9))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mergeguard.toml"
    put(path, "[event_queue]\nevent_retry_limit = 5\n")
    return path


def test_a_changed_file_is_in_force_at_the_next_look_and_not_before(path: Path) -> None:
    clock = Clock()
    settings = SettingsFile([path], clock=clock)
    put(path, "[event_queue]\nevent_retry_limit = 61\nsettings_interval_seconds = 2\n")

    clock.now = 14.9
    assert settings.current().event_retry_limit == 5
    clock.now = 15.0
    assert settings.current().event_retry_limit == 61
    put(path, "[event_queue]\nevent_retry_limit = 7\n")
    clock.now = 17.0
    assert settings.current().event_retry_limit == 7


def test_a_bad_file_stops_a_start(path: Path) -> None:
    put(path, "[event_queue]\nevent_retry_limit = -5\n")
    with pytest.raises(UsageError, match="event_retry_limit cannot be -5"):
        SettingsFile([path])


def test_a_file_that_turns_bad_leaves_the_last_good_settings_and_says_so(path: Path) -> None:
    clock = Clock()
    settings = SettingsFile([path], clock=clock)
    good = settings.current()
    put(path, "[event_queue]\nevent_retry_limit = 'none'\n")

    clock.now = 20.0
    assert settings.current() is good
    assert f"{path}:2: event_retry_limit cannot be 'none'" in str(settings.complaint)
    assert str(settings.complaint).endswith("the settings from before stay in force")
    path.unlink()
    clock.now = 40.0
    assert settings.current() is good
    assert "No such file" in str(settings.complaint)
    put(path, "[event_queue]\nevent_retry_limit = 9\n")
    clock.now = 60.0
    assert (settings.current().event_retry_limit, settings.complaint) == (9, None)


def test_the_folder_of_the_queue_stays_until_the_next_start(tmp_path: Path, path: Path) -> None:
    clock = Clock()
    put(path, "[event_queue]\nevent_queue_path = 'one'\n")
    settings = SettingsFile([path], clock=clock)
    put(path, "[event_queue]\nevent_queue_path = 'another'\nfast_threads = 9\n")

    clock.now = 20.0
    found = settings.current()

    assert (found.event_queue_path, found.fast_threads) == (tmp_path / "one", 9)
    assert found.notes == (f"{path}:2: event_queue_path changes at the next start",)
    assert SettingsFile([path]).current().event_queue_path == tmp_path / "another"


def test_the_environment_wins_over_a_changed_file(path: Path) -> None:
    clock = Clock()
    settings = SettingsFile([path], {"MERGEGUARD_EVENT_RETRY_LIMIT": "2"}, clock=clock)
    put(path, "[event_queue]\nevent_retry_limit = 61\nfast_threads = 3\n")
    clock.now = 20.0
    assert (settings.current().event_retry_limit, settings.current().fast_threads) == (2, 3)


def test_many_threads_may_ask(path: Path) -> None:
    clock = Clock()
    settings = SettingsFile([path], clock=clock)
    put(path, "[event_queue]\nevent_retry_limit = 61\n")
    clock.now = 20.0
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(settings.current().event_retry_limit)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [61] * 8


class Followed(RuleBasedStateMachine):
    """The model: what the last good file said, and whether the newest one is good."""

    @initialize()
    def begin(self) -> None:
        import tempfile  # noqa: PLC0415 - a machine has no fixtures

        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "mergeguard.toml"
        self.stamp, self.clock = [1_000_000_000], Clock()
        put(self.path, "", self.stamp)
        self.settings = SettingsFile([self.path], clock=self.clock)
        self.good = self.newest = 3
        self.bad = self.looked_bad = False
        self.looked = 3

    @rule(limit=st.integers(0, 9))
    def write_good(self, limit: int) -> None:
        put(self.path, f"[event_queue]\nevent_retry_limit = {limit}\n", self.stamp)
        self.newest, self.bad = limit, False

    @rule(text=st.sampled_from(["[event_queue]\nevent_retry_limit = -1", "[", "[event_queue]\nnonsense = 1"]))
    def write_bad(self, text: str) -> None:
        put(self.path, text, self.stamp)
        self.bad = True

    @precondition(lambda self: self.path.exists())
    @rule()
    def remove(self) -> None:
        self.path.unlink()
        self.bad = True

    @rule(seconds=st.sampled_from([1.0, 14.0, 15.0]))
    def time_goes_on(self, seconds: float) -> None:
        self.clock.now += seconds
        if self.clock.now - getattr(self, "last_look", 0.0) >= 15.0:
            self.last_look = self.clock.now
            self.looked, self.looked_bad = (self.looked, True) if self.bad else (self.newest, False)
        self.settings.current()

    @invariant()
    def the_last_good_one_that_was_seen_is_in_force(self) -> None:
        if hasattr(self, "settings"):
            assert self.settings.current().event_retry_limit == self.looked
            assert (self.settings.complaint is not None) == self.looked_bad

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestFollowed = Followed.TestCase
