"""An export holds a few events at a time, and of a body that is a file a piece, whatever there is to export."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processor.tended_queue import ALICE, BEGAN, BOB, TendedQueue, tended

from mergeguard.core.events import Event, Queue
from mergeguard.errors import FolderAway, LostBody
from mergeguard.processor import by_hand
from mergeguard.processor.backup import FailureBackup
from mergeguard.processor.backup_files import write_event
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.settings import Settings
from mergeguard.storage.own_files.new_file import write_new


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[TendedQueue]:
    with tended(tmp_path) as opened:
        yield opened


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads a body as a whole."""

    def refuse(*_: object) -> bytes:
        raise AssertionError("a whole body was read")

    monkeypatch.setattr(EventBodies, "read", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)


@pytest.mark.usefixtures("unread")
def test_a_body_that_is_a_file_is_never_in_memory(queue: TendedQueue, tmp_path: Path) -> None:
    large = b"<a>" + b"x" * 3_000_000 + b"</a>"
    queue.kill(queue.register_file(ALICE, large))
    first = by_hand.export(queue.store, queue.bodies, tmp_path / "out")
    again = by_hand.export(queue.store, queue.bodies, tmp_path / "out", drop_them=True)
    assert first.files == again.files
    with first.files[0].open("rb") as file:
        assert file.read() == large


@pytest.mark.usefixtures("unread")
def test_the_failure_backup_copies_files_too(queue: TendedQueue, tmp_path: Path) -> None:
    queue.kill(queue.register_file(ALICE, b"<large/>"))
    settings = Settings(event_queue_path=queue.settings.event_queue_path, event_failure_backup_folder=tmp_path / "bad")
    assert FailureBackup(queue.store, lambda: settings, queue.bodies).move() == 1
    (written,) = (tmp_path / "bad").rglob("*.NSE")
    with written.open("rb") as file:
        assert file.read() == b"<large/>"


@pytest.mark.parametrize("drop", [False, True])
def test_more_than_are_held_at_once_are_all_exported(
    queue: TendedQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drop: bool
) -> None:
    monkeypatch.setattr(by_hand, "_AT_ONCE", 2)
    asked: list[int] = []
    ask = queue.store.dead_after
    monkeypatch.setattr(queue.store, "dead_after", lambda event, limit: asked.append(limit) or ask(event, limit=limit))
    monkeypatch.setattr(queue.store, "dead", lambda **_: pytest.fail("all at once"))
    dead = [queue.kill(queue.register(source, b"<a/>")) for source in (ALICE, BOB) * 3]
    done = by_hand.export(queue.store, queue.bodies, tmp_path / "out", drop_them=drop)
    assert len([path for path in done.files if path.suffix == ".NSE"]) == len(dead)
    assert done.dropped == (len(dead) if drop else 0)
    assert set(asked) == {2}


def event(number: int, body: bytes, file: str | None) -> Event:
    return Event(number, ALICE, 1, Queue.FAST, len(body), BEGAN, 0, None if file else body, file)


@given(st.lists(st.tuples(st.integers(1, 3), st.binary(max_size=5)), min_size=1, max_size=6))
def test_a_file_and_its_bytes_are_written_under_the_same_names(sent: list[tuple[int, bytes]]) -> None:
    with TemporaryDirectory() as made:
        root = Path(made)
        names: dict[str, list[str]] = {"bytes": [], "file": []}
        for place, (number, body) in enumerate(sent):
            source = root / f"source-{place}"
            source.write_bytes(body)
            one = event(number, body, "same.NSE")
            for kind, content in (("bytes", body), ("file", source)):
                path = write_event(one, content, root / kind, "a test")
                names[kind].append(path.name)
                assert path.read_bytes() == body
        assert names["bytes"] == names["file"]


def test_a_new_file_is_a_copy_of_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    write_new(tmp_path / "b", tmp_path / "a", "a test")
    assert (tmp_path / "b").read_bytes() == b"x" * 100_000
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_a_body_is_located_as_it_is_read(queue: TendedQueue) -> None:
    inline = queue.store.event(queue.register(ALICE, b"<here/>"))
    assert isinstance(inline, Event)
    assert queue.bodies.locate(inline) == queue.bodies.read(inline) == b"<here/>"
    name = f"{uuid.uuid4()}.NSE"
    filed = queue.store.event(queue.register_file(BOB, b"<there/>", name=name))
    assert isinstance(filed, Event)
    path = queue.bodies.locate(filed)
    assert isinstance(path, Path)
    assert path == queue.settings.queue_folder / name
    path.write_bytes(b"<cut")
    with pytest.raises(LostBody, match="has 4 bytes, 8 were registered"):
        queue.bodies.locate(filed)
    path.unlink()
    with pytest.raises(LostBody, match="is not in the folder"):
        queue.bodies.locate(filed)
    queue.settings.queue_folder.rmdir()
    with pytest.raises(FolderAway):
        queue.bodies.locate(filed)
