"""Bad input: a clear message with a hint, the right code, nothing on stdout, nothing written."""

from __future__ import annotations

import gzip
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

GUID = "00000000-0000-4000-8000-00000000000"
CASES = {
    # what a target may be
    "no target": ("scan", 2, ["scan what?", "TARGET"]),
    "no target for another command": ("doctor", 2, ["missing argument 'TARGET'"]),
    "a file of no known kind": ("scan notes.xyz", 2, ["notes.xyz", ".csv"]),
    "another kind of database": ("scan mysql://u@h/d", 2, ["mysql://u@h/d", "not known"]),
    "no URL": ("scan postgresql://u@h:port/d", 2, ["postgresql://u@h:port/d", "not a database URL"]),
    "a missing database": ("scan nowhere.db", 3, ["nowhere.db", "does not exist", "check the path"]),
    "a missing file": ("scan nowhere.csv", 3, ["nowhere.csv", "does not exist"]),
    "a missing Parquet file": ("scan nowhere.parquet", 3, ["nowhere.parquet", "does not exist"]),
    "a folder for a file": ("scan folder.csv", 3, ["folder.csv"]),
    "a folder for a database": ("scan folder.db", 3, ["folder.db"]),
    "text for a database": ("scan text.db", 3, ["text.db", "not a"]),
    "a database cut off": ("scan cut.db", 3, ["cut.db"]),
    "text for gzip": ("scan text.csv.gz", 3, ["text.csv.gz"]),
    "gzip cut off": ("scan cut.csv.gz", 3, ["cut.csv.gz"]),
    "text for Parquet": ("scan text.parquet", 3, ["text.parquet"]),
    "an empty file": ("scan empty.csv", 3, ["empty.csv", "name the columns"]),
    "Latin-1": ("scan latin.csv", 3, ["latin.csv", "UTF-8"]),
    "tabs for commas": ("scan tabs.csv", 3, ["OldGuid", "tabs", "name it .tsv"]),
    "a name that is no text": ("scan tz\udcff.db", 2, ["tz\\udcff.db", "UTF-8", "rename"]),
    "such a name in a URL": ("queue status sqlite:///tz\udcff.db", 2, ["tz\\udcff.db", "UTF-8"]),
    # what the table looks like
    "a wrong column of a file": ("scan good.csv --old-column Old", 3, ["Old", "OldGuid"]),
    "a wrong column of a database": ("scan tz.db --new-column NewGiud", 3, ["NewGiud", "NewGuid"]),
    "a wrong table": ("scan tz.db --table ResourceMerges", 3, ["ResourceMerges", "ResourceMerge"]),
    "a table that is like none": ("scan tz.db --table xyzzy", 3, ["xyzzy", "the tables are", "mergeguard discover"]),
    "a wrong query": ("scan tz.db --live-query SELEKT", 2, ["SELEKT", "queries"]),
    "a wrong reference": ("scan tz.db --reference Inv:Guid", 3, ["Inv"]),
    "a reference without a column": ("scan tz.db --reference Inv", 2, ["'Inv'", "TABLE:COLUMN"]),
    "types without a type": ("scan tz.db --types Item:Guid", 2, ["TABLE:GUID:TYPE"]),
    "liveness that cannot be read": ("scan tz.db --live ItemResource", 2, ["TABLE:COLUMN"]),
    "liveness twice": ("scan tz.db --live a:b --live-query SELECT", 2, ["--live-query"]),
    "a wrong byte order": ("scan tz.db --byte-order little", 2, ["little", "'sqlserver'"]),
    "wrong ids": ("scan tz.db --ids number", 2, ["number", "guid, text"]),
    "a missing profile": ("scan tz.db --profile none.toml", 2, ["none.toml"]),
    "an unknown profile": ("scan tz.db --profile refrence", 2, ["refrence", "reference"]),
    "a profile with an unknown key": ("scan tz.db --profile typo.toml", 2, ["typo.toml", "row_ids", "row_id"]),
    "a profile that is no TOML": ("scan tz.db --profile good.csv", 2, ["good.csv", "TOML"]),
    # how to read
    "no such variable": ("scan tz.db --password-env NO_SUCH", 2, ["NO_SUCH is not set"]),
    "no such password file": ("scan tz.db --password-file nofile", 2, ["nofile", "cannot be read"]),
    "two places of the password": ("scan tz.db --password-env HOME --password-file f", 2, ["two places"]),
    "a wrong duration": ("scan tz.db --max-duration soon", 2, ["soon", "20m"]),
    "no duration": ("scan tz.db --max-duration 0", 2, ["90s"]),
    "an empty duration": ("scan tz.db --max-duration=", 2, ["90s"]),
    "a wrong lock timeout": ("scan tz.db --lock-timeout -1s", 2, ["-1s"]),
    "a wrong time to colour": ("scan tz.db --colour sometimes", 2, ["sometimes", "auto, always, never"]),
    "a wrong time for progress": ("scan tz.db --progress sometimes", 2, ["sometimes", "auto, always, never"]),
    "no such settings": ("scan tz.db --config none.toml", 2, ["none.toml", "--config"]),
    "settings with an unknown key": ("scan tz.db --config typo.toml", 2, ["typo.toml", "'name'", "did you mean"]),
    # what to check
    "an unknown rule": ("scan tz.db --only cycel", 2, ["'cycel'", "cycle"]),
    "an unknown rule among others": ("scan tz.db --skip MG001,MG099", 2, ["'MG099'"]),
    "no rule": ("scan tz.db --only=", 2, ["--list-rules"]),
    "an unknown rule to explain": ("scan --explain MG099", 2, ["'MG099'"]),
    "an unknown severity": ("scan tz.db --fail-on fatal", 2, ["fatal", "error, warning, info, none, new"]),
    "no number": ("scan tz.db --max-findings many", 2, ["--max-findings"]),
    "too small a number": ("scan tz.db --max-findings 0", 2, ["--max-findings"]),
    "too large a number": ("scan tz.db --max-findings 99999999999999999999", 2, ["--max-findings", "from 1 to"]),
    "no number of nights": ("history --nights x", 2, ["--nights", "from 1 to 10,000"]),
    "a folder for a baseline": ("scan tz.db --baseline folder.csv", 2, ["folder.csv", "check the path"]),
    "a folder for settings": ("scan tz.db --config folder.csv", 2, ["folder.csv", "check the path"]),
    "a folder for a profile": ("scan tz.db --profile ./folder.csv", 2, ["folder.csv", "check the path"]),
    "a missing baseline": ("scan tz.db --baseline none.toml", 2, ["none.toml", "--write-baseline"]),
    "new without a history": ("scan tz.db --fail-on new --history none", 2, ["--fail-on new needs a history"]),
    "a night without a history": ("scan tz.db --remember --history none", 2, ["--remember needs a history"]),
    # what to write
    "an unknown format": ("scan tz.db --format excel", 2, ["'excel'", "sarif"]),
    "an unknown format of an explanation": (f"explain tz.db {GUID}1 --format sarif", 2, ["'sarif'", "svg"]),
    "an unknown format of answers": (f"resolve tz.db {GUID}1 --format svg", 2, ["'svg'", "jsonl"]),
    "an unknown format of the lookup": ("lookup export tz.db --format json", 2, ["'json'", "jsonl"]),
    "two formats for stdout": ("scan tz.db --format json --format sarif", 2, ["stdout", "--output"]),
    "two formats for one file": ("scan tz.db --output a.json --output a.json", 2, ["a.json"]),
    "a suffix of no format": ("scan tz.db --output report.doc", 2, ["report.doc", "--format"]),
    "no such folder": ("scan tz.db --output nofolder/a.json", 2, ["nofolder/a.json", "create the folder"]),
    "no such folder for a baseline": ("scan tz.db --write-baseline nofolder/b.toml", 2, ["nofolder/b.toml"]),
    "a folder for a report": ("scan tz.db --format json --output folder.csv", 2, ["folder.csv", "it is a folder"]),
    "the target for a report": ("lookup export good.csv --output good.csv", 2, ["good.csv: it is the target"]),
    "the target by another name": ("lookup export good.csv --output folder.csv/../good.csv", 2, ["it is the target"]),
    "the target for a profile": ("discover tz.db --output tz.db", 2, ["it is the target"]),
    # other commands
    "an unknown command": ("scna tz.db", 2, ["'scna'", "--help"]),
    "an unknown command below": ("lookup make tz.db", 2, ["'make'", "lookup --help"]),
    "an unknown option": ("scan tz.db --pasword-env X", 2, ["--pasword-env", "scan --help"]),
    "one argument too many": ("scan tz.db good.csv", 2, ["good.csv", "scan --help"]),
    "no guid to explain": ("explain tz.db", 2, ["missing argument 'GUID'"]),
    "no guid at all": ("explain tz.db nonsense", 2, ["'nonsense' is no guid"]),
    "an unknown guid": (f"explain tz.db {GUID}1", 3, [f"{GUID}1"]),
    "a folder for a plan": ("apply folder.csv --yes", 2, ["folder.csv", "check the path"]),
    "a folder for overrides": ("plan tz.db --out p.json --override folder.csv", 2, ["folder.csv", "check the path"]),
    "a lookup in a file": ("lookup build good.csv", 3, ["good.csv", "export"]),
    "sources without a queue": ("queue sources tz.db", 3, ["tz.db has no event queue", "mergeguard serve"]),
    "waking without a queue": ("queue wake tz.db", 3, ["tz.db has no event queue", "mergeguard serve"]),
    "discovery in nothing": ("discover nowhere.db", 3, ["nowhere.db"]),
    "no history": ("history", 3, ["history.db"]),
    "a history that is none": ("history --history good.csv", 3, ["good.csv"]),
}


