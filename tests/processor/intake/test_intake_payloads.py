from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from intake_world import World, world

from mergeguard.core.events import NO_SOURCE, NewEvent, Queue
from mergeguard.errors import PermissionDenied, TargetNotFound, UsageError, WriteFailed
from mergeguard.processor.intake.bodies import Decoder
from mergeguard.processor.intake.orphans import Orphans
from mergeguard.processor.intake.payloads import Payloads
from mergeguard.processor.intake.posts import POST_EVENT
from mergeguard.processor.intake.refusals import Refused
from mergeguard.processor.intake.spool import Spool

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as opened:
        yield opened


def orphans(here: World) -> Orphans:
    return Orphans(here.store, here.payloads, here.root / "Orphans")  # type: ignore[arg-type]


def row(here: World, name: str) -> int:
    here.store.rows[here.store.next_id] = NewEvent(NO_SOURCE, 0, Queue.FAST, 1, file=name)
    here.store.next_id += 1
    return here.store.next_id - 1


# --- Payloads ---


def test_a_payload_has_its_name_when_it_is_synced_and_not_before(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[bool, set[str]]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        is_folder = Path(f"/proc/self/fd/{descriptor}").readlink() == here.payloads.folder
        synced.append((is_folder, {name.rpartition(".")[2] for name in here.files}))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    payload = here.payloads.begin()
    payload.write(b"ab")
    payload.write(b"c")
    assert synced == []
    payload.keep()
    assert synced == [(False, {"part"}), (True, {"NSE"})]
    assert (here.payloads.path(payload.name).read_bytes(), payload.size) == (b"abc", 3)


@pytest.mark.parametrize("step", ["open", "fsync", "rename"])
def test_a_disk_that_does_not_take_it_leaves_nothing_and_the_sender_keeps_it(
    here: World, monkeypatch: pytest.MonkeyPatch, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_arguments: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os if step == "fsync" else Path, step, full)
    answer = here.caller().post(POST_EVENT, b"x" * 5_000)
    assert (answer.status, answer.text) == (503, "server busy: events cannot be kept now\n")
    assert (here.files, here.store.rows, here.tally.counted) == (set(), {}, {"busy": 1})
    assert "No space left on device" in caplog.records[-1].why  # type: ignore[attr-defined]


def test_a_disk_that_is_full_in_the_middle_leaves_nothing(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(here.payloads, Decoder((), 10**9), 3_000)
    spool.feed(b"x" * 20_000)
    payload = spool._payload
    assert payload is not None

    class Full:
        def write(self, _piece: memoryview) -> int:
            raise OSError(errno.ENOSPC, "full")

        def close(self) -> None:
            real.close()

    real = payload._file
    monkeypatch.setattr(payload, "_file", Full())
    with pytest.raises(WriteFailed, match="full"):
        spool.feed(b"y")
    spool.discard()
    assert here.files == set()


def test_a_short_write_is_gone_on_with(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = here.payloads.begin()
    real = payload._file

    class Slow:
        def write(self, piece: memoryview) -> int:
            return real.write(piece[:3])

        def close(self) -> None:
            real.close()

    monkeypatch.setattr(payload, "_file", Slow())
    payload.write(b"0123456789")
    monkeypatch.setattr(payload, "_file", real)
    payload.keep()
    assert here.payloads.path(payload.name).read_bytes() == b"0123456789"


def test_a_body_in_pieces_is_spooled_whole(here: World) -> None:
    spool = Spool(here.payloads, Decoder((), 10**9), 10)
    for _ in range(100):
        spool.feed(b"ab")
    spooled = spool.finish()
    assert (spooled.size, spooled.body) == (200, None)
    assert spooled.file is not None
    assert here.payloads.path(spooled.file).read_bytes() == b"ab" * 100


def test_an_empty_body_is_refused(here: World) -> None:
    with pytest.raises(Refused, match="the body is empty"):
        Spool(here.payloads, Decoder((), 10), 10).finish()


def test_folders_are_made_and_what_stands_in_their_place_is_told(tmp_path: Path) -> None:
    payloads = Payloads(tmp_path / "a" / "EvtQueue")
    assert (payloads.prepare(), payloads.prepare()) == (True, False)
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="is no folder"):
            Payloads(place).prepare()


def test_a_folder_that_cannot_be_written_is_told(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_arguments: object, **_named: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "touch", refused)
        with pytest.raises(PermissionDenied, match="cannot be written"):
            here.payloads.prepare()
    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(PermissionDenied, match="cannot be made: Read-only file system"):
        Payloads(here.root / "new").prepare()


def test_a_folder_that_is_gone_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PermissionDenied, match="cannot be read"):
        list(Payloads(tmp_path / "gone").names())


# --- Orphans ---


def test_files_and_rows_that_lost_each_other_are_told_apart(here: World, caplog: pytest.LogCaptureFixture) -> None:
    kept, orphan, part = f"{GUID}.NSE", f"{GUID[:-1]}0.NSE", f"{GUID[:-1]}1.part"
    for name in (kept, orphan, part, "by hand.nse", GUID):
        here.payloads.path(name).write_text(name)
    row(here, kept)
    lost = row(here, f"{GUID[:-1]}2.NSE")
    found = orphans(here)
    found.look()
    mended = found.mend()
    assert (mended.removed, mended.moved, mended.lost) == ([part], [orphan], [lost])
    assert mended.strangers == [GUID, "by hand.nse"]
    assert here.files == {kept, "by hand.nse", GUID}
    assert (here.root / "Orphans" / orphan).read_text() == orphan
    assert [record.event for record in caplog.records if hasattr(record, "event")] == [lost]


def test_a_second_start_finds_nothing(here: World) -> None:
    here.payloads.path(f"{GUID}.NSE").write_text("x")
    for moved in ([f"{GUID}.NSE"], []):
        found = orphans(here)
        found.look()
        assert found.mend().moved == moved
        assert found.mend().lost == []


def test_files_that_come_after_the_look_are_nobodys_orphans(here: World) -> None:
    found = orphans(here)
    found.look()
    late = here.payloads.begin()
    other = here.payloads.begin()
    late.keep()
    assert found.mend() == type(found.mend())([], [], [], [])
    assert len(here.files) == 2
    other.discard()


def test_files_on_their_way_from_an_inbox_are_spared(here: World) -> None:
    here.payloads.path(f"{GUID}.NSE").write_text("x")
    (here.root / "EvtInbox" / f"{GUID}.7.ready").write_text("x")
    found = orphans(here)
    found.look()
    assert found.mend(here.inbox.payload_names()).moved == []
    here.inbox.look()
    (event,) = here.store.rows.values()
    assert (event.file, event.priority) == (f"{GUID}.NSE", 7)


def test_an_orphan_that_another_server_removed_meanwhile_is_fine(here: World) -> None:
    here.payloads.path(f"{GUID}.NSE").write_text("x")
    found = orphans(here)
    found.look()
    here.payloads.remove(f"{GUID}.NSE")
    assert found.mend().moved == []


def test_a_row_that_goes_while_it_is_looked_for_is_not_lost(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row(here, f"{GUID}.NSE")
    found = orphans(here)
    found.look()
    files, calls = here.store.files, []

    def once() -> object:
        calls.append(1)
        return files() if len(calls) == 1 else {}

    monkeypatch.setattr(here.store, "files", once)
    assert found.mend().lost == []


def test_a_folder_that_was_missing_where_rows_name_files_is_refused(here: World) -> None:
    found = orphans(here)
    found.insist()
    row(here, f"{GUID}.NSE")
    with pytest.raises(TargetNotFound, match=r"1 events have their bodies in .*EvtQueue, and there was no such folder"):
        found.insist()
    assert not here.payloads.folder.exists()  # so that the next start refuses it, too
    here.payloads.folder.mkdir()


def test_an_orphan_that_cannot_be_moved_is_told(here: World) -> None:
    here.payloads.path(f"{GUID}.NSE").write_text("x")
    (here.root / "Orphans").write_text("a file")
    found = orphans(here)
    found.look()
    with pytest.raises(WriteFailed, match="cannot be moved"):
        found.mend()
    assert here.files == {f"{GUID}.NSE"}
