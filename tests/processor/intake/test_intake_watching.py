from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from mergeguard.processor.intake.watching import FolderWatch

LONG = 250.0
"""Seconds that nobody waits: the test's own limit is not much longer."""


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


def test_a_change_in_any_folder_ends_the_wait(tmp_path: Path, stop: threading.Event) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    watch = FolderWatch(folders, stop)
    watch.start()
    for folder in folders:
        # The watch may not stand yet, so there is a change after the other.
        for number in count():
            (folder / str(number)).touch()
            if watch._changed.wait(0.05):
                break
        assert watch.wait(LONG)
    stop.set()
    watch.close()


def test_a_wait_ends_by_itself_and_says_when_it_is_over(tmp_path: Path, stop: threading.Event) -> None:
    watch = FolderWatch([tmp_path], stop)
    watch.start()
    assert watch.wait(0.0)
    stop.set()
    watch.close()
    assert not watch.wait(LONG)


def test_a_folder_that_cannot_be_watched_is_told_and_still_looked_into(
    tmp_path: Path, stop: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    watch = FolderWatch([tmp_path / "none"], stop)
    watch.start()
    watch._thread.join()
    assert "are not watched" in caplog.records[-1].message
    assert watch.wait(0.0)
    stop.set()
    watch.close()