@pytest.fixture
def zoo(folder: Path, demo: Path) -> None:
    """One file of every kind that the cases name."""
    for name in ("folder.csv", "folder.db"):
        (folder / name).mkdir()
    texts = {
        "good.csv": f"OldGuid,NewGuid\n{GUID}1,{GUID}2\n",
        "text.db": "no database at all, only words, though more than a hundred of them would fit in here\n" * 3,
        "text.csv.gz": "OldGuid,NewGuid\n",
        "text.parquet": "PAR1 it is not",
        "empty.csv": "",
        "notes.xyz": "words",
        "tabs.csv": f"OldGuid\tNewGuid\n{GUID}1\t{GUID}2\n",
        "typo.toml": 'name = "typo"\n[merge]\nrow_ids = "Id"\n',
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "latin.csv").write_bytes(f"OldGuid,NewGuid,Who\n{GUID}1,{GUID}2,J\u00f6rg\n".encode("latin-1"))
    (folder / "cut.db").write_bytes(demo.read_bytes()[:20_000])
    lines = "".join(f"{GUID}{number % 9},{GUID}9\n" for number in range(50_000))
    (folder / "cut.csv.gz").write_bytes(gzip.compress(f"OldGuid,NewGuid\n{lines}".encode())[:-200])


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_told_and_changes_nothing(name: str, call: Callable, unchanged: Callable) -> None:
    words, code, told = CASES[name]
    with unchanged():
        ran = call(*words.split())
    assert ran.refused(code, *told)
    assert len(ran.err.splitlines()) == 2


