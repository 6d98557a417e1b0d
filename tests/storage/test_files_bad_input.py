"""What is wrong with a file is said in words: which file, where in it, and what to do."""

from __future__ import annotations

import errno
import gzip
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from mergeguard import errors
from mergeguard.storage import assemble
from mergeguard.storage.files import text_blocks
from mergeguard.storage.files.source import FileSource
from mergeguard.storage.profile import Live, Lookup, Merge, Profile
from mergeguard.storage.source import Options

A, B = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
HEADER = b"OldGuid,NewGuid,note\n"
ROW = f"{A},{B},ok\n".encode()
LONG = b"OldGuid,NewGuid,note\n" + ROW * 5000
FAR = len(LONG) + 4


def scan(path: Path, profile: Profile | None = None, **options: Any) -> int:
    profile = profile or Profile()
    with FileSource(path, profile, Options(**options)).snapshot() as snapshot:
        return len(assemble.merge_table(snapshot, profile))


CASES = {
    "empty": ("m.csv", b"", "is empty", "name the columns"),
    "only blank lines": ("m.csv", b"\n\r\n\n", "is empty", "name the columns"),
    "Latin-1 in the header": ("m.csv", b"OldGuid,b\xfcro\n", "line 1 is not UTF-8: byte 0xfc at offset 9", "iconv"),
    "Latin-1 far down": ("m.csv", LONG + b"x,y,\xfc\n", f"line 5002 is not UTF-8: byte 0xfc at offset {FAR}", "iconv"),
    "Latin-1 behind a mark": ("m.csv", b"\xef\xbb\xbf" + HEADER + b"\xff,,\n", f"offset {len(HEADER) + 3}", "iconv"),
    "UTF-16": ("m.csv", "OldGuid,NewGuid\n".encode("utf-16"), "is UTF-16, not UTF-8", "iconv -f UTF-16"),
    "a short row": ("m.csv", HEADER + ROW + b"\na,b\n", "row at line 4 has 2 fields, the header has 3", "quoted"),
    "a long row": ("m.csv", HEADER + ROW + b"a,b,c,d", "row at line 3 has 4 fields, the header has 3", "quoted"),
    "rows that even out": ("m.csv", HEADER + b"a,b\n1,2,3,4\n", "row at line 2 has 2 fields", "quoted"),
    "an open quote": ("m.csv", HEADER + b'x,"y,z\n' + ROW, "cannot be parsed: unexpected end of data", "not closed"),
    "a quote in the middle": ("m.csv", HEADER + b'x,"y"z,\n' + ROW, "line 2 cannot be parsed", "doubled"),
    "an endless cell": ("m.csv", HEADER + b"x,y," + b"z" * 140_000, "line 2 cannot be parsed: field larger", "quote"),
    "not gzip": ("m.csv.gz", HEADER + ROW, "not gzip", "unpack"),
    "cut off gzip": ("m.csv.gz", gzip.compress(LONG)[:-20], "the gzip data end too early", "copy"),
    "damaged gzip": ("m.csv.gz", gzip.compress(LONG)[:10] + b"\xff" * 200, "the gzip data are damaged", "copy"),
    "not Parquet": ("m.parquet", HEADER + ROW, "not a readable Parquet file", "write it again"),
    "empty Parquet": ("m.parquet", b"", "not a readable Parquet file", "write it again"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("batch_rows", [1, 65_536])
def test_an_unreadable_file_is_said_to_be_so(case: str, fast: bool, batch_rows: int, tmp_path: Path) -> None:
    name, content, words, hint = CASES[case]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(errors.UnreadableFile) as caught:
        scan(path, fast=fast, batch_rows=batch_rows)
    assert words in caught.value.message
    assert str(path) in caught.value.message
    assert hint in (caught.value.hint or "")
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert caught.value.exit_code == errors.ExitCode.UNCHECKED


def test_a_line_without_an_end_stops_the_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_blocks, "MAX_LINE", 1 << 20)
    path = tmp_path / "m.csv"
    path.write_bytes(HEADER + b"z" * (2 << 20))
    with pytest.raises(errors.UnreadableFile, match="line 2 has no end within 1 MiB"):
        scan(path, batch_rows=1000)


@pytest.mark.parametrize("name", ["m.csv", "m.tsv.gz", "m.parquet"])
def test_a_missing_file_a_folder_and_a_forbidden_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    with pytest.raises(errors.TargetNotFound, match="does not exist"):
        scan(path)
    path.mkdir()
    with pytest.raises(errors.UnreadableFile, match="is a folder"):
        scan(path)
    path.rmdir()
    path.write_bytes(HEADER)
    if os.geteuid() == 0:
        # Nothing is forbidden to root, so the operating system's answer is played.
        monkeypatch.setattr(Path, "stat", _refused)
    path.chmod(0)
    with pytest.raises(errors.PermissionDenied, match="does not allow"):
        scan(path)


def _refused(*_args: object, **_options: object) -> None:
    raise PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize(
    ("header", "words", "hint"),
    [
        ("oldguid,NewGuid", "has no column OldGuid", "did you mean oldguid or NewGuid? Name it with --old-column"),
        ("Old_Guid,NewGuid", "has no column OldGuid", "did you mean"),
        ("a,b,c", "has no column OldGuid", "the columns are a, b, c; name one with --old-column"),
        ("OldGuid,OldGuid,NewGuid", "names the column OldGuid 2 times", "rename"),
        ("OldGuid,to", "has no column NewGuid", "Name it with --new-column"),
        (f"{A},{B}", "has no column OldGuid", "the first line must name the columns, and here it holds guids"),
    ],
)
def test_a_missing_column_is_named_with_its_nearest(header: str, words: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(header + "\n")
    with pytest.raises(errors.UnknownSchema) as caught:
        scan(path)
    assert words in caught.value.message
    assert hint in (caught.value.hint or "")


def test_another_file_that_is_not_there_is_named_with_its_nearest(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(HEADER)
    (tmp_path / "items.csv").write_bytes(HEADER)
    profile = Profile(live=Live("itms.csv", "guid"))
    with FileSource(tmp_path / "m.csv", profile, Options()).snapshot() as snapshot:
        with pytest.raises(errors.UnknownSchema, match=r"there is no file .*itms\.csv") as caught:
            assemble.live_guids(snapshot, profile)
        assert (caught.value.hint or "").startswith("did you mean items.csv")
        for outside in ("/etc/passwd", "../..", "nul\0.csv"):
            assert not snapshot.has_table(outside)


def test_a_file_has_no_queries(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(HEADER)
    profile = Profile(live=Live(query="SELECT 1"))
    source = FileSource(tmp_path / "m.csv", profile, Options())
    with source.snapshot() as snapshot, pytest.raises(errors.UsageError, match="no queries"):
        assemble.live_guids(snapshot, profile)


def test_a_file_that_changes_meanwhile_is_noted_once(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(HEADER + ROW)
    with FileSource(path, Profile(), Options()).snapshot() as snapshot:
        assert len(assemble.merge_table(snapshot, Profile())) == 1
        assert snapshot.notes == []
        path.write_bytes(HEADER + ROW + ROW)
        assert len(assemble.merge_table(snapshot, Profile())) == 2
        assemble.merge_table(snapshot, Profile())
        (note,) = snapshot.notes
        assert f"{path} changed while it was read" in note


def test_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(HEADER + ROW)
    before = path.stat()
    source = FileSource(path, Profile(), Options())
    with pytest.raises(errors.Unsupported) as caught:
        source.building(Lookup())
    assert "lookup export" in (caught.value.hint or "")
    source.doctor()
    source.close()
    assert scan(path) == 1
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (before.st_mtime_ns, before.st_size)
    assert list(tmp_path.iterdir()) == [path]


def test_the_doctor_says_what_it_found(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(HEADER + ROW)
    rows = {check: (found, fine) for check, found, fine in FileSource(path, Profile(), Options()).doctor()}
    assert all(fine for _, fine in rows.values())
    assert rows["columns"] == ("OldGuid, NewGuid, note", True)
    wrong = Profile(merge=Merge(old="old", new="new"))
    rows = {check: (found, fine) for check, found, fine in FileSource(path, wrong, Options()).doctor()}
    assert rows["merge table"] == ("no column old and no column new", False)


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(errors.MissingExtra) as caught:
        scan(path)
    assert "mergeguard[parquet]" in (caught.value.hint or "")


def test_progress_tells_the_rows_and_can_stop_the_read(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(LONG)
    told: list[tuple[str, int, int | None]] = []
    with FileSource(path, Profile(), Options(batch_rows=1000)).snapshot() as snapshot:
        assemble.merge_table(snapshot, Profile(), lambda *what: told.append(what))
        assert told[-1] == ("reading merges", 5000, None)
        assert len(told) > 2

        def enough(_phase: str, done: int, _total: int | None) -> None:
            if done > 1500:
                raise TimeoutError

        with pytest.raises(TimeoutError):
            assemble.merge_table(snapshot, Profile(), enough)


@pytest.mark.parametrize(
    ("merge", "flag"),
    [
        (Merge(row_id="Nr"), "--id-column"),
        (Merge(time="When"), "--time-column"),
        (Merge(merge_key="Key"), "--key-column"),
    ],
)
def test_a_column_of_the_merges_is_named_by_its_own_flag(merge: Merge, flag: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(HEADER + ROW)
    profile = Profile(merge=merge)
    with FileSource(path, profile, Options()).snapshot() as snapshot:
        with pytest.raises(errors.UnknownSchema) as caught:
            assemble.merge_table(snapshot, profile)
        assert (caught.value.hint or "").endswith(f" with {flag}")


def test_a_column_of_another_file_has_no_flag(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(HEADER)
    (tmp_path / "items.csv").write_bytes(b"OldGuid\n")
    profile = Profile(live=Live("items.csv", "OldGuids"))
    with FileSource(tmp_path / "m.csv", profile, Options()).snapshot() as snapshot:
        with pytest.raises(errors.UnknownSchema) as caught:
            assemble.live_guids(snapshot, profile)
        assert caught.value.hint == "did you mean OldGuid?"
