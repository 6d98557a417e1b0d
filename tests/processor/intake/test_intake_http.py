from __future__ import annotations

import gzip
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from intake_world import Caller, World, world

from mergeguard.core.events import NO_SOURCE, Queue
from mergeguard.errors import ConnectFailed
from mergeguard.processor.intake.posts import POST_EVENT
from mergeguard.processor.intake.registrar import Registrar

SOURCE = uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, max_body_bytes=1_000_000, max_inflated_bytes=2_000_000) as opened:
        yield opened


@pytest.fixture
def client(here: World) -> Caller:
    return here.caller()


def test_a_small_event_lives_in_its_row(here: World, client: Caller) -> None:
    answer = client.post(f"{POST_EVENT}?priority=5&source={SOURCE}", b"<a>%20</a>")
    assert (answer.status, answer.text) == (200, "event 1\n")
    (event,) = here.store.rows.values()
    assert (event.source, event.priority, event.queue, event.size) == (SOURCE, 5, Queue.FAST, 10)
    assert (event.body, event.file) == (b"<a>%20</a>", None)
    assert here.tally.counted == {"accepted": 1}


@pytest.mark.parametrize(("characters", "inline"), [(2_999, True), (3_000, False)])
def test_from_3000_characters_on_it_is_a_file(here: World, client: Caller, characters: int, inline: bool) -> None:
    body = "é".encode() * characters
    assert client.post(POST_EVENT, body).status == 200
    (event,) = here.store.rows.values()
    assert (event.body is not None, event.size) == (inline, 2 * characters)
    assert here.bodies() == [body]
    here.check()


def test_what_is_no_utf_8_is_counted_by_bytes(here: World, client: Caller) -> None:
    for body in (b"\xff" * 2_999, b"\xff" * 3_000):
        assert client.post(POST_EVENT, body).status == 200
    assert [event.file is None for event in here.store.rows.values()] == [True, False]


@pytest.mark.parametrize(
    "path", [POST_EVENT, POST_EVENT.lower(), POST_EVENT.upper(), "/altiris/NS/agent/postevent.asp"]
)
def test_paths_and_names_are_taken_in_any_case(here: World, client: Caller, path: str) -> None:
    answer = client.post(f"{path}?PRIORITY=7&Source={{{str(SOURCE).upper()}}}&more=1", b"x")
    assert answer.status == 200
    (event,) = here.store.rows.values()
    assert (event.priority, event.source) == (7, SOURCE)