@pytest.mark.usefixtures("zoo")
def test_doctor_tells_what_a_scan_would_only_stop_at(call: Callable, unchanged: Callable) -> None:
    for target in ("nowhere.db", "text.db", "empty.csv", "folder.csv", "text.parquet"):
        with unchanged():
            ran = call("doctor", target)
        assert (ran.code, ran.err) == (3, "")
        assert "\nBAD  " in ran.out
        assert target in ran.out


def test_a_table_without_rows_is_clean(call: Callable, folder: Path) -> None:
    (folder / "none.csv").write_text("OldGuid,NewGuid\n")
    for words in (["scan"], ["lookup", "export"]):
        ran = call(*words, "none.csv")
        assert (ran.code, ran.err) == (0, "")
    assert "nothing" in call("scan", "none.csv").out.lower() or "0 rows" in call("scan", "none.csv").out


ODD = [
    (f"{GUID}1,{GUID}2", None),
    (f",{GUID}2", "MG008"),
    (f"{GUID}3,", "MG008"),
    (f"{GUID}4,not a guid", "MG007"),
    (f"{'x' * 300},{GUID}2", "MG007"),
    (f"00000000-0000-0000-0000-000000000000,{GUID}2", "MG008"),
    (f'{GUID}5,"\x1b[2Jgone\u202e"', "MG007"),
]


