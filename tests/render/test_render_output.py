"""Writing a report: the old file or the new one, never half, and a plain word where it cannot be done."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.errors import MergeGuardError, PermissionDenied, UsageError, WriteFailed
from mergeguard.render import write_output


def test_a_report_ends_with_one_newline_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    for text in ("metrics", "metrics\n"):
        write_output(text, tmp_path / "report.prom")
        assert (tmp_path / "report.prom").read_bytes() == b"metrics\n"
    assert [path.name for path in tmp_path.iterdir()] == ["report.prom"]


@given(st.text(st.characters(codec=None)))
def test_any_text_is_written(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "report.txt"
    write_output(text, path)
    written = path.read_bytes().decode("utf-8")
    if text.isprintable():
        assert written.removesuffix("\n") == text


def test_a_new_file_has_the_usual_permissions_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    usual, path = tmp_path / "usual", tmp_path / "report"
    usual.write_text("")
    write_output("one", path)
    assert path.stat().st_mode == usual.stat().st_mode
    path.chmod(0o640)
    write_output("two", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "real" / "report.txt")
    write_output("text", link)
    assert link.is_symlink()
    assert (tmp_path / "real" / "report.txt").read_text() == "text\n"


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_output("through the pipe", pipe)
    reader.join()
    assert read == ["through the pipe\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("missing/report.txt", UsageError, "folder does not exist"),
        ("file/report.txt", UsageError, "folder does not exist"),
        ("folder", UsageError, "it is a folder"),
        ("nul\0name", UsageError, "no usable file name"),
        ("loop/report.txt", MergeGuardError, "cannot write"),
        ("n" * 300, WriteFailed, "name too long"),
    ],
)
def test_what_cannot_be_written_is_said_plainly(
    tmp_path: Path, name: str, kind: type[MergeGuardError], words: str
) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(kind, match=f"(?i){words}") as told:
        write_output("text", tmp_path / name)
    assert told.value.message.isprintable()
    assert (tmp_path / "file").read_text() == "kept"


_AS_NOBODY = """
import os, sys
from pathlib import Path
from mergeguard.errors import PermissionDenied
from mergeguard.render.output import write_output
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    write_output("text", Path(sys.argv[1]))
except PermissionDenied as told:
    print(told.message, told.hint)
"""


def test_a_folder_that_forbids_it_is_permission_denied() -> None:
    """Root may write everywhere, so a process of nobody tries; pytest's own folders are closed to it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        command = [sys.executable, "-c", _AS_NOBODY, str(folder / "report.txt")]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "the operating system forbids it" in answer
        assert "folder must be writable" in answer
        assert list(folder.iterdir()) == []


def test_a_full_disk_leaves_the_old_report_and_no_crumbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.txt"
    write_output("old", path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteFailed, match="No space left on device"):
        write_output("new", path)
    assert path.read_text() == "old\n"
    assert [each.name for each in tmp_path.iterdir()] == ["report.txt"]


def test_permission_denied_is_an_answer_of_its_own_kind() -> None:
    assert issubclass(PermissionDenied, MergeGuardError)
