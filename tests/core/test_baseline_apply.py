"""Accepted findings: what leaves the count, what does not, and what the notes say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.baseline import MAX_LISTED, Accepted, Baseline, apply, check, notes
from mergeguard.core.findings import Finding, Outcome, Severity
from mergeguard.errors import UsageError

TODAY = dt.date(2026, 6, 15)
SEVERITIES = {"MG001": Severity.ERROR, "MG002": Severity.WARNING, "MG003": Severity.INFO}
NAMES = ("a", "b", "c", "d", "e")


def outcome(rule: str, names: Sequence[str], unnamed: int = 0, not_checked: str | None = None) -> Outcome:
    severity = SEVERITIES[rule]
    findings = tuple(Finding(rule, severity, name, name) for name in names)
    return Outcome(rule, rule, severity, len(names) + unnamed, findings, not_checked)


@st.composite
def entries(draw: st.DrawFn) -> Accepted:
    return Accepted(
        draw(st.sampled_from(sorted(SEVERITIES))),
        "known",
        draw(st.sampled_from((None, *NAMES))),
        draw(st.sampled_from((None, TODAY - dt.timedelta(1), TODAY, TODAY + dt.timedelta(1)))),
    )


baselines = st.builds(Baseline, st.lists(entries(), max_size=8).map(tuple))


@st.composite
def scans(draw: st.DrawFn) -> tuple[Outcome, ...]:
    return tuple(
        outcome(rule, sorted(draw(st.sets(st.sampled_from(NAMES)))), draw(st.sampled_from((0, 0, 7))))
        for rule in SEVERITIES
        if draw(st.integers(0, 4))
    )


def holds(entry: Accepted, rule: str, name: str | None) -> bool:
    """Say whether an entry accepts a finding (or, for ``None``, one without a fingerprint)."""
    if entry.rule != rule or (entry.until is not None and entry.until < TODAY):
        return False
    if entry.fingerprint is None:
        return SEVERITIES[rule] is not Severity.ERROR
    return entry.fingerprint == name


@given(scans(), baselines)
def test_what_is_accepted_leaves_the_count_and_nothing_else_does(
    outcomes: tuple[Outcome, ...], baseline: Baseline
) -> None:
    for before, after in zip(outcomes, apply(outcomes, baseline, TODAY), strict=True):
        kept = [
            finding
            for finding in before.findings
            if not any(holds(entry, before.rule, finding.fingerprint) for entry in baseline.accepted)
        ]
        whole = any(holds(entry, before.rule, None) for entry in baseline.accepted)
        assert list(after.findings) == kept
        assert after.count + after.suppressed == before.count
        assert after.count == len(kept) + (0 if whole else before.count - len(before.findings))
        assert {*after.accepted} == {f.fingerprint for f in before.findings} - {f.fingerprint for f in kept}


@given(scans(), baselines)
def test_every_error_that_is_not_named_itself_still_counts(outcomes: tuple[Outcome, ...], baseline: Baseline) -> None:
    named = {entry.fingerprint for entry in baseline.accepted if entry.rule == "MG001"}
    for after in apply(outcomes, baseline, TODAY):
        if after.rule == "MG001":
            (before,) = (one for one in outcomes if one.rule == "MG001")
            assert after.count >= before.count - len(named)


@given(scans(), baselines, st.booleans())
def test_notes_name_expired_and_stale_entries(
    outcomes: tuple[Outcome, ...], baseline: Baseline, complete: bool
) -> None:
    said = notes(outcomes, baseline, TODAY, complete=complete)
    by_rule = {one.rule: one for one in outcomes}
    expired = any(entry.until is not None and entry.until < TODAY for entry in baseline.accepted)
    stale = False
    for entry in baseline.accepted:
        one = by_rule.get(entry.rule)
        if not complete or one is None or one.count != len(one.findings):
            continue
        names = {finding.fingerprint for finding in one.findings}
        stale |= not names if entry.fingerprint is None else entry.fingerprint not in names
    assert any("expired" in note for note in said) == expired
    assert any("stale" in note for note in said) == stale


def test_an_unchecked_rule_makes_no_entry_stale() -> None:
    baseline = Baseline((Accepted("MG002", "known", "a"),))
    unchecked = (outcome("MG002", (), not_checked="no liveness"),)
    assert notes(unchecked, baseline, TODAY, complete=True) == ()
    assert notes((outcome("MG002", ()),), baseline, TODAY, complete=True) == (
        "baseline: stale, as no such finding is left; the entries can go: a (MG002)",
    )


def test_a_long_list_is_counted_and_cut() -> None:
    baseline = Baseline(tuple(Accepted("MG002", "known", f"f{number}") for number in range(MAX_LISTED + 1234)))
    (note,) = notes((outcome("MG002", ()),), baseline, TODAY, complete=True)
    assert note.endswith("f9 (MG002) and 1,234 more")


def test_a_grave_rule_is_not_accepted_as_a_whole() -> None:
    with pytest.raises(UsageError, match="MG001 is grave"):
        check(Baseline((Accepted("MG001", "noise"),)), SEVERITIES)
    check(Baseline((Accepted("MG001", "known", "a"), Accepted("MG002", "noise"))), SEVERITIES)


def test_an_unknown_rule_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no rule 'mg03'") as caught:
        check(Baseline((Accepted("mg03", "noise"),), "known.toml"), SEVERITIES)
    assert caught.value.hint == "did you mean MG003?"
    assert caught.value.message.startswith("known.toml: ")
