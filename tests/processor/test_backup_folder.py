"""The failure backup: byte for byte, synced before the row goes, repeatable after a crash at any step."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processor.conftest import new
from processor.fake_store import FakeStore

from mergeguard.core.events import Failure, NewEvent, Queue, Ran, Reason
from mergeguard.errors import UsageError
from mergeguard.processor import backup, backup_files
from mergeguard.processor.backup import FailureBackup
from mergeguard.processor.bad_folders import BadFolders, read_bad_folders
from mergeguard.processor.copying import copy_event
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.settings import Settings
from mergeguard.storage.queue.store import DeadEvent


@dataclass
class Desk:
    """A store with dead events, and the folder that they go to."""

    store: FakeStore
    settings: Settings

    def backup(self) -> FailureBackup:
        return FailureBackup(self.store, lambda: self.settings, EventBodies(self.settings.queue_folder))

    def dead(self, event: NewEvent, kind: str = "ValueError", reason: Reason = Reason.RETRIES) -> int:
        (place,) = self.store.register([event])
        claim = self.store.claim(event.queue, "w", self.settings.lease)
        assert claim is not None
        failed = Failure(claim.leases[0].events[0].id, kind, f"what {kind} says", None, reason)
        with self.store.batch(claim) as batch:
            batch.finish([Ran(claim.leases[0], 0, failed)])
        self.store.release(claim)
        return getattr(place, "id", 0)

    def files(self) -> dict[str, bytes]:
        """What is in the folder, by path; the events alone."""
        folder = self.settings.backup_folder
        assert folder is not None
        return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.NSE"))}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    settings = Settings(event_queue_path=tmp_path / "queue", event_failure_backup_folder=Path("bad"))
    settings.queue_folder.mkdir(parents=True)
    return Desk(FakeStore(), settings)


def test_without_a_folder_dead_events_stay_in_the_database(desk: Desk) -> None:
    desk.settings = replace(desk.settings, event_failure_backup_folder=None)
    number = desk.dead(new(1))
    assert desk.backup().move() == 0
    assert [one.event.id for one in desk.store.dead()] == [number]


@given(body=st.binary(max_size=200))
def test_an_event_is_written_byte_for_byte_with_its_log(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    settings = Settings(
        event_queue_path=tmp_path_factory.mktemp("queue"), event_failure_backup_folder=Path("bad"), event_retry_limit=0
    )
    desk = Desk(FakeStore(), settings)
    number = desk.dead(new(1, body=body))
    assert desk.backup().move() == 1
    ((name, written),) = desk.files().items()
    assert written == body
    log = (settings.event_queue_path / "bad" / name).with_suffix(".log").read_text()
    assert log.startswith("what ValueError says\n")
    assert f"\nevent: {number}\n" in log
    assert desk.store.dead() == []


def test_a_rooted_folder_stands_for_itself_and_a_payload_keeps_its_name(desk: Desk, tmp_path: Path) -> None:
    rooted = tmp_path / "elsewhere" / "deep"
    desk.settings = replace(desk.settings, event_failure_backup_folder=rooted)
    name = f"{uuid.uuid4()}.NSE"
    payload = desk.settings.queue_folder / name
    payload.write_bytes(b"<big/>")
    desk.dead(NewEvent(uuid.UUID(int=1), 0, Queue.SLOW, 6, None, name))
    assert desk.backup().move() == 1
    assert desk.files() == {f"ValueError/{name}": b"<big/>"}
    assert (rooted / "ValueError" / name).with_suffix(".log").exists()
    assert not payload.exists()


def test_everything_is_synced_before_the_row_goes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_synced(desk, monkeypatch)


def assert_synced(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[Path] = set()
    seen: list[str] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        synced.add(Path(f"/proc/self/fd/{handle}").readlink())
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    folder = desk.settings.backup_folder
    assert folder is not None

    def trouble(call: str) -> None:
        if call == "drop":
            seen.append(call)
            assert {path.name.split("-")[0].lstrip(".") for path in synced if path.suffix == ".part"} == {"event"}
            assert len([path for path in synced if path.suffix == ".part"]) == 2, "the event and its log"
            assert {folder / "ValueError", folder, folder.parent} <= synced, "and the names that lead to them"
            assert len(list(folder.rglob("*.NSE"))) == len(list(folder.rglob("*.log"))) == 1

    desk.store.trouble = trouble
    desk.dead(new(1))
    desk.backup().move()
    assert seen == ["drop"]


class Stop(BaseException):
    """The process ends here."""


def steps(monkeypatch: pytest.MonkeyPatch, at: int) -> Callable[[], int]:
    """Let the process end at one of its steps; return how many there were."""
    count = 0

    def wrap(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def step(*args: object, **kwargs: object) -> object:
            nonlocal count
            count += 1
            if count == at:
                raise Stop
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, step)

    for owner, name in ((os, "fsync"), (Path, "mkdir"), (Path, "replace"), (Path, "unlink"), (FakeStore, "drop")):
        wrap(owner, name)
    return lambda: count


STEPS = range(1, 20)


@pytest.mark.parametrize("at", STEPS)
def test_after_a_crash_at_any_step_the_event_is_somewhere_and_comes_out_whole(desk: Desk, at: int) -> None:
    name = f"{uuid.UUID(int=9)}.NSE"
    (desk.settings.queue_folder / name).write_bytes(b"<big/>")
    number = desk.dead(NewEvent(uuid.UUID(int=1), 0, Queue.FAST, 6, None, name))
    with pytest.MonkeyPatch.context() as patch:
        reached = steps(patch, at)
        try:
            desk.backup().move()
        except Stop:
            pass
        else:
            assert reached() < at
    in_database = [one.event.id for one in desk.store.dead()] == [number]
    assert in_database or desk.files() == {f"ValueError/{name}": b"<big/>"}
    assert not in_database or (desk.settings.queue_folder / name).exists()
    desk.backup().move()
    assert desk.files() == {f"ValueError/{name}": b"<big/>"}
    assert desk.store.dead() == []


def test_the_steps_above_are_all_there_are(desk: Desk) -> None:
    name = f"{uuid.UUID(int=9)}.NSE"
    (desk.settings.queue_folder / name).write_bytes(b"<big/>")
    desk.dead(NewEvent(uuid.UUID(int=1), 0, Queue.FAST, 6, None, name))
    with pytest.MonkeyPatch.context() as patch:
        reached = steps(patch, -1)
        desk.backup().move()
    assert reached() < max(STEPS)


def test_who_retried_the_event_meanwhile_keeps_its_file(desk: Desk) -> None:
    assert_kept_for_who_retried(desk)


def assert_kept_for_who_retried(desk: Desk) -> None:
    name = f"{uuid.UUID(int=9)}.NSE"
    payload = desk.settings.queue_folder / name
    payload.write_bytes(b"<big/>")
    number = desk.dead(NewEvent(uuid.UUID(int=1), 0, Queue.FAST, 6, None, name))

    def trouble(call: str) -> None:
        if call == "drop":
            desk.store.trouble = lambda _call: None
            assert desk.store.retry(number)

    desk.store.trouble = trouble
    assert desk.backup().move() == 0
    assert payload.exists()
    assert [event.file for event in desk.store.waiting()] == [name]


def _not_synced(patch: pytest.MonkeyPatch) -> None:
    def hasty(path: Path, content: bytes, _what: str, **_how: object) -> None:
        path.write_bytes(content)

    patch.setattr(backup, "write_new", hasty)
    patch.setattr(backup_files, "write_new", hasty)


def _folder_not_synced(patch: pytest.MonkeyPatch) -> None:
    def careless(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    patch.setattr(backup, "make_folder", careless)
    patch.setattr(backup_files, "make_folder", careless)


def _dropped_first(patch: pytest.MonkeyPatch) -> None:
    honest = FailureBackup._moved

    def hasty(self: FailureBackup, dead: DeadEvent, folder: Path) -> bool:
        self._store.drop(dead.event.id)
        return honest(self, dead, folder)

    patch.setattr(FailureBackup, "_moved", hasty)


def _file_removed_whoever_dropped(patch: pytest.MonkeyPatch) -> None:
    honest = FailureBackup._moved

    def greedy(self: FailureBackup, dead: DeadEvent, folder: Path) -> bool:
        moved = honest(self, dead, folder)
        self._bodies.remove(dead.event)
        return moved

    patch.setattr(FailureBackup, "_moved", greedy)


@pytest.mark.parametrize("plant", [_not_synced, _folder_not_synced, _dropped_first])
def test_a_backup_that_does_not_sync_in_time_is_found(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        assert_synced(desk, monkeypatch)


def test_a_backup_that_takes_the_file_of_a_retried_event_is_found(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _file_removed_whoever_dropped(monkeypatch)
    with pytest.raises(AssertionError):
        assert_kept_for_who_retried(desk)


def test_a_body_that_is_gone_leaves_its_row(desk: Desk) -> None:
    gone = desk.dead(NewEvent(uuid.UUID(int=1), 0, Queue.FAST, 6, None, "gone.NSE"), "LostBody", Reason.LOST_BODY)
    other = desk.dead(NewEvent(uuid.UUID(int=2), 0, Queue.FAST, 6, None, "missing.NSE"))
    for number in range(150):
        desk.dead(new(number + 9))
    assert desk.backup().move() == 150
    assert [one.event.id for one in desk.store.dead()] == [gone, other]


def test_a_folder_that_cannot_be_written_keeps_events_until_it_can(desk: Desk) -> None:
    folder = desk.settings.backup_folder
    assert folder is not None
    folder.write_text("a file where the folder should be")
    number = desk.dead(new(1))
    mover = desk.backup()
    assert mover.move() == 0
    assert [one.event.id for one in desk.store.dead()] == [number]
    folder.unlink()
    assert mover.move() == 0, "it is not tried at every sweep"
    mover.retry_stuck()
    assert mover.move() == 1


def test_an_event_is_never_written_over_another_one(desk: Desk, tmp_path: Path) -> None:
    event = desk.store.event_of(desk.dead(new(1, body=b"<a/>")))
    first = backup_files.write_event(event, b"<a/>", tmp_path, "x")
    assert backup_files.write_event(event, b"<a/>", tmp_path, "x") == first
    named = replace(event, file="same.NSE", body=None)
    paths = [
        backup_files.write_event(named, body, tmp_path / "y", "x") for body in (b"<a/>", b"<b/>", b"<c/>", b"<b/>")
    ]
    assert len(set(paths)) == 3
    assert [path.read_bytes() for path in paths] == [b"<a/>", b"<b/>", b"<c/>", b"<b/>"]


def test_a_copy_is_made_once_and_its_failure_stops_nothing(desk: Desk, tmp_path: Path) -> None:
    event = desk.store.event_of(desk.dead(new(1, body=b"<a/>")))
    assert copy_event(event, b"<a/>", tmp_path / "copies")
    assert copy_event(event, b"<a/>", tmp_path / "copies")
    assert [path.read_bytes() for path in (tmp_path / "copies").iterdir()] == [b"<a/>"]
    (tmp_path / "file").touch()
    assert not copy_event(event, b"<a/>", tmp_path / "file")


# --- BadNSEFolders.config ---

CONFIG = """<badNSEFolders>
  <map exception="System.Xml.XmlException" folder="Bad Xml" />
  <map exception="MalformedEvent" folder="Malformed (2)"/>
  {more}
