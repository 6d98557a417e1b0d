"""What each command prints, pinned whole; only run ids, seconds, folders and versions are replaced by their names."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

DATA = Path(__file__).parents[1] / "data"
SHIPROCK = "5401209a-65d4-5317-b31c-4e80491e0fe0"
TABLES = {
    "tz_link_accumulated": ("old_name", "current_name"),
    "tz_link_current_hops": ("old_name", "next_hop"),
    "hgnc_withdrawn_id": ("old_id", "new_id", "--deleted-value", "Entry Withdrawn"),
    "gitbugs_firefox_duplicates": ("issue", "duplicate_of"),
    "iana_language_subtag_preferred": ("old_subtag", "preferred"),
    "attack_cti_revoked_by": (
        *("old_ref", "new_ref", "--id-column", "rel_id", "--time-column", "created", "--key-column", "domain"),
        *("--live", "attack_cti_objects.tsv:ref:revoked=False", "--types", "attack_cti_objects.tsv:ref:type"),
        *("--reference", "attack_cti_stale_fk_refs.tsv:points_to"),
    ),
}
COUNTS = {
    "tz_link_accumulated": ["3 x cycle", "12 x split"],
    "tz_link_current_hops": ["2 infos", "22 rows lead to a guid"],
    "hgnc_withdrawn_id": ["16 x split"],
    "gitbugs_firefox_duplicates": ["1,506 x cycle", "status: ok 2,221, cycle 3,983, split 50"],
    "iana_language_subtag_preferred": ["245 errors", "245 x self-merge"],
    "attack_cti_revoked_by": ["1 x type-mismatch", "1 x stale-reference", "2 exact copies", "3 rows lead to a guid"],
}


@pytest.mark.parametrize("name", TABLES)
def test_scan_of_a_real_table(
    name: str, call: Callable, folder: Path, settled: Callable, snapshot: SnapshotAssertion
) -> None:
    for path in [DATA / f"{name}.tsv", *DATA.glob("attack_*")]:
        (folder / path.name).unlink(missing_ok=True)
        (folder / path.name).symlink_to(path)
    old, new, *more = TABLES[name]
    ran = call("scan", f"{name}.tsv", "--ids", "text", "--old-column", old, "--new-column", new, *more)
    assert (ran.code, ran.err) == (0 if name == "tz_link_current_hops" else 1, "")
    words = " ".join(ran.out.split())
    assert [count for count in COUNTS[name] if count not in words] == []
    assert settled(ran.out) == snapshot


def test_scan_of_the_demonstration(call: Callable, demo: Path, settled: Callable, snapshot: SnapshotAssertion) -> None:
    ran = call("scan", demo)
    assert (ran.code, ran.err) == (1, "")
    assert settled(ran.out) == snapshot


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_explanation_of_a_guid_on_a_cycle(form: str, call: Callable, demo: Path, snapshot: SnapshotAssertion) -> None:
    ran = call("explain", demo, SHIPROCK, "--format", form)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == snapshot


@pytest.mark.parametrize("form", ["table", "csv", "jsonl"])
def test_answers_for_guids_in_any_spelling(form: str, call: Callable, demo: Path, snapshot: SnapshotAssertion) -> None:
    spellings = [SHIPROCK, "{16BE2ACA-2CFB-5DDA-BEA7-B37469CC91E8}", "no guid", "ffffffff00004000800000000000000f"]
    ran = call("resolve", demo, *spellings, "--format", form)
    assert (ran.code, ran.err) == (1, "")
    assert ran.out == snapshot
    assert call("resolve", demo, "-", "--format", form, stdin="\n".join(spellings)) == ran


def test_lookup_is_built_kept_verified_mended(
    call: Callable, demo: Path, snapshot: SnapshotAssertion, tmp_path: Path
) -> None:
    import sqlite3  # noqa: PLC0415 - this test alone breaks a lookup by hand

    codes, pages = [], []

    def step(word: str) -> None:
        ran = call("lookup", word, demo)
        codes.append(ran.code)
        pages.append(ran.out + ran.err)

    for word in ("verify", "build", "build", "verify"):
        step(word)
    with sqlite3.connect(demo) as database:
        database.execute("UPDATE mergeguard_lookup SET status = 'split' WHERE status = 'ok' AND depth = 3")
        database.execute("DELETE FROM mergeguard_lookup WHERE depth = 2")
    database.close()
    for word in ("verify", "build", "verify"):
        step(word)
    assert codes == [1, 0, 0, 0, 1, 0, 0]
    assert "".join(pages) == snapshot


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
def test_the_lookup_of_a_file_as_text(form: str, call: Callable, merges: Path, snapshot: SnapshotAssertion) -> None:
    ran = call("lookup", "export", merges, "--format", form)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == snapshot


def test_discovery_in_the_demonstration(call: Callable, demo: Path, folder: Path, snapshot: SnapshotAssertion) -> None:
    ran = call("discover", demo, "--output", "found.toml")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == snapshot
    # What it proposes is a profile that scans as the built-in one does.
    found, known = (call("scan", demo, *flags, "--format", "jsonl").out for flags in (["--profile", "found.toml"], []))
    prints = [sorted(re.findall(r'"fingerprint": ?"(\w+)"', text)) for text in (found, known)]
    assert prints[0] == prints[1] != []


def test_doctor_of_the_demonstration(call: Callable, demo: Path, snapshot: SnapshotAssertion) -> None:
    ran = call("doctor", demo)
    assert (ran.code, ran.err) == (0, "")
    # What is installed differs from machine to machine.
    steady = [
        line for line in ran.out.splitlines() if not re.match(r"ok   (mergeguard|packages|server|fast driver) ", line)
    ]
    assert len(steady) == len(ran.out.splitlines()) - 4
    assert "\n".join(steady) == snapshot


def test_doctor_names_what_would_stop_a_scan(call: Callable, demo: Path) -> None:
    ran = call("doctor", demo, "--reference", "Inv_Nothing:Guid")
    assert (ran.code, ran.err) == (3, "")
    bad = [line for line in ran.out.splitlines() if line.startswith("BAD")]
    assert len(bad) == 1
    assert "Inv_Nothing" in bad[0]
    assert ran.out.endswith(" checks would stop a scan\n")


def test_settings_in_force(call: Callable, folder: Path, settled: Callable, snapshot: SnapshotAssertion) -> None:
    (folder / "mergeguard.toml").write_text('skip = ["MG013", "chain"]\nmax_duration = "1h30m"\nfast = false\n')
    ran = call("config", "show")
    assert (ran.code, ran.err) == (0, "")
    # The line below the heads is as long as the longest value, which is a path.
    assert re.sub("-{9,}", "---", settled(ran.out)) == snapshot


def test_what_the_demonstration_says(
    call: Callable, folder: Path, settled: Callable, snapshot: SnapshotAssertion
) -> None:
    ran = call("demo")
    assert (ran.code, ran.err) == (0, "")
    assert settled(ran.out) == snapshot
    assert [path.name for path in folder.rglob("*")] == ["mergeguard-demo", "tz.db"]
    tries = re.findall(r"mergeguard (scan|explain|lookup build) (\S+)( \S+)?", ran.out)
    assert [call(*word.split(), path, *more.split()).code for word, path, more in tries] == [1, 0, 0]
    assert call("demo").refused(2, "tz.db exists already")


def test_history_of_three_nights_on_paper(
    call: Callable, demo: Path, folder: Path, settled: Callable, snapshot: SnapshotAssertion
) -> None:
    import sqlite3  # noqa: PLC0415 - repairs by hand between the nights

    for repair in ("SELECT 1", "DELETE FROM ResourceMerge WHERE Id IN (136, 137)", "DELETE FROM Inv_InstalledSoftware"):
        with sqlite3.connect(demo) as database:
            database.execute(repair)
        database.close()
        assert call("scan", demo, "--history", "nights.db", "--format", "json", "--output", "report.json").code == 1
    ran = call("history", demo, "--history", "nights.db")
    assert (ran.code, ran.err) == (0, "")
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "<night>", settled(ran.out))
    assert re.sub(r"\d:\d\d:\d\d(\.\d+)?|\d+\.\d+ s", "<time>", text) == snapshot
    assert call("history", "--history", "nights.db").out == "sqlite:///tz.db\n"
    assert call("history", "other.db", "--history", "nights.db").refused(3, "other.db")


def test_a_demonstration_can_be_copied_and_moved(call: Callable, demo: Path, folder: Path) -> None:
    (folder / "with space").mkdir()
    other = shutil.copy(demo, folder / "with space" / "t z.db")
    assert call("lookup", "export", other).out == call("lookup", "export", demo).out
