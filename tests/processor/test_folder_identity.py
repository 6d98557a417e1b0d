"""All servers of one database have one folder: another one is refused before anything is lost in it."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from processor.conftest import Ground

import mergeguard
from mergeguard.errors import PermissionDenied, UsageError
from mergeguard.processor.folder_identity import FILE, read_identity, require_same_folder
from mergeguard.storage.queue.folder_table import open_folder_table
from mergeguard.storage.source import Options

OPTIONS = Options()


def made(path: Path, identity: str | None = None) -> Path:
    path.mkdir()
    if identity is not None:
        (path / FILE).write_text(identity)
    return path


def same(ground: Ground, folder: Path) -> bool:
    try:
        require_same_folder(ground.url, OPTIONS, folder)
    except UsageError as error:
        refused = error
    else:
        return True
    assert "is not the folder of this queue" in refused.message
    assert socket.gethostname() in refused.message
    assert str(refused.hint).endswith(str(folder / FILE))
    return False


@pytest.fixture
def is_shared(ground: Ground) -> bool:
    return not ground.url.startswith("sqlite")


def test_the_first_folder_is_the_queue_s_and_no_other(ground: Ground, tmp_path: Path, is_shared: bool) -> None:
    mine, other = made(tmp_path / "mine"), made(tmp_path / "other")
    assert same(ground, mine)
    assert same(ground, other) != is_shared
    assert same(ground, mine), "a second server of the first folder"
    assert (read_identity(mine) is not None) == is_shared
    assert read_identity(other) is None


def test_another_queue_s_folder_is_refused_although_nobody_claimed_it(ground: Ground, tmp_path: Path) -> None:
    mine, other = made(tmp_path / "mine", "0" * 32), made(tmp_path / "other", "1" * 32)
    assert same(ground, mine), "a database that was made anew keeps the folder"
    assert same(ground, other) == ground.url.startswith("sqlite")


def test_a_folder_that_was_moved_is_taken_when_somebody_says_so(
    ground: Ground, tmp_path: Path, is_shared: bool
) -> None:
    mine, moved = made(tmp_path / "mine"), made(tmp_path / "moved")
    assert same(ground, mine)
    if is_shared:
        (moved / FILE).write_text((mine / FILE).read_text())
    assert same(ground, moved)


def test_of_two_that_come_first_at_the_same_time_one_is_refused(
    ground: Ground, tmp_path: Path, is_shared: bool
) -> None:
    folders = [made(tmp_path / str(number)) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda folder: same(ground, folder), folders))
    assert taken.count(True) == (1 if is_shared else 4)
    if is_shared:
        with closing(open_folder_table(ground.url)) as table:
            claimed = table.claimed()
        assert claimed is not None
        assert claimed.identity == read_identity(folders[taken.index(True)])


def test_several_servers_of_one_folder_that_come_first_agree(ground: Ground, tmp_path: Path) -> None:
    folder = made(tmp_path / "shared")
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: same(ground, folder), range(4)))
    assert {path.name for path in folder.iterdir()} <= {FILE}


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff" * 32, b"g" * 32])
def test_something_else_in_the_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(UsageError, match="does not hold the identity of a folder"):
        read_identity(tmp_path)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(PermissionDenied, match=r"queue\.id cannot be read"):
        read_identity(tmp_path)


def test_a_share_without_hard_links_gets_its_file_too(
    ground: Ground, tmp_path: Path, is_shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    folder = made(tmp_path / "share")
    assert same(ground, folder)
    assert same(ground, folder)
    assert {path.name for path in folder.iterdir()} == ({FILE} if is_shared else set())


def test_a_server_with_another_folder_does_not_start(ground: Ground, tmp_path: Path, is_shared: bool) -> None:
    if not is_shared:
        return
    mine, other = made(tmp_path / "mine"), made(tmp_path / "other")
    assert same(ground, mine)
    config = tmp_path / "other.toml"
    config.write_text(f'[event_queue]\nevent_queue_path = "{other}"\n')
    with pytest.raises(UsageError, match="is not the folder of this queue"):
        mergeguard.serve(ground.url, threading.Event(), port=0, handler="store", config=config)
    assert not (other / FILE).exists()