@pytest.mark.parametrize("kind", ["csv", "db"])
def test_odd_guids_are_findings_with_their_row_ids(kind: str, call: Callable, folder: Path) -> None:
    target = f"odd.{kind}"
    if kind == "csv":
        (folder / target).write_text("OldGuid,NewGuid\n" + "".join(f"{row}\n" for row, _ in ODD), "utf-8")
    else:
        with closing(sqlite3.connect(target)) as database:
            database.execute("CREATE TABLE ResourceMerge (Id INTEGER PRIMARY KEY, OldGuid TEXT, NewGuid TEXT)")
            rows = [[cell.strip('"') or None for cell in row.split(",")] for row, _ in ODD]
            database.executemany("INSERT INTO ResourceMerge (OldGuid, NewGuid) VALUES (?, ?)", rows)
            database.commit()
    names = ["--table", "ResourceMerge", "--id-column", "Id"] if kind == "db" else []
    (folder / "flags.toml").write_text('name = "flags"\n')
    ran = call("scan", target, "--profile", "flags.toml", *names)
    assert (ran.code, ran.err) == (1, "")
    for rule in ("MG007", "MG008"):
        section = ran.out.partition(f"\n{rule} ")[2].partition("\n\n")[0]
        told = {int(number) for number in re.findall(r"(?:row |rows: |row id )([0-9]+)", section)}
        assert told == {number for number, (_, found) in enumerate(ODD, 1) if found == rule}
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out
    assert "x" * 300 not in ran.out


@pytest.fixture
def open_folder(monkeypatch: pytest.MonkeyPatch, call: Callable, made_demo: Path) -> Iterator[Path]:
    """A current folder that anybody may enter, with two targets; all that a scan imports is imported."""
    with TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "good.csv").write_text(f"OldGuid,NewGuid\n{GUID}1,{GUID}2\n")
        shutil.copy(made_demo, folder / "tz.db")
        monkeypatch.chdir(folder)
        for target in ("good.csv", "tz.db", "nowhere.csv", "nowhere.db"):
            call("scan", target)
        yield folder
        folder.chmod(0o755)


@pytest.mark.parametrize("name", ["good.csv", "tz.db"])
def test_a_file_that_this_user_may_not_read(name: str, open_folder: Path, call: Callable, nobody: Callable) -> None:
    (open_folder / name).chmod(0)
    with nobody():
        ran = call("scan", name)
    assert ran.refused(3, name, "ermission")
    assert {path.name for path in open_folder.iterdir()} == {"good.csv", "tz.db"}


def test_a_folder_that_this_user_may_not_write(open_folder: Path, call: Callable, nobody: Callable) -> None:
    flags = ("--format", "html", "--output", "report.html")
    assert call("scan", "good.csv", *flags).code == 0
    Path("report.html").unlink()
    open_folder.chmod(0o555)
    with nobody():
        ran = call("scan", "good.csv", *flags)
    assert ran.refused(3, "report.html", "forbids")
    assert {path.name for path in open_folder.iterdir()} == {"good.csv", "tz.db"}


def test_a_current_folder_that_this_user_may_not_enter(open_folder: Path, call: Callable, nobody: Callable) -> None:
    settings = open_folder / "mergeguard.toml"
    settings.write_text("fail_on = 'none'")
    open_folder.chmod(0)
    with nobody():
        ran = call("scan", "/good.csv")
    assert ran.refused(2, "current folder", "--config")


def test_a_database_that_another_session_holds_locked(call: Callable, demo: Path, unchanged: Callable) -> None:
    with closing(sqlite3.connect(demo, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with unchanged():
            for words in (["scan"], ["resolve"], ["lookup", "build"]):
                guid = [f"{GUID}1"] if words == ["resolve"] else []
                assert call(*words, demo, *guid, "--lock-timeout", "0.05").refused(3, "tz.db", "lock")
        other.execute("ROLLBACK")
    assert call("lookup", "build", demo).code == 0


def test_stdin_that_is_no_text(command: Callable, merges: Path) -> None:
    ran = subprocess.run(command("resolve", merges, "-"), input=b"\xff\xfe\n", capture_output=True, check=False)
    assert ran.returncode in {1, 2}
    assert b"Traceback" not in ran.stderr


def test_a_report_written_before_the_history_failed_is_kept(call: Callable, demo: Path, folder: Path) -> None:
    (folder / "nights.db").write_text("no history")
    ran = call("scan", demo, "--history", "nights.db", "--output", "report.json", "--format", "json")
    assert (ran.code, ran.out) == (3, "")
    assert "nights.db" in ran.err
    assert "hint: " in ran.err
    assert (folder / "report.json").stat().st_size > 1000
