"""The inboxes, with a clock and crashes of our own making."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from intake_world import INBOXES, World, left, put, settle, world

from mergeguard.core.events import NO_SOURCE, Queue
from mergeguard.errors import ConnectFailed, ConnectionLost
from mergeguard.processor.intake.file_names import queued_name
from mergeguard.processor.intake.inbox import Inbox


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as opened:
        yield opened


def whys(inbox: Inbox) -> list[str]:
    return sorted(odd.why for odd in inbox.odd)


@pytest.mark.parametrize("folder", INBOXES)
def test_a_file_becomes_an_event_whatever_its_size(here: World, folder: str) -> None:
    body = b"<a>%20</a>"
    put(here, "anything at all.nse", body, folder)
    settle(here, here.inbox)
    (event,) = here.store.rows.values()
    queue = Queue.PRIORITY if folder == "EvtQPriority" else Queue.FAST
    assert (event.source, event.priority, event.queue, event.size) == (NO_SOURCE, 0, queue, len(body))
    assert event.body is None
    assert (here.bodies(), left(here), here.tally.counted) == ([body], set(), {"inbox accepted": 1})
    here.check()


@pytest.mark.parametrize(
    ("name", "priority", "queue"),
    [
        (queued_name(7, 1, 2), 7, Queue.FAST),
        ("NSE-ffe-00000001-00000002.TMP", 1, Queue.FAST),
        (queued_name(1_000, 1, 2), 1_000, Queue.PRIORITY),
        ("012NSE0001.tmp", 12, Queue.FAST),
        ("012NSE0001.nse", 0, Queue.FAST),
    ],
)
def test_the_name_says_the_priority(here: World, name: str, priority: int, queue: Queue) -> None:
    put(here, name)
    settle(here, here.inbox)
    (event,) = here.store.rows.values()
    assert (event.priority, event.queue) == (priority, queue)


def test_agents_files_go_in_the_order_in_which_agents_send_them_and_others_by_age(here: World) -> None:
    places = [(5, 1, 3), (9, 2, 1), (5, 1, 2), (9, 1, 7)]
    for place in places:
        put(here, queued_name(*place), repr(place).encode())
    for age, name in ((30, "old"), (20, "b"), (20, "a")):
        os.utime(put(here, name, name.encode()), ns=(0, 10**18 - age))
    settle(here, here.inbox)
    expected = sorted(places, key=lambda place: (-place[0], *place[1:]))
    assert here.bodies() == [*(repr(place).encode() for place in expected), b"old", b"a", b"b"]


def test_a_compressed_file_is_inflated(here: World) -> None:
    put(here, "a.nse", gzip.compress(b"x" * 20_000))
    settle(here, here.inbox)
    (event,) = here.store.rows.values()
    assert (event.size, event.queue, here.bodies()) == (20_000, Queue.NORMAL, [b"x" * 20_000])


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b"x" * 20_000)[:-1], gzip.compress(bytes(50_000)), b"\x1f\x8b", b""],
    ids=["cut off", "a bomb", "a head alone", "nothing"],
)
def test_what_cannot_be_inflated_goes_on_as_it_is_to_die_where_it_is_handled(here: World, body: bytes) -> None:
    here.settings = here.settings.__class__(event_queue_path=here.root, max_inflated_bytes=40_000)
    put(here, "a.nse", body)
    settle(here, here.inbox)
    assert (here.bodies(), left(here)) == ([body], set())
    assert here.tally.counted == {"inbox accepted" if not body else "inbox dead": 1}
    here.check()


def test_a_file_that_is_still_written_is_left_until_it_is_complete(here: World) -> None:
    inbox = here.inbox
    put(here, "a.nse", b"<half")
    for size in range(5):
        inbox.look()
        here.now += 0.9  # never long enough without a change
        put(here, "a.nse", b"<half" + b"x" * size)
    assert here.store.rows == {}
    assert inbox.look() == 1.0
    here.now += 1.0
    inbox.look()
    assert here.bodies() == [b"<halfxxxx"]
    assert inbox.look() == 10.0


def test_one_look_is_never_enough(here: World) -> None:
    here.settings = here.settings.__class__(event_queue_path=here.root, inbox_settle_milliseconds=0)
    put(here, "a.nse")
    inbox = here.inbox
    inbox.look()
    assert here.store.rows == {}
    inbox.look()
    assert len(here.store.rows) == 1


def test_a_file_that_changes_while_it_is_copied_is_left(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(here, "a.nse", b"<half")
    begin = here.payloads.begin

    def begun(guid: str | None = None):  # type: ignore[no-untyped-def]  # noqa: ANN202
        monkeypatch.undo()
        (taken,) = path.parent.glob("*.taken")
        with taken.open("ab") as writer:
            writer.write(b" and half>")
        return begin(guid)

    monkeypatch.setattr(here.payloads, "begin", begun)
    inbox = here.inbox
    settle(here, inbox)
    assert (here.store.rows, here.files, whys(inbox)) == ({}, set(), ["it is still being written"])
    inbox.look()
    assert here.bodies() == [b"<half and half>"]


def test_what_is_no_file_is_told_once_and_left(here: World, caplog: pytest.LogCaptureFixture) -> None:
    inbox = here.inbox
    (here.root / "EvtInbox" / "a.nse").mkdir()
    (here.root / "EvtQFast" / "b.nse").symlink_to("/etc/hostname")
    os.mkfifo(here.root / "EvtQSlow" / "c.nse")
    (here.root / "EvtQLarge").rmdir()
    put(here, "good.nse")
    settle(here, inbox)
    settle(here, inbox)
    assert here.bodies() == [b"<event/>"]
    assert whys(inbox) == [
        "it is a folder",
        "it is a link, which may lead anywhere; put the file itself there",
        "it is no file",
        "the folder cannot be read: No such file or directory",
    ]
    told = [record for record in caplog.records if record.message == "left in the inbox"]
    assert len(told) == 4
    (here.root / "EvtInbox" / "a.nse").rmdir()
    inbox.look()
    assert len(inbox.odd) == 3


def test_a_file_put_among_the_payloads_by_hand_is_told_and_not_touched(here: World) -> None:
    inbox = here.inbox
    inbox.look()
    by_hand = here.payloads.folder / "my.nse"
    by_hand.write_bytes(b"x")
    inbox.look()
    assert whys(inbox) == []  # a folder of many files is not read at each change
    here.now += 10
    inbox.look()
    inbox.look()
    assert [(odd.path, odd.why) for odd in inbox.odd] == [
        (by_hand, "put by hand where payloads are; the way in is EvtInbox")
    ]
    assert here.store.rows == {}


@pytest.mark.parametrize("name", [".hidden", "copying.part", "COPYING.PART"])
def test_files_with_the_names_of_unfinished_ones_are_nobodys_business(here: World, name: str) -> None:
    put(here, name)
    inbox = here.inbox
    settle(here, inbox)
    assert (left(here), inbox.odd, here.store.rows) == ({name}, frozenset(), {})


@pytest.mark.parametrize(("what", "code"), [("open", errno.EACCES), ("rename", errno.EROFS), ("rename", errno.EACCES)])
def test_a_file_that_cannot_be_taken_is_told_and_the_others_go_on(
    here: World, monkeypatch: pytest.MonkeyPatch, what: str, code: int
) -> None:
    bad = put(here, "bad.nse")
    put(here, "good.nse", b"good")
    real: Callable[..., object] = getattr(Path, what)

    def refusing(path: Path, *arguments: object, **named: object) -> object:
        if path == bad:
            raise OSError(code, os.strerror(code))
        return real(path, *arguments, **named)

    monkeypatch.setattr(Path, what, refusing)
    inbox = here.inbox
    settle(here, inbox)
    assert here.bodies() == [b"good"]
    assert (left(here), whys(inbox)) == ({"bad.nse"}, [f"it cannot be taken: {os.strerror(code)}"])
    assert here.tally.counted == {"inbox left": 1, "inbox accepted": 1}


def test_a_full_queue_leaves_files_where_they_are(here: World) -> None:
    here.settings = here.settings.__class__(event_queue_path=here.root, max_file_queue_kb=10)
    for name in ("a", "b"):
        put(here, name, b"x" * 6_000)
    inbox = here.inbox
    settle(here, inbox)
    assert (len(here.store.rows), left(here)) == (1, {"b"})
    assert whys(inbox) == ["the queue is full: it would hold more than 10,240 bytes in files"]
    here.check()
    here.store.rows.clear()
    inbox.look()
    assert (len(here.store.rows), left(here)) == (1, set())


def test_a_compressed_file_that_only_now_proves_too_large_waits(here: World) -> None:
    here.settings = here.settings.__class__(event_queue_path=here.root, max_file_queue_kb=10)
    put(here, "a", gzip.compress(b"x" * 10_241))
    inbox = here.inbox
    settle(here, inbox)
    assert (here.store.rows, whys(inbox)) == ({}, ["server busy: queue full"])
    here.settings = here.settings.__class__(event_queue_path=here.root, max_file_queue_kb=11)
    inbox.look()
    assert (here.bodies(), left(here)) == ([b"x" * 10_241], set())
    here.check()


def test_while_the_database_is_away_files_lie_well(here: World) -> None:
    put(here, "a.nse")
    here.store.down = ConnectFailed("the server did not answer")
    inbox = here.inbox
    settle(here, inbox)
    assert (left(here), here.files, whys(inbox)) == ({"a.nse"}, set(), ["the server did not answer"])
    here.store.down = None
    inbox.look()
    assert len(here.store.rows) == 1
    here.check()


def test_an_answer_that_is_lost_registers_nothing_twice(here: World) -> None:
    for name in ("a", "b"):
        put(here, name)
    here.store.late_faults = [ConnectionLost("gone")]
    inbox = here.inbox
    settle(here, inbox)
    assert (len(here.store.rows), left(here)) == (2, set())
    here.check()


def test_it_looks_again_until_it_is_told_to_end(here: World) -> None:
    put(here, "a.nse")
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        here.now += seconds
        return len(waits) < 4

    here.inbox.run(wait)
    assert waits == [0.0, 1.0, 10.0, 10.0]
    assert len(here.store.rows) == 1


def test_a_bug_with_one_look_does_not_end_the_inbox(
    here: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(here, "a.nse")
    inbox = here.inbox
    with monkeypatch.context() as patched:
        patched.setattr(here.store, "sizes", lambda: 1 / 0)
        settle(here, inbox)
    assert caplog.records[-1].message == "a look into the inboxes failed"
    inbox.look()
    assert len(here.store.rows) == 1
