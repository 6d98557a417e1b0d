"""What a scan is asked, what it accepts, and what its report says beside the findings."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path

import pytest
from case_targets import profile_of, write_csv
from merge_model import guid
from rule_model import DAY, Case

import mergeguard
from mergeguard.core.baseline import Accepted, Baseline
from mergeguard.core.findings import ScanReport, Severity
from mergeguard.errors import UnknownSchema, UsageError
from mergeguard.integrity.scan import ScanOptions, scan_source
from mergeguard.storage.profile import Merge, Profile, Types
from mergeguard.storage.targets import open_target

CASE = Case.of((1, 2), (2, 1), (3, 3), (4, 5), (4, 6))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return write_csv(CASE, tmp_path)


def scan(target: Path, **options: object) -> ScanReport:
    return mergeguard.scan(target, profile_of(CASE), scan_options=ScanOptions(**options))  # type: ignore[arg-type]


def counts(report: ScanReport) -> dict[str, int]:
    return {outcome.name: outcome.count for outcome in report.outcomes if outcome.count}


def test_everything_is_asked_by_default(target: Path) -> None:
    report = scan(target)
    assert counts(report) == {"cycle": 1, "self-merge": 1, "split": 1, "chain": 1}
    assert (report.count(), report.count(Severity.ERROR)) == (4, 3)
    assert [finding.severity for finding in report.findings] == [Severity.ERROR] * 3 + [Severity.INFO]


@pytest.mark.parametrize(
    ("only", "skip", "asked"),
    [
        (("MG001",), (), ["cycle"]),
        (("split", "mg001"), (), ["cycle", "split"]),
        (("CYCLE", "split"), ("Cycle",), ["split"]),
    ],
)
def test_rules_are_chosen_by_id_or_name_in_any_case(
    target: Path, only: tuple[str, ...], skip: tuple[str, ...], asked: list[str]
) -> None:
    assert [outcome.name for outcome in scan(target, only=only, skip=skip).outcomes] == asked


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("cycel", "did you mean cycle?"),
        ("MG0001", "did you mean MG001?"),
        ("quite another thing", "'mergeguard scan --list-rules' shows them all"),
        ("", "'mergeguard scan --list-rules' shows them all"),
    ],
)
@pytest.mark.parametrize("option", ["only", "skip"])
def test_an_unknown_rule_is_a_mistake_with_the_nearest_name(target: Path, option: str, asked: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        scan(target, **{option: (asked,)})
    assert caught.value.hint == hint
    assert repr(asked) in caught.value.message


def test_what_no_rule_asks_for_is_not_read(target: Path) -> None:
    profile = Profile(merge=profile_of(CASE).merge, types=Types("no such file.csv", "Guid", "Kind"))
    report = mergeguard.scan(target, profile, scan_options=ScanOptions(only=("cycle",)))
    assert counts(report) == {"cycle": 1}
    with pytest.raises(UnknownSchema):
        mergeguard.scan(target, profile)


def test_a_limit_keeps_counts(tmp_path: Path) -> None:
    case = Case.of(*((at, at) for at in range(7)))
    report = mergeguard.scan(
        write_csv(case, tmp_path), profile_of(case), scan_options=ScanOptions(max_findings=2, only=("self-merge",))
    )
    assert (report.outcomes[0].count, len(report.outcomes[0].findings)) == (7, 2)


def test_rejected_rows_are_rows_and_their_olds_are_no_guids(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(f"OldGuid,NewGuid\n{guid(1)},{guid(2)}\nnonsense,{guid(2)}\n{guid(3)},\n")
    report = mergeguard.scan(tmp_path / "m.csv")
    assert (report.rows, report.guids) == (3, 1)
    assert counts(report) == {"malformed-guid": 1, "empty-guid": 1}


def test_an_empty_table_is_clean(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("OldGuid,NewGuid\n")
    report = mergeguard.scan(tmp_path / "m.csv")
    assert report.complete
    assert (report.rows, report.guids, report.count(), report.max_depth, report.depths) == (0, 0, 0, 0, ())


def test_text_ids_keep_their_texts(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("OldGuid,NewGuid\na,b\nb,a\nc,a\nx,y\n")
    report = mergeguard.scan(tmp_path / "m.csv", Profile(merge=Merge(ids="text")))
    (finding,) = report.outcomes[0].findings
    assert {report.label(node) for node in finding.path} == {"a", "b"}
    assert set(report.labels.values()) == {"a", "b", "c"}
    assert finding.picture is not None
    assert {node.label for node in finding.picture.nodes} == {"a", "b", "c"}


def test_run_ids_differ_and_times_are_those_of_the_clock(target: Path) -> None:
    profile = profile_of(CASE)
    ticks = iter([DAY, DAY + dt.timedelta(seconds=3)])
    source = open_target(str(target), profile)
    report = scan_source(source, profile, now=lambda: next(ticks))
    assert (report.started, report.finished) == (DAY, DAY + dt.timedelta(seconds=3))
    assert report.run_id != scan_source(source, profile).run_id
    assert uuid.UUID(report.run_id)
    assert (report.target, report.profile) == (str(target), "case")


# --- Baseline ---


def accept(report: ScanReport, name: str, **more: object) -> Accepted:
    finding = next(outcome.findings[0] for outcome in report.outcomes if outcome.name == name)
    return Accepted(finding.rule, "known", finding.fingerprint, **more)  # type: ignore[arg-type]


def test_accepted_findings_leave_the_count_and_stay_known(target: Path) -> None:
    before = scan(target)
    known = Baseline((accept(before, "cycle"), Accepted("MG013", "as designed")))
    after = scan(target, baseline=known)
    assert counts(after) == {"self-merge": 1, "split": 1}
    assert [(outcome.name, outcome.suppressed) for outcome in after.outcomes if outcome.suppressed] == [
        ("cycle", 1),
        ("chain", 1),
    ]
    assert after.outcomes[0].accepted == (known.accepted[0].fingerprint,)
    assert after.notes == ()


def test_an_entry_holds_through_its_last_day(target: Path) -> None:
    known = Baseline((accept(scan(target), "cycle", until=dt.date(2024, 5, 6)),), origin="known.toml")
    profile = profile_of(CASE)
    source = open_target(str(target), profile)
    for days, found in ((0, 0), (1, 1)):
        moment = DAY + dt.timedelta(days=days)
        report = scan_source(source, profile, ScanOptions(baseline=known), now=lambda moment=moment: moment)  # type: ignore[misc]
        assert report.outcomes[0].count == found
        assert [note.startswith("known.toml: expired") for note in report.notes] == [True] * found


def test_an_entry_whose_finding_is_gone_is_called_stale(target: Path) -> None:
    known = Baseline((Accepted("MG001", "was there", "0123456789abcdef"),))
    assert "stale" in scan(target, baseline=known).notes[0]
    assert scan(target, baseline=known, skip=("cycle",)).notes == ()
