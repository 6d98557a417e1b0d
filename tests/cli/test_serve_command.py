"""`mergeguard post` against a server in this process, and what `serve` and `post` refuse."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mergeguard import api
from mergeguard.errors import ExitCode


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a server that is ready."""
    monkeypatch.setenv("MERGEGUARD_EVENT_QUEUE_PATH", str(tmp_path / "EventQueue"))
    stop, started = threading.Event(), threading.Event()
    urls: list[str | None] = []

    def note(url: str | None) -> None:
        urls.append(url)
        started.set()

    thread = threading.Thread(
        target=api.serve, args=(tmp_path / "q.db", stop), kwargs={"port": 0, "workers": False, "started": note}
    )
    thread.start()
    assert started.wait(60)
    assert urls[0] is not None
    yield urls[0]
    stop.set()
    thread.join()


def test_files_are_posted_in_order_and_told_one_by_one(call: Callable, server: str, tmp_path: Path) -> None:
    for name in ("b.nse", "a.nse"):
        (tmp_path / name).write_bytes(b"<event/>")
    (tmp_path / "empty.nse").write_bytes(b"")
    ran = call(
        "post", tmp_path / "b.nse", tmp_path / "empty.nse", tmp_path / "none", tmp_path / "a.nse", "--url", server
    )
    assert ran.code == ExitCode.USAGE
    assert ran.out == f"{tmp_path}/b.nse: event 1\n{tmp_path}/a.nse: event 2\n"
    assert f"{tmp_path}/empty.nse: the server refused it (400): the body is empty" in ran.err
    assert f"{tmp_path}/none: cannot be read: No such file or directory" in ran.err, "its name stands there once"
    assert "2 of 4 refused" in ran.err


def test_stdin_is_posted(run: Callable, server: str) -> None:
    ran = run("post", "-", "--url", server, "--priority", "7", input=b"<event/>")
    assert (ran.code, ran.out, ran.err) == (ExitCode.CLEAN, "-: event 1\n", "")


def test_no_server_is_3(call: Callable, tmp_path: Path) -> None:
    (tmp_path / "a.nse").write_bytes(b"<event/>")
    ran = call("post", tmp_path / "a.nse", "--url", "http://127.0.0.1:1", "--patience", "0s")
    assert ran.refused(ExitCode.UNCHECKED, "127.0.0.1:1 does not answer")
    assert "--patience" in ran.err, "the hint is about servers of events, not about databases"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--source", "42"), "source '42' is no guid"),
        (("--url", "nowhere"), "no address of a web server"),
        (("--patience", "long"), "is no duration"),
        (("--priority", "4096"), "a whole number from 0 to 4,095"),
    ],
)
def test_what_makes_no_sense_is_2(call: Callable, tmp_path: Path, arguments: tuple[str, str], told: str) -> None:
    (tmp_path / "a.nse").write_bytes(b"<event/>")
    ran = call("post", tmp_path / "a.nse", *arguments)
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert told in ran.err
