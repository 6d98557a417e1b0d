"""The server in this process: what ends it, and how."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest
import uvicorn
from intake_world import PlainStore

from mergeguard.errors import ConnectFailed, LoginFailed, MergeGuardError, UsageError
from mergeguard.processor.intake.serving import LOCK, Address
from mergeguard.processor.metrics import ServerMetrics
from mergeguard.processor.serving import Server
from mergeguard.processor.settings import Settings
from mergeguard.storage.own_files.process_lock import held

HERE = Address("127.0.0.1", 0)


def server(root: Path, *, prepare: object = lambda: None, address: Address | None = HERE, **named: object) -> Server:
    settings = Settings(event_queue_path=root, probe_seconds=0.01)
    return Server(PlainStore(), lambda: settings, ServerMetrics(lambda: None), prepare, address, **named)  # type: ignore[arg-type]


def test_it_is_ready_when_the_database_is_and_says_what_it_waits_for_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    failures: list[MergeGuardError] = [ConnectFailed("away"), ConnectFailed("away"), ConnectFailed("still away")]
    stop = threading.Event()

    def prepare() -> None:
        if failures:
            raise failures.pop(0)
        stop.set()

    assert server(tmp_path, prepare=prepare).run(stop)
    assert [record.message for record in caplog.records if record.name == "mergeguard.processor.serving"] == [
        "serving",
        "waiting for the database",
        "waiting for the database",
        "ready",
        "stopped",
    ]


def test_what_the_database_refuses_for_good_ends_it(tmp_path: Path) -> None:
    def prepare() -> None:
        raise LoginFailed("no")

    stop = threading.Event()
    with pytest.raises(LoginFailed):
        server(tmp_path, prepare=prepare).run(stop)
    assert stop.is_set()
    with held(tmp_path / LOCK, "another"):
        pass  # the lock is free again


def test_a_stop_before_the_database_answers_is_a_clean_end(tmp_path: Path) -> None:
    stop = threading.Event()

    def prepare() -> None:
        stop.set()
        raise ConnectFailed("away")

    assert server(tmp_path, prepare=prepare).run(stop)


def test_a_bug_of_the_web_server_ends_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_server: uvicorn.Server, sockets: object = None) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(uvicorn.Server, "run", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        server(tmp_path).run(threading.Event())


def test_a_bug_beside_it_does_not_leave_threads_behind(tmp_path: Path) -> None:
    stop = threading.Event()

    def prepare() -> None:
        raise KeyError("a bug")

    before = threading.active_count()
    with pytest.raises(KeyError):
        server(tmp_path, prepare=prepare).run(stop)
    assert threading.active_count() == before


def test_what_runs_beside_it_is_stopped_with_it(tmp_path: Path) -> None:
    stop, ran = threading.Event(), []

    def beside(told: threading.Event) -> None:
        stop.set()
        assert told.wait(30)
        ran.append(True)

    assert server(tmp_path, beside=[beside, beside]).run(stop)
    assert ran == [True, True]


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "EvtQFast").write_text("")
    with pytest.raises(UsageError, match="EvtQFast is no folder"):
        server(tmp_path).run(threading.Event())
