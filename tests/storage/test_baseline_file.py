"""The baseline file: read back as written, every mistake named, drafted from a report."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.baseline import Accepted, Baseline, apply
from mergeguard.core.findings import Finding, Outcome, ScanReport, Severity
from mergeguard.errors import UsageError
from mergeguard.storage.own_files import baseline as file

MOMENT = dt.datetime(2026, 6, 15, 2, tzinfo=dt.UTC)
texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(str.strip)
accepted = st.builds(
    Accepted,
    rule=texts,
    reason=texts,
    fingerprint=st.none() | texts,
    until=st.none() | st.dates(),
    by=st.none() | texts,
)


@given(st.lists(accepted, unique_by=lambda entry: (entry.rule, entry.fingerprint)))
def test_what_is_written_is_read_back(entries: list[Accepted]) -> None:
    baseline = Baseline(tuple(entries), "known.toml")
    assert file.loads(file.dumps(baseline), "known.toml") == baseline


def report(*outcomes: Outcome) -> ScanReport:
    return ScanReport("r", "1", "db", "p", MOMENT, MOMENT, 9, 9, "", complete=True, outcomes=outcomes)


def finding(rule: str, name: str, message: str = "two guids lead in a circle") -> Finding:
    return Finding(rule, Severity.ERROR, message, name)


@given(st.lists(st.tuples(st.sampled_from(("MG001", "MG002")), texts, texts)), st.lists(accepted, max_size=3))
def test_a_draft_accepts_every_finding_it_was_drafted_from_and_keeps_what_was_known(
    found: list[tuple[str, str, str]], known: list[Accepted]
) -> None:
    unique = {(entry.rule, entry.fingerprint): entry for entry in known}
    outcomes = [
        Outcome(rule, rule, Severity.ERROR, len(own), tuple(own))
        for rule in ("MG001", "MG002")
        for own in [[finding(rule, name, message) for of, name, message in found if of == rule]]
    ]
    drafted = file.loads(file.draft(report(*outcomes), Baseline(tuple(unique.values()))), "known.toml")
    assert set(unique.values()) <= set(drafted.accepted)
    assert [one.count for one in apply(outcomes, drafted, MOMENT.date())] == [0, 0]


def test_a_draft_says_what_each_entry_is_and_what_has_no_fingerprint() -> None:
    text = file.draft(report(Outcome("MG001", "cycle", Severity.ERROR, 1201, (finding("MG001", "f1"),))))
    assert '# error: two guids lead in a circle\n[[accepted]]\nfingerprint = "f1"\n' in text
    assert 'reason = "as found on 2026-06-15"' in text
    assert "# MG001: 1,200 more findings were only counted" in text


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[[acepted]]\n", "unknown key 'acepted' in the top level", "did you mean 'accepted'"),
        ('[[accepted]]\nfingerprnt = "f"\n', "unknown key 'fingerprnt' in entry 1", "did you mean 'fingerprint'"),
        ('accepted = "all"\n', "must be a list of tables", "[[accepted]]"),
        ("accepted = [1]\n", "must be a list of tables", "[[accepted]]"),
        ('[[accepted]]\nrule = "MG001"\n', "entry 1 lacks 'reason'", "reason ="),
        ('[[accepted]]\nreason = "known"\n', "entry 1 lacks 'rule'", "reason ="),
        ('[[accepted]]\nrule = "MG001"\nreason = ""\n', "entry 1 reason is empty", "few words"),
        ("[[accepted]]\nrule = 1\nreason = 'x'\n", "entry 1 rule must be text", "quotes"),
        ("[[accepted]]\nrule='M'\nreason='x'\nuntil='2027-01-01'\n", "until must be a date", "without quotes"),
        ("[[accepted]]\nrule='M'\nreason='x'\nuntil=2027-01-01T00:00:00\n", "until must be a date", "without quotes"),
        ("[[accepted]]\nrule='M'\nreason='x'\n" * 2, "entry 2 repeats", "one of the two"),
        ("[[accepted\n", "not valid TOML", "quotes"),
        ("a = " + "[" * 5000, "known.toml", None),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, text: str, message: str, hint: str | None) -> None:
    path = tmp_path / "known.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        file.load(path)
    assert message in caught.value.message
    assert str(path) in caught.value.message
    if hint is not None:
        assert hint in (caught.value.hint or "")


def test_a_file_that_is_missing_or_unreadable_or_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        file.load(tmp_path / "known.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        file.load(tmp_path)
    (tmp_path / "known.toml").write_bytes(b"# fine\n# caf\xe9\n")
    with pytest.raises(UsageError, match=r"not UTF-8 text \(line 2\)"):
        file.load(tmp_path / "known.toml")


def test_a_file_of_powershell_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "known.toml"
    path.write_bytes(b"\xef\xbb\xbf[[accepted]]\nrule = 'MG002'\nreason = 'noise'\n")
    assert file.load(path) == Baseline((Accepted("MG002", "noise"),), str(path))
