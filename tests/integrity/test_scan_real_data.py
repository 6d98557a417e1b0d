"""The figures that are known of the real tables come out of a scan of them; see tests/data/README.md."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import merge_model
import pytest

import mergeguard
from mergeguard import Finding, Outcome, Overrides, Profile, ScanReport
from mergeguard.core import guids
from mergeguard.core.guids import TOMBSTONE, text_id

DATA = Path(__file__).parents[1] / "data"
COLUMNS = {
    "attack_cti_revoked_by": ("old_ref", "new_ref"),
    "gitbugs_firefox_duplicates": ("issue", "duplicate_of"),
    "hgnc_withdrawn_id": ("old_id", "new_id"),
    "iana_language_subtag_preferred": ("old_subtag", "preferred"),
    "tz_link_accumulated": ("old_name", "current_name"),
    "tz_link_current_hops": ("old_name", "next_hop"),
}


def profile(name: str, **more: Any) -> Profile:
    old, new = COLUMNS[name]
    target = str(DATA / f"{name}.tsv")
    return mergeguard.choose_profile(target, None, Overrides(old=old, new=new, ids="text", **more))


def scan(name: str, **more: Any) -> ScanReport:
    return mergeguard.scan(DATA / f"{name}.tsv", profile(name, **more))


def rows_of(name: str) -> list[dict[str, str]]:
    with (DATA / f"{name}.tsv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def outcome(report: ScanReport, name: str) -> Outcome:
    return next(each for each in report.outcomes if each.name == name)


def only(report: ScanReport, name: str) -> Finding:
    (finding,) = outcome(report, name).findings
    return finding


@pytest.mark.parametrize("name", COLUMNS)
def test_every_old_is_answered_as_the_model_answers_it(name: str) -> None:
    old, new = COLUMNS[name]
    gone = "Entry Withdrawn"
    found = mergeguard.lookup(DATA / f"{name}.tsv", profile(name, deleted_values=(gone,)))
    pairs = [(text_id(row[old]), TOMBSTONE if row[new] == gone else text_id(row[new])) for row in rows_of(name)]
    told = {old: (status, current, depth) for old, current, depth, status in found}
    assert told == merge_model.answers(pairs)
    assert len(found) == len(told)


def test_tz_has_exactly_three_cycles() -> None:
    report = scan("tz_link_accumulated", time="first_date")
    cycles = outcome(report, "cycle")
    assert {frozenset(map(report.label, finding.path)) for finding in cycles.findings} == {
        frozenset({"America/Denver", "America/Shiprock"}),
        frozenset({"America/Indianapolis", "America/Indiana/Indianapolis"}),
        frozenset({"America/Louisville", "America/Kentucky/Louisville"}),
    }
    assert cycles.count == outcome(report, "flip-flop").count == 3
    assert sorted(finding.guids for finding in cycles.findings) == [2, 6, 6]
    assert (report.rows, report.guids) == (445, 315)
    assert only(report, "chain").details["rows"] == 144


def test_the_closure_of_tz_hops_is_the_published_flattened_column() -> None:
    """Rows of the file backzone are not followed when tz is built, so its flattened column leaves them out."""
    found = mergeguard.lookup(DATA / "tz_link_current_hops.tsv", profile("tz_link_current_hops"))
    rows = [row for row in rows_of("tz_link_current_hops") if row["file"] != "backzone"]
    assert len(rows) > 240
    currents = {old: current for old, current, _, _ in found}
    assert [currents[text_id(row["old_name"])] for row in rows] == [text_id(row["flattened"]) for row in rows]


def test_hgnc_has_sixteen_splits_and_withdrawn_entries_are_deleted() -> None:
    report = scan("hgnc_withdrawn_id", deleted_values=("Entry Withdrawn",))
    assert outcome(report, "split").count == report.statuses["split"] == 16
    withdrawn = sum(row["new_id"] == "Entry Withdrawn" for row in rows_of("hgnc_withdrawn_id"))
    # The others were merged into one that was withdrawn later.
    assert (withdrawn, report.statuses["deleted"]) == (1801, 1801 + 39)
    assert outcome(report, "cycle").count == 0
    assert (report.rows, report.guids, only(report, "chain").details["rows"]) == (5310, 5285, 39)


def test_withdrawn_entries_that_nobody_calls_deleted_are_merged_into_one_text() -> None:
    report = scan("hgnc_withdrawn_id")
    assert report.statuses["deleted"] == 0


def test_attack_with_everything_declared_that_stands_beside_it(tmp_path: Path) -> None:
    for name in ("attack_cti_revoked_by", "attack_cti_objects", "attack_cti_stale_fk_refs"):
        shutil.copy(DATA / f"{name}.tsv", tmp_path)
    declared = profile(
        "attack_cti_revoked_by",
        row_id="rel_id",
        time="created",
        merge_key="domain",
        live="attack_cti_objects.tsv:ref:revoked=False",
        types="attack_cti_objects.tsv:ref:type",
        references=("attack_cti_stale_fk_refs.tsv:points_to",),
    )
    report = mergeguard.scan(tmp_path / "attack_cti_revoked_by.tsv", declared)
    assert {each.name: each.count for each in report.outcomes if each.count} == {
        "type-mismatch": 1,
        "stale-reference": 1,
        "chain": 1,
        "redundant": 1,
    }
    assert [each.name for each in report.outcomes if each.not_checked] == ["lookup-drift"]
    assert only(report, "redundant").details["duplicate_rows"] == 2
    chain = only(report, "chain")
    assert (chain.details["rows"], chain.details["histogram"]) == (3, {"1": 189, "2": 3})
    mismatch = only(report, "type-mismatch")
    assert (mismatch.details["old_type"], mismatch.details["new_type"]) == ("malware", "tool")
    stale = only(report, "stale-reference")
    (sample,) = stale.details["samples"]
    (row,) = rows_of("attack_cti_stale_fk_refs")
    assert [text_id(row["points_to"]), text_id(row["current"])] == [
        guids.parse(sample["guid"]),
        guids.parse(sample["current"]),
    ]
    assert report.statuses["ok"] == report.guids == 192


def test_of_attack_eight_olds_dangle_where_deprecated_objects_are_not_live(tmp_path: Path) -> None:
    for name in ("attack_cti_revoked_by", "attack_cti_objects"):
        shutil.copy(DATA / f"{name}.tsv", tmp_path)
    live = "attack_cti_objects.tsv:ref:revoked=False:deprecated=False"
    report = mergeguard.scan(tmp_path / "attack_cti_revoked_by.tsv", profile("attack_cti_revoked_by", live=live))
    assert (report.statuses["ok"], report.statuses["dangling"]) == (184, 8)
    assert sum(finding.guids for finding in outcome(report, "dangling").findings) == 8


def test_firefox_has_1506_cyclic_components_of_3983_nodes() -> None:
    report = scan("gitbugs_firefox_duplicates")
    cycles = outcome(report, "cycle")
    assert cycles.count == 1506
    assert len(cycles.findings) == 1000
    assert cycles.findings[0].details["members"] == 45
    assert report.statuses["cycle"] == 3983
    graph = mergeguard.load(DATA / "gitbugs_firefox_duplicates.tsv", profile("gitbugs_firefox_duplicates"))
    members = [len(each) for each in graph.cycles()]
    assert (len(members), sum(members), max(members)) == (1506, 3983, 45)


def test_iana_merges_245_subtags_into_themselves_and_has_no_cycle() -> None:
    report = scan("iana_language_subtag_preferred")
    assert outcome(report, "self-merge").count == report.statuses["cycle"] == 245
    assert outcome(report, "cycle").count == 0
    assert report.rows == 390
