"""What a person does to single events: shown as they are, retried at the end of the line, dropped, exported exactly."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processor.tended_queue import ALICE, BOB, TendedQueue, tended

from mergeguard.errors import UsageError
from mergeguard.processor import by_hand
from mergeguard.processor.doctor import examine
from mergeguard.storage.queue.store import DeadEvent


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[TendedQueue]:
    with tended(tmp_path) as made:
        yield made


def test_an_event_is_shown_with_its_body_wherever_that_is(queue: TendedQueue) -> None:
    inline, file = queue.register(body=b"\0\xff"), queue.register_file(body=b"large")

    assert by_hand.show(queue.store, queue.bodies, inline).body == b"\0\xff"
    shown = by_hand.show(queue.store, queue.bodies, file)
    assert (shown.body, shown.event.id, shown.why, shown.later_done) == (b"large", file, None, 0)


def test_an_event_whose_body_is_gone_is_shown_without_it(queue: TendedQueue) -> None:
    event = queue.register_file(name="11111111-1111-4111-8111-111111111111.NSE")
    (queue.settings.queue_folder / "11111111-1111-4111-8111-111111111111.NSE").unlink()

    shown = by_hand.show(queue.store, queue.bodies, event)

    assert shown.body is None
    assert "11111111-1111-4111-8111-111111111111.NSE is not in the folder" in str(shown.why)


def test_a_dead_event_tells_how_many_later_ones_are_done(queue: TendedQueue) -> None:
    dead = queue.register()
    queue.kill(dead, kind="MalformedEvent", message="0x03 in it")
    queue.register()
    queue.register()
    queue.finish(done=2)
    queue.register(BOB)
    queue.finish(done=1)

    shown = by_hand.show(queue.store, queue.bodies, dead)

    assert isinstance(shown.found, DeadEvent)
    assert (shown.later_done, shown.found.failure.kind, shown.found.failure.message) == (
        2, "MalformedEvent", "0x03 in it",
    )  # fmt: skip


def test_a_retried_event_waits_at_the_end_of_its_line_with_its_body(queue: TendedQueue) -> None:
    dead = queue.kill(queue.register(body=b"first"))
    second = queue.register(body=b"second")

    new = by_hand.retry(queue.store, dead)

    assert [event.id for event in queue.store.waiting()] == [second, new]
    assert by_hand.show(queue.store, queue.bodies, new).body == b"first"
    assert queue.store.event(dead) is None
    assert queue.store.dead() == []


def test_a_parked_event_is_shown_with_what_parks_it(queue: TendedQueue) -> None:
    first, other = queue.register(body=b"one"), queue.register(BOB)
    queue.park(ALICE, BOB, status="split", message="two ways")
    shown = by_hand.show(queue.store, queue.bodies, first)
    assert shown.body == b"one"
    assert shown.parked is not None
    assert (shown.parked.parking.guids, shown.parked.parking.status) == ((ALICE, BOB), "split")
    assert by_hand.show(queue.store, queue.bodies, other).parked is None
    assert by_hand.parked_one(queue.store, 10**6) is None


def test_only_what_is_parked_is_woken_and_all_of_it_or_nothing(queue: TendedQueue) -> None:
    events = [queue.register(uuid.UUID(int=number)) for number in (1, 2, 3)]
    for _ in range(2):
        queue.park(BOB)
    with pytest.raises(UsageError, match=f"event {events[2]} is not parked"):
        by_hand.wake(queue.store, events)
    assert [one.event.id for one in queue.store.parked()] == events[:2]
    assert [one.event.id for one in by_hand.wake(queue.store, events[:2])] == events[:2]
    assert queue.store.parked() == []


def test_dropping_takes_row_and_file(queue: TendedQueue) -> None:
    dead = queue.kill(queue.register_file(body=b"large"))
    assert len(list(queue.settings.queue_folder.iterdir())) == 1

    by_hand.drop(queue.store, queue.bodies, dead)

    assert list(queue.settings.queue_folder.iterdir()) == []
    assert queue.store.event(dead) is None
    assert all(check.fine for check in examine(queue.store, queue.settings, clock=queue.file_time))


@pytest.mark.parametrize("act", ["retry", "drop"])
def test_only_a_dead_event_that_is_there_can_be_acted_on(queue: TendedQueue, act: str) -> None:
    pending = queue.register()
    acts = {
        "retry": lambda event: by_hand.retry(queue.store, event),
        "drop": lambda event: by_hand.drop(queue.store, queue.bodies, event),
    }

    with pytest.raises(UsageError, match=f"event {pending} is not dead"):
        acts[act](pending)
    with pytest.raises(UsageError, match="there is no event 99"):
        acts[act](99)
    assert [event.id for event in queue.store.waiting()] == [pending]


@pytest.mark.parametrize("act", ["retry", "drop"])
def test_an_event_that_another_person_took_meanwhile_is_told(
    queue: TendedQueue, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = queue.kill(queue.register_file())
    monkeypatch.setattr(queue.store, act, {"retry": lambda _event: None, "drop": lambda _event: False}[act])

    with pytest.raises(UsageError, match=f"event {dead} went meanwhile"):
        by_hand.retry(queue.store, dead) if act == "retry" else by_hand.drop(queue.store, queue.bodies, dead)

    assert len(list(queue.settings.queue_folder.iterdir())) == 1, "its file is not ours to remove"


@given(bodies=st.lists(st.tuples(st.binary(min_size=1, max_size=60), st.booleans()), min_size=1, max_size=6))
def test_an_export_is_byte_for_byte_and_leaves_no_event_without_a_file(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[tuple[bytes, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("export")
    with tended(folder) as queue:
        events = []
        for number, (body, file) in enumerate(bodies):
            source = uuid.UUID(int=number + 1)
            events.append(queue.register_file(source, body) if file else queue.register(source, body))
            queue.kill(events[-1], message=f"reason {number}")

        kept = by_hand.export(queue.store, queue.bodies, folder / "out")
        again = by_hand.export(queue.store, queue.bodies, folder / "out", drop_them=True)

        assert (kept.files, kept.dropped, kept.left) == (again.files, 0, ())
        assert (again.dropped, queue.store.dead()) == (len(bodies), [])
        nse = [path for path in again.files if path.suffix == ".NSE"]
        assert [path.read_bytes() for path in nse] == [body for body, _ in bodies]
        logs = [path.with_suffix(".log").read_text("utf-8") for path in nse]
        assert [log.splitlines()[0] for log in logs] == [f"reason {number}" for number in range(len(bodies))]
        assert sorted(path.name for path in (folder / "out").iterdir()) == sorted({path.name for path in again.files})
        assert list(queue.settings.queue_folder.iterdir()) == []


def test_named_events_are_exported_pending_ones_too(queue: TendedQueue, tmp_path: Path) -> None:
    pending = queue.register(ALICE, b"waits")
    done = by_hand.export(queue.store, queue.bodies, tmp_path / "out", [pending])

    assert [path.read_bytes() for path in done.files] == [b"waits"]
    with pytest.raises(UsageError, match=f"event {pending} is not dead"):
        by_hand.export(queue.store, queue.bodies, tmp_path / "out", [pending], drop_them=True)
    with pytest.raises(UsageError, match="there is no event 99"):
        by_hand.export(queue.store, queue.bodies, tmp_path / "out", [99])
    assert len(queue.store.waiting()) == 1


def test_an_event_without_a_body_is_left_and_told(queue: TendedQueue, tmp_path: Path) -> None:
    gone = queue.kill(queue.register_file(ALICE, name="11111111-1111-4111-8111-111111111111.NSE"))
    (queue.settings.queue_folder / "11111111-1111-4111-8111-111111111111.NSE").unlink()
    here = queue.kill(queue.register(BOB, b"here"))

    done = by_hand.export(queue.store, queue.bodies, tmp_path / "out", drop_them=True)

    assert [event for event, _ in done.left] == [gone]
    assert done.dropped == 1
    assert [one.event.id for one in queue.store.dead()] == [gone]
    assert queue.store.event(here) is None


def test_a_folder_that_cannot_be_written_drops_nothing(queue: TendedQueue, tmp_path: Path) -> None:
    queue.kill(queue.register())
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="out cannot be written: Not a directory"):
        by_hand.export(queue.store, queue.bodies, tmp_path / "file" / "out", drop_them=True)
    assert len(queue.store.dead()) == 1


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/srv/queue.db", "queue.db"),
        ("sqlite:////srv/queue.db", "queue.db"),
        ("postgresql+psycopg://me:secret@host/altiris", "altiris"),
    ],
)
def test_what_a_person_calls_the_database(target: str, name: str) -> None:
    assert by_hand.database_name(target) == name


@given(st.uuids())
def test_a_source_in_any_usual_spelling(guid: uuid.UUID) -> None:
    for text in (str(guid), f" {{{str(guid).upper()}}} ", guid.hex):
        assert by_hand.as_source(text) == str(guid)
    assert by_hand.as_source(None) is None


def test_a_source_that_is_no_guid_is_refused() -> None:
    with pytest.raises(UsageError, match="'agent7' is not a guid"):
        by_hand.as_source("agent7")