</badNSEFolders>"""


def config(folder: Path, more: str = "") -> Path:
    path = folder / "BadNSEFolders.config"
    path.write_text(CONFIG.format(more=more))
    return path


def test_exceptions_go_to_their_folders(tmp_path: Path) -> None:
    folders = read_bad_folders(config(tmp_path))
    assert folders.folder_of("MalformedEvent") == "Malformed (2)"
    assert folders.folder_of("malformedevent") == "Malformed (2)"
    assert folders.folder_of("XmlException") == folders.folder_of("System.Xml.XmlException") == "Bad Xml"
    assert folders.folder_of("ValueError") == "ValueError"
    others = read_bad_folders(config(tmp_path, '<map exception="*" folder="Other"/>'))
    assert others.folder_of("ValueError") == "Other"
    assert read_bad_folders(None) == BadFolders()


@pytest.mark.parametrize(
    "folder", ["..", "a/b", "a\\b", "/etc", ".hidden", "C:", "", "nul", "COM1.txt", "x" * 200, "a."]
)
def test_a_folder_that_leads_elsewhere_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(UsageError, match=r"BadNSEFolders\.config:4"):
        read_bad_folders(config(tmp_path, f'<map exception="E" folder="{folder}"/>'))


@pytest.mark.parametrize(
    "text",
    ["", "<a>", '<!DOCTYPE a [<!ENTITY b "c">]><a/>', '<a exception="E"/>', '<a folder="F"/>', "\x03"],
)
def test_a_config_that_is_not_as_it_should_be_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "BadNSEFolders.config"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_bad_folders(path)


@given(st.text(max_size=300))
def test_any_exception_has_a_folder_inside(kind: str) -> None:
    name = BadFolders().folder_of(kind)
    assert 0 < len(name) <= 101
    assert Path(name).name == name
    assert name not in (".", "..")
    assert not set(name) & set('/\\:*?"<>|\0')
