"""The posting client against a small server of the test's own that answers as it is told."""

from __future__ import annotations

import http.client
import io
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import IO
from urllib.parse import parse_qs, urlsplit

import pytest

from mergeguard import api
from mergeguard.errors import ConnectFailed, ExitCode, UsageError
from mergeguard.processor.intake.client import EventPoster, Patience
from mergeguard.processor.intake.posts import POST_EVENT
from mergeguard.processor.intake.refusals import Busy, Refused

SOURCE = uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")


class Agentless:
    """A server that answers from a list and remembers what it got."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes] | None] = []
        """``None``: hang up."""
        self.got: list[tuple[str, dict[str, list[str]], bytes]] = []
        agentless = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                agentless.got.append((parts.path, parse_qs(parts.query), body))
                answer = agentless.answers.pop(0) if agentless.answers else (200, {}, b"event 7\n")
                if answer is None:
                    self.connection.close()
                    return
                self.send_response(answer[0])
                for name, value in answer[1].items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer[2])

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def there() -> Iterator[Agentless]:
    server = Agentless()
    yield server
    server.close()


def poster(there: Agentless, waited: list[float], patience: float = 1_000) -> EventPoster:
    return EventPoster(there.url, Patience(patience, waited.append), timeout=30)


def body() -> IO[bytes]:
    return io.BytesIO(b"<a/>")


def busy(after: str | None = "5") -> tuple[int, dict[str, str], bytes]:
    return 503, {} if after is None else {"Retry-After": after}, b"server busy: queue full\n"


def test_an_event_is_posted_to_the_agents_page(there: Agentless) -> None:
    waited: list[float] = []
    assert poster(there, waited).post(body, source=SOURCE, priority=9) == "event 7"
    assert there.got == [(POST_EVENT, {"priority": ["9"], "source": [str(SOURCE)]}, b"<a/>")]
    assert waited == []


def test_a_busy_server_is_asked_again_when_it_says(there: Agentless) -> None:
    waited: list[float] = []
    there.answers = [busy("5"), busy("17"), busy(None), busy("soon"), busy("-3")]
    assert poster(there, waited).post(body) == "event 7"
    # Where it does not say when, the pauses are ours and double from try to try.
    assert waited == [5.0, 17.0, 4.0, 8.0, 16.0]
    assert [got[2] for got in there.got] == [b"<a/>"] * 6


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_an_answer_that_says_nothing_against_the_event_is_asked_again(there: Agentless, status: int) -> None:
    there.answers = [(status, {}, b"<html>Bad gateway: no</html>")]
    assert poster(there, []).post(body) == "event 7"
    there.answers = [(status, {}, b"<html>Bad gateway: no</html>")]
    with pytest.raises(Busy, match=f"^server busy: it answered {status}$"):
        poster(there, [], 0).post(body)


def test_a_server_that_hangs_up_is_asked_again(there: Agentless) -> None:
    waited: list[float] = []
    there.answers = [None] * 8
    assert poster(there, waited).post(body) == "event 7"
    assert waited == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


@pytest.mark.parametrize("patience", [0.0, 4.0, 9.9])
def test_patience_ends(there: Agentless, patience: float) -> None:
    waited: list[float] = []
    there.answers = [busy("5")] * 10
    with pytest.raises(Busy, match=r"^server busy: queue full$") as raised:
        poster(there, waited, patience).post(body)
    assert waited == ([5.0] if patience > 5 else [])
    assert raised.value.exit_code is ExitCode.UNCHECKED


def test_no_server_is_told(there: Agentless) -> None:
    there.close()
    waited: list[float] = []
    with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1:.* does not answer: .*refused"):
        poster(there, waited, 3).post(body)
    assert waited == [1.0, 2.0]
    there.server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # for the fixture to close
    there.thread = Thread(target=there.server.serve_forever, daemon=True)
    there.thread.start()


@pytest.mark.parametrize("status", [302, 400, 404, 413, 415])
def test_a_refusal_is_told_and_not_repeated(there: Agentless, status: int) -> None:
    waited: list[float] = []
    there.answers = [(status, {}, b"the body is empty\n")]
    with pytest.raises(Refused, match=rf"the server refused it \({status}\): the body is empty"):
        poster(there, waited).post(body)
    assert waited == []
    assert len(there.got) == 1


@pytest.mark.parametrize(
    "url",
    ["", "host", "ftp://host", "http://", "http://host:0", "http://host:99999", "http://host/?a=b", "http://host/#a"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="no address of a web server"):
        EventPoster(url, Patience(0, lambda _seconds: None))


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(UsageError) as raised:
        EventPoster("http://user:hunter2@host", Patience(0, lambda _seconds: None))
    assert "hunter2" not in raised.value.message + str(raised.value.hint)


def test_the_path_of_the_address_is_kept(there: Agentless) -> None:
    EventPoster(f"{there.url}/other/page/", Patience(0, lambda _seconds: None)).post(body)
    assert there.got[0][0] == "/other/page"


def test_an_early_answer_to_a_large_body_is_heard(monkeypatch: pytest.MonkeyPatch, there: Agentless) -> None:
    there.answers = [(413, {}, b"the body is larger than 10 bytes\n")]
    request = http.client.HTTPConnection.request

    def broken(*arguments: object, **named: object) -> None:
        request(*arguments, **named)  # type: ignore[arg-type]
        raise BrokenPipeError

    monkeypatch.setattr(http.client.HTTPConnection, "request", broken)
    with pytest.raises(Refused, match="larger than 10 bytes"):
        poster(there, []).post(body)


# --- As Python calls it ---


def test_a_file_says_its_priority(there: Agentless, tmp_path: Path) -> None:
    for name in ("NSE-FF0-00000001-00000002.tmp", "a.nse"):
        (tmp_path / name).write_bytes(b"<a/>")
        assert api.post_event(tmp_path / name, url=there.url) == "event 7"
    api.post_event(tmp_path / "NSE-FF0-00000001-00000002.tmp", url=there.url, priority=3, source=str(SOURCE))
    assert [got[1]["priority"] for got in there.got] == [["15"], ["0"], ["3"]]
    assert [got[1]["source"] for got in there.got] == [[str(uuid.UUID(int=0))]] * 2 + [[str(SOURCE)]]


@pytest.mark.parametrize(
    ("named", "told"),
    [({"source": "42"}, "no guid"), ({"priority": 5_000}, "is not known"), ({"url": "x"}, "no address")],
)
def test_what_makes_no_sense_is_refused_before_it_is_posted(
    there: Agentless, named: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        api.post_event(b"<a/>", **{"url": there.url, **named})  # type: ignore[arg-type]
    assert there.got == []


def test_a_file_that_cannot_be_read_is_told(there: Agentless, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        api.post_event(tmp_path / "none.nse", url=there.url)
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        api.post_event(tmp_path, url=there.url)