def test_without_a_query_the_source_is_empty_and_the_priority_lowest(here: World, client: Caller) -> None:
    for query in ("", "?source=&priority=", f"?source={NO_SOURCE}&priority=0"):
        assert client.post(POST_EVENT + query, b"x").status == 200
    assert [(event.source, event.priority) for event in here.store.rows.values()] == [(NO_SOURCE, 0)] * 3


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("?priority=high", "priority 'high' is not known; it is a number from 0 to 4095"),
        ("?priority=4096", "priority '4096' is not known"),
        ("?priority=-1", "priority '-1' is not known"),
        ("?priority=1.5", "priority '1.5' is not known"),
        ("?priority=%D9%A1", "is not known"),
        ("?source=42", "source '42' is no guid; write it as"),
        ("?source=0f8fad5bd9cb469fa16570867728950e", "is no guid"),
        ("?source=urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e", "is no guid"),
        ("?source=0f8fad5b-d9cb-469f-a165-70867728950", "is no guid"),
        (f"?source={SOURCE}&SOURCE={uuid.UUID(int=1)}", "source is given 2 times, with different values"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(here: World, client: Caller, query: str, told: str) -> None:
    answer = client.post(POST_EVENT + query, b"x" * 5_000)
    assert answer.status == 400
    assert told in answer.text
    assert (here.store.rows, here.files, here.tally.counted) == ({}, set(), {"refused": 1})


@pytest.mark.parametrize(
    ("body", "headers", "status", "told"),
    [
        (b"", {}, 400, "the body is empty"),
        (gzip.compress(b""), {}, 400, "the body is empty"),
        (b"x" * 1_000_001, {}, 413, "larger than 1,000,000 bytes"),
        (gzip.compress(bytes(2_000_001)), {}, 413, "inflates to more than 2,000,000 bytes"),
        (zlib.compress(bytes(2_000_001)), {"content-encoding": "deflate"}, 413, "inflates to more than"),
        (gzip.compress(gzip.compress(bytes(2_000_001))), {"content-encoding": "gzip"}, 413, "inflates to more than"),
        (gzip.compress(b"x" * 9_000)[:-1], {}, 400, "stops in the middle"),
        (gzip.compress(b"x" * 9_000) + b"!!", {}, 400, "damaged"),
        (zlib.compress(b"x" * 9_000) + b"!", {}, 400, "something follows"),
        (b"plain", {"content-encoding": "gzip"}, 400, "is not whole gzip"),
        (b"plain", {"content-encoding": "br"}, 415, "content coding 'br' is not known"),
        (b"plain", {"content-encoding": "gzip, gzip, gzip, gzip"}, 415, "4 content codings"),
    ],
    # A gzip holds its time: without names two workers would not agree on what the tests are called.
    ids=[
        "nothing",
        "nothing in gzip",
        "too large",
        "a bomb of gzip",
        "a bomb of deflate",
        "a bomb of two codings",
        "cut off",
        "followed by something in gzip",
        "followed by something in deflate",
        "no gzip",
        "a coding that nobody knows",
        "too many codings",
    ],
)
def test_a_body_that_cannot_be_taken_leaves_nothing(
    here: World, client: Caller, body: bytes, headers: dict[str, str], status: int, told: str
) -> None:
    answer = client.post(POST_EVENT, body, headers)
    assert answer.status == status
    assert told in answer.text
    assert (here.store.rows, here.files, here.tally.counted) == ({}, set(), {"refused": 1})


def test_too_large_by_its_own_account_is_refused_unread(here: World, client: Caller) -> None:
    answer = client.post(POST_EVENT, b"x", {"content-length": "1000001"})
    assert answer.status == 413


def test_a_full_queue_is_busy(here: World, client: Caller) -> None:
    here.settings = here.settings.__class__(event_queue_path=here.root, max_file_queue_kb=10, retry_after_seconds=7)
    assert client.post(POST_EVENT, b"x" * 10_240).status == 200
    answer = client.post(POST_EVENT, b"y" * 3_000)
    assert (answer.status, answer.text, answer.headers["retry-after"]) == (503, "server busy: queue full\n", "7")
    assert client.post(POST_EVENT, b"y" * 2_999).status == 200  # inline bytes have no limit
    assert here.tally.counted == {"accepted": 2, "full": 1}
    here.check()


def test_while_the_database_is_away_posts_are_busy_and_nothing_of_them_stays(here: World, client: Caller) -> None:
    here.store.down = ConnectFailed("the server did not answer")
    for body in (b"x", b"y" * 5_000):
        answer = client.post(POST_EVENT, body)
        assert answer.status == 503
        assert answer.text == "server busy: the database does not take events now\n"
        assert answer.headers["retry-after"] == "30"
    assert here.waited == [0.1, 0.2, 0.30000000000000004] * 2
    assert (here.store.rows, here.files) == ({}, set())
    here.store.down = None
    assert client.post(POST_EVENT, b"y" * 5_000).status == 200
    here.check()


def test_other_methods_and_pages_are_not_there(client: Caller) -> None:
    assert client.get(POST_EVENT).status == 405
    assert client.get("/").status == 404


def test_the_process_says_that_it_lives_and_its_metrics(here: World, client: Caller) -> None:
    here.store.down = ConnectFailed("away")
    assert (client.get("/healthz").status, client.get("/metrics").text) == (200, "metrics\n")


def test_ready_says_which_part_is_not(here: World, client: Caller) -> None:
    assert client.get("/readyz").json() == {
        "ready": True,
        "parts": dict.fromkeys(("database", "folder", "server"), "ok"),
    }
    here.store.down = ConnectFailed("away")
    here.payloads.folder.rmdir()
    answer = client.get("/readyz")
    assert answer.status == 503
    assert answer.json()["parts"] == {"database": "ConnectFailed", "folder": "cannot be written", "server": "ok"}


def test_shutting_down_is_busy_before_the_body_is_read(here: World) -> None:
    client = here.caller(stopping=True)
    assert client.post(POST_EVENT, b"x").text == "server busy: it is shutting down\n"
    assert client.get("/readyz").json()["parts"]["server"] == "shutting down"


def test_a_bug_loses_no_event_of_a_sender(
    here: World, client: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Registrar, "submit", lambda *_arguments: 1 / 0)
    answer = client.post(POST_EVENT, b"x")
    assert (answer.status, answer.text) == (503, "server busy: the server met a bug\n")
    assert caplog.records[-1].exc_info is not None


@pytest.mark.parametrize("said", [b"", b"x", b"x" * 20_000])
def test_a_sender_that_goes_away_leaves_nothing(here: World, client: Caller, said: bytes) -> None:
    client.post(POST_EVENT, [said, None])
    assert (here.store.rows, here.files, here.tally.counted) == ({}, set(), {})
