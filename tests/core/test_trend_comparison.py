"""The comparison of nights against a model that keeps one state per finding and night."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.findings import Finding, Outcome, ScanReport, Severity
from mergeguard.core.trend import Mark, Night, RuleCount, State, compare, night_of

DAY_ONE = dt.datetime(2026, 1, 1, 2, 0, tzinfo=dt.UTC)
NAMES = ("a", "b", "c", "d")
RULES = ("MG001", "MG002")


@dataclass(frozen=True)
class Look:
    """What one rule did on one night."""

    ran: bool
    named: frozenset[str]
    accepted: frozenset[str]
    unnamed: int


def night(number: int, looks: dict[str, Look], *, complete: bool = True, profile: str = "reference") -> Night:
    started = DAY_ONE + dt.timedelta(days=number)
    return Night(
        run_id=f"run-{number}",
        started=started,
        finished=started + dt.timedelta(minutes=1),
        complete=complete,
        rows=10,
        guids=9,
        profile=profile,
        tool_version="0",
        rules={
            rule: RuleCount(
                rule,
                Severity.ERROR,
                len(look.named) + look.unnamed if look.ran else 0,
                look.unnamed,
                len(look.accepted),
                look.ran,
            )
            for rule, look in looks.items()
        },
        marks={rule: [Mark(rule, name) for name in sorted(look.named)] for rule, look in looks.items() if look.ran},
        accepted={rule: look.accepted for rule, look in looks.items() if look.ran},
    )


@st.composite
def looked(draw: st.DrawFn) -> Look:
    named = draw(st.frozensets(st.sampled_from(NAMES)))
    accepted = draw(st.frozensets(st.sampled_from(NAMES))) - named
    return Look(draw(st.booleans()) or draw(st.booleans()), named, accepted, draw(st.sampled_from((0, 0, 0, 5))))


@st.composite
def histories(draw: st.DrawFn) -> list[Night]:
    return [
        night(
            number,
            {rule: draw(looked()) for rule in RULES if draw(st.integers(0, 9))},
            complete=bool(draw(st.integers(0, 4))),
        )
        for number in range(draw(st.integers(1, 8)))
    ]


def known_states(nights: Sequence[Night], rule: str, name: str) -> list[tuple[bool | None, dt.datetime]]:
    """Per night: there, proven gone, or not known."""
    states: list[tuple[bool | None, dt.datetime]] = []
    for one in nights:
        there = name in {mark.fingerprint for mark in one.marks.get(rule, ())} | one.accepted.get(rule, frozenset())
        counted = one.rules.get(rule)
        proof = counted is not None and counted.checked and one.complete and not counted.unnamed
        states.append((True if there else (False if proof else None), one.started))
    return states


def expected_state(states: list[tuple[bool | None, dt.datetime]]) -> State | None:
    *earlier, (today, _) = states
    facts = [there for there, _ in earlier if there is not None]
    last = facts[-1] if facts else None
    if today:
        return State.RECURRING if last else State.RETURNED if True in facts else State.NEW
    if last:
        return State.FIXED if today is False else State.UNCONFIRMED
    return None


def expected_repairs(states: list[tuple[bool | None, dt.datetime]]) -> list[dt.timedelta]:
    repairs, since = [], None
    for there, when in states:
        if there and since is None:
            since = when
        elif there is False and since is not None:
            repairs.append(when - since)
            since = None
    return repairs


@given(histories())
def test_every_finding_stands_as_the_model_says(nights: list[Night]) -> None:
    trend = compare("db", nights)
    got = {(change.mark.rule, change.mark.fingerprint): change.state for change in trend.changes}
    expected = {}
    for rule in RULES:
        for name in NAMES:
            state = expected_state(known_states(nights, rule, name))
            if state is not None and name not in nights[-1].accepted.get(rule, ()):
                expected[rule, name] = state
    assert got == expected
    assert trend.nights == len(nights)


@given(histories())
def test_first_seen_is_the_first_night_that_showed_it(nights: list[Night]) -> None:
    for change in compare("db", nights).changes:
        states = known_states(nights, change.mark.rule, change.mark.fingerprint)
        assert change.first_seen == next(when for there, when in states if there)


@given(histories())
def test_time_to_repair_is_the_mean_of_what_was_seen_and_proven_gone(nights: list[Night]) -> None:
    for rule in compare("db", nights).rules:
        repairs = [gap for name in NAMES for gap in expected_repairs(known_states(nights, rule.rule, name))]
        assert rule.repairs == len(repairs)
        if repairs:
            assert rule.mean_time_to_repair == sum(repairs, dt.timedelta()) / len(repairs)
        else:
            assert rule.mean_time_to_repair is None


@given(histories())
def test_count_before_is_that_of_the_last_complete_run_that_checked_the_rule(nights: list[Night]) -> None:
    *earlier, _ = nights
    for rule in compare("db", nights).rules:
        counts = [
            one.rules[rule.rule].count
            for one in earlier
            if one.complete and rule.rule in one.rules and one.rules[rule.rule].checked
        ]
        assert rule.before == (counts[-1] if counts else None)


def look(*named: str, ran: bool = True, accepted: Sequence[str] = (), unnamed: int = 0) -> dict[str, Look]:
    return {"MG001": Look(ran, frozenset(named), frozenset(accepted), unnamed)}


def test_a_week_in_words() -> None:
    nights = [night(0, look("a", "b")), night(1, look("a")), night(2, look("a", "b", "c"))]
    trend = compare("db", nights)
    assert [change.mark.fingerprint for change in trend.new] == ["c"]
    assert [change.mark.fingerprint for change in trend.recurring] == ["a"]
    assert [change.mark.fingerprint for change in trend.returned] == ["b"]
    assert trend.fixed == ()
    assert trend.states() == {"a": State.RECURRING, "b": State.RETURNED, "c": State.NEW}
    fixed = compare("db", [*nights, night(3, look())])
    assert {change.mark.fingerprint for change in fixed.fixed} == {"a", "b", "c"}
    assert fixed.rules[0].mean_time_to_repair == dt.timedelta(days=(1 + 3 + 1 + 1) / 4)


@pytest.mark.parametrize(
    ("today", "complete", "word"),
    [
        (look(ran=False), True, "not checked in this run"),
        (look(), False, "incomplete"),
        (look(unnamed=3), True, "3 findings were counted without a fingerprint"),
    ],
)
def test_what_is_not_proven_gone_is_not_fixed_and_the_reason_is_said(
    today: dict[str, Look], complete: bool, word: str
) -> None:
    trend = compare("db", [night(0, look("a")), night(1, today, complete=complete)])
    assert trend.fixed == ()
    assert [change.mark.fingerprint for change in trend.unconfirmed] == ["a"]
    assert any(word in note for note in trend.notes)


def test_a_night_that_is_incomplete_is_compared_with_the_last_complete_one() -> None:
    nights = [night(0, look("a", "b")), night(1, look("a")), night(2, look("a", "b"), complete=False)]
    assert [(rule.before, rule.count) for rule in compare("db", nights).rules] == [(1, 2)]


def test_an_accepted_finding_is_neither_new_nor_fixed() -> None:
    nights = [night(0, look("a")), night(1, look(accepted=["a", "b"]))]
    assert compare("db", nights).changes == ()
    assert [c.mark.fingerprint for c in compare("db", [*nights, night(2, look("b"))]).fixed] == ["a"]


def test_the_first_night_and_another_profile_are_said() -> None:
    first = night(0, look("a"))
    assert "first recorded run" in compare("db", [first]).notes[0]
    other = night(1, look("a"), profile="vendor")
    assert "'vendor'" in compare("db", [first, other]).notes[0]
    assert compare("db", [first, night(1, look("a"))]).notes == ()


def test_no_night_is_refused() -> None:
    with pytest.raises(ValueError, match="no nights"):
        compare("db", [])


def test_worst_severity_comes_first() -> None:
    one = night(0, {"MG001": look("a")["MG001"], "MG002": look("b")["MG001"]})
    rules = {**one.rules, "MG001": RuleCount("MG001", Severity.INFO, 1)}
    mixed = replace(one, rules=rules)
    assert [change.mark.rule for change in compare("db", [mixed]).changes] == ["MG002", "MG001"]
    assert mixed.count(Severity.ERROR) == 1
    assert mixed.count() == 2


def test_a_report_is_reduced_to_counts_fingerprints_and_subjects() -> None:
    subject = uuid.uuid5(uuid.NAMESPACE_DNS, "subject")
    found = Finding("MG001", Severity.ERROR, "a secret of the database", "f1", subject, details={"secret": 1})
    report = ScanReport(
        run_id="r",
        tool_version="1",
        target="db",
        profile="p",
        started=DAY_ONE,
        finished=DAY_ONE,
        rows=4,
        guids=3,
        isolation="",
        complete=True,
        outcomes=(
            Outcome("MG001", "cycle", Severity.ERROR, 1500, (found, found), suppressed=2, accepted=("f2",)),
            Outcome("MG006", "dangling", Severity.WARNING, not_checked="no liveness"),
        ),
    )
    kept = night_of(report)
    assert kept.marks == {"MG001": (Mark("MG001", "f1", subject),)}
    assert kept.accepted == {"MG001": frozenset({"f2"})}
    assert kept.rules["MG001"] == RuleCount("MG001", Severity.ERROR, 1500, 1499, 2)
    assert not kept.rules["MG006"].checked
    assert "secret" not in repr(kept)
