"""The small answers of the commands: nothing in them reaches a terminal as a command, and every number is there."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.closure import STATUS_TEXTS
from mergeguard.core.findings import Severity
from mergeguard.core.rules import RULES
from mergeguard.core.trend import Change, Mark, Night, RuleCount, RuleTrend, State, Trend
from mergeguard.integrity.demo import DemoResult
from mergeguard.integrity.discover import Evidence, Proposal
from mergeguard.integrity.lookup import Built, Verified
from mergeguard.integrity.reference_candidates import ReferenceCandidate
from mergeguard.render import catalogue, checks, lookups, nights, proposal
from mergeguard.render.text import visible
from mergeguard.storage.profile import Profile, Reference
from mergeguard.storage.profile_file import loads_profile
from mergeguard.storage.settings import SETTINGS, resolve_settings

Texts = st.SearchStrategy[str]
counts = st.integers(0, 10**7)
when = st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2030, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001 - the zone is given beside


def shown(text: str) -> bool:
    """Whether a text can be shown as it is: printable lines, the last one ended, none of them blank at its end."""
    return text.endswith("\n") and all(char == "\n" or char.isprintable() for char in text)


def numbers(text: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"(?<![\w-])\d[\d,]*", text)]


# The lookup.


@given(data=st.data(), rows=counts, written=counts, deleted=counts, created=st.booleans())
def test_a_build_says_what_it_did(
    hostile_texts: Texts, data: st.DataObject, rows: int, written: int, deleted: int, created: bool
) -> None:
    statuses = data.draw(st.fixed_dictionaries(dict.fromkeys(STATUS_TEXTS, st.just(0) | counts)))
    text = lookups.built(Built(rows, written, deleted, created, statuses), "closed")
    assert shown(text)
    verb = "created" if created else "updated" if written or deleted else "unchanged"
    assert text.startswith(f"closed {verb}: ")
    assert numbers(text) == [rows, *(count for count in statuses.values() if count), written, deleted]
    assert ("empty" in text) == (not any(statuses.values()))
    table = data.draw(hostile_texts)
    assert shown(lookups.built(Built(rows, 0, 0, created, {}), table))
    assert visible(table) in lookups.built(Built(rows, 0, 0, created, {}), table)


@given(data=st.data(), rows=counts, exists=st.booleans(), drift=st.tuples(counts, counts, counts))
def test_a_comparison_says_how_the_lookup_differs(
    hostile_texts: Texts, data: st.DataObject, rows: int, exists: bool, drift: tuple[int, int, int]
) -> None:
    table = data.draw(hostile_texts)
    missing, extra, different = drift
    found = Verified(rows, exists=exists, missing=missing, extra=extra, different=different)
    text = lookups.verified(found, table)
    assert shown(text)
    told = text.removeprefix(visible(table))
    if not exists:
        assert told == f" is not there; 'mergeguard lookup build' makes it from {rows:,} olds\n"
    elif found.drift:
        assert numbers(told) == [different, missing, extra, rows]
        assert "lookup build' mends it" in told
    else:
        assert told == f" agrees with the rows: {rows:,} olds\n"


# The history.


@st.composite
def trends(draw: st.DrawFn, texts: Texts) -> Trend:
    night = draw_night(draw)
    marks = st.builds(Mark, texts, texts, st.none() | st.uuids())
    changes = st.builds(Change, st.sampled_from(State), marks, st.sampled_from(Severity), when)
    rules = st.builds(
        RuleTrend,
        texts,
        st.sampled_from(Severity),
        st.booleans(),
        counts,
        st.none() | counts,
        counts,
        counts,
        st.none() | st.timedeltas(dt.timedelta(0), dt.timedelta(90)),
    )
    return Trend(
        "target",
        night,
        draw(st.integers(1, 400)),
        tuple(draw(st.lists(changes, max_size=45))),
        tuple(draw(st.lists(rules, max_size=3))),
        tuple(draw(st.lists(texts, max_size=2))),
    )


def draw_night(draw: st.DrawFn) -> Night:
    begun = draw(when)
    rules = draw(
        st.dictionaries(
            st.sampled_from(["MG001", "MG002", "MG003"]),
            st.builds(RuleCount, st.just("MG001"), st.sampled_from(Severity), st.integers(0, 900)),
        )
    )
    return Night("run", begun, begun, draw(st.booleans()), draw(counts), draw(counts), "p", "0", rules)


@given(data=st.data())
def test_the_nights_of_a_target(hostile_texts: Texts, data: st.DataObject) -> None:
    target, trend = data.draw(hostile_texts), data.draw(trends(hostile_texts))
    listed = data.draw(st.lists(st.composite(draw_night)(), max_size=4))
    text = nights.nights_text(target, listed, trend)
    assert shown(text)
    lines = text.split("\n")
    assert lines[0] == visible(target)
    for night, line in zip(listed, lines[4:], strict=False):
        by_severity = [sum(c.count for c in night.rules.values() if c.severity is s) for s in reversed(Severity)]
        assert line.split() == [
            *f"{night.started:%Y-%m-%d %H:%M}".split(),
            *map(str, [night.rows, *by_severity]),
            "yes" if night.complete else "NO",
        ]
    told = nights.summary(trend)
    assert told in lines
    assert numbers(told) == [*map(len, (trend.new, trend.returned, trend.recurring, trend.fixed)), trend.nights]


@given(data=st.data())
def test_changes_are_listed_up_to_a_number_and_then_counted(hostile_texts: Texts, data: st.DataObject) -> None:
    trend = data.draw(trends(hostile_texts))
    lines = nights.nights_text("t", [], trend).split("\n")
    names = {"new": trend.new, "returned": trend.returned, "fixed": trend.fixed, "unsure": trend.unconfirmed}
    after = lines[lines.index(nights.summary(trend)) + 1 :]
    for name, changes in names.items():
        mine = [line for line in after if line.startswith(f"  {name}: ")]
        left = max(len(changes) - nights.MAX_LISTED, 0)
        assert len(mine) == len(changes) - left + (left > 0)
        assert not left or mine[-1] == f"  {name}: and {left} more"
        for change, line in zip(changes, mine[: nights.MAX_LISTED], strict=False):
            assert line.endswith(f" [{visible(change.mark.fingerprint)}]")
            assert change.mark.subject is None or str(change.mark.subject) in line
    repairs = [rule for rule in trend.rules if rule.mean_time_to_repair is not None]
    assert sum(line.startswith("mean time to repair, ") for line in after) == len(repairs)
    assert sum(line.startswith("note: ") for line in after) == len(trend.notes)


@given(data=st.data())
def test_targets_are_listed_one_a_line(hostile_texts: Texts, data: st.DataObject) -> None:
    targets = data.draw(st.lists(hostile_texts.filter(bool), max_size=4))
    text = nights.targets_text(targets)
    assert shown(text)
    assert text.splitlines() == ([visible(one) for one in targets] or ["no scan has been remembered yet"])


# What discovery and the doctor say.


@given(data=st.data())
def test_a_proposal_is_a_profile_and_comments(hostile_texts: Texts, data: st.DataObject) -> None:
    reasons = st.lists(hostile_texts, max_size=2).map(tuple)
    evidence = st.builds(Evidence, hostile_texts, hostile_texts, reasons, st.booleans())
    names = st.text("abc_ .", min_size=1, max_size=8).filter(str.strip)
    candidates = st.builds(
        ReferenceCandidate,
        st.builds(Reference, names, names),
        hostile_texts,
        counts,
        counts,
        counts,
        st.booleans(),
        reasons,
    )
    found = Proposal(
        data.draw(st.none() | st.just(Profile(name="mine"))),
        tuple(data.draw(st.lists(evidence, max_size=3))),
        tuple(data.draw(st.lists(candidates, max_size=3))),
        tuple(data.draw(st.lists(hostile_texts, max_size=2))),
    )
    text = proposal.proposal_text(found)
    assert shown(text)
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert len(comments) == (
        2 * (found.profile is not None)
        + sum(1 + len(one.reasons) for one in found.evidence)
        + bool(found.evidence)
        + (3 + len(found.candidates)) * bool(found.candidates)
        + len(found.notes)
    )
    if found.profile is None:
        assert text.startswith("No table of merges was found.")
    else:
        # What discovery prints can be saved as it stands.
        assert loads_profile(text, "proposal") == found.profile


@given(data=st.data())
def test_the_doctors_rows_stand_in_columns_and_the_verdict_last(hostile_texts: Texts, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(hostile_texts, hostile_texts, st.booleans()), max_size=5))
    text = checks.checks_text(rows)
    assert shown(text)
    *listed, empty, verdict = text.removesuffix("\n").split("\n")
    assert empty == ""
    assert [line[:5] == "ok   " for line in listed] == [fine for *_, fine in rows]
    assert all(
        visible(check) in line and visible(found) in line for (check, found, _), line in zip(rows, listed, strict=True)
    )
    bad = [fine for *_, fine in rows].count(False)
    assert verdict == (f"{bad} of {len(rows)} checks would stop a scan" if bad else "nothing would stop a scan")


def test_every_setting_is_shown_with_where_it_came_from(tmp_path: Path) -> None:
    flags: dict[str, Any] = {"fail_on": "none", "max_duration": "1h30m", "fast": False, "only": ["MG001", "cycle"]}
    settings = resolve_settings(flags, {"MERGEGUARD_COLOUR": "never"}, tmp_path)
    for origin in (True, False):
        lines = checks.settings_text(settings, origin=origin).splitlines()[2:]
        table = {line.split()[0]: line.split()[1:] for line in lines}
        assert list(table) == [setting.name for setting in SETTINGS]
        assert table["max_duration"][0] == "5400s"
        assert table["fast"][0] == "false"
        assert table["baseline"][0] == "-"
        assert table["only"][:2] == ["MG001,", "cycle"]
        assert (table["fail_on"][-1] == "flag") == origin
        assert (table["colour"][-1] == "MERGEGUARD_COLOUR") == origin
        assert (table["ids"][-1] == "default") == origin


def test_the_demo_says_what_to_try() -> None:
    made = DemoResult(Path("tz.db"), "reference", 446, 312, uuid.UUID(int=7), "Asia/Kuching")
    text = checks.demo_text(made)
    assert shown(text)
    commands = [line.split("mergeguard ", 1)[1].split() for line in text.splitlines() if "mergeguard " in line]
    assert [command[0] for command in commands] == ["scan", "explain", "lookup"]
    assert all("tz.db" in command for command in commands)
    assert str(made.example) in commands[1]


# The catalogue of rules.


def test_the_list_names_every_rule_once() -> None:
    lines = catalogue.rule_list().splitlines()
    assert [line.split()[:3] for line in lines[2:]] == [[r.id, r.name, r.severity.value] for r in RULES]
    assert all(rule.title in line for rule, line in zip(RULES, lines[2:], strict=True))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_page_of_a_rule_says_what_why_and_what_to_do(rule: Any) -> None:
    text = catalogue.rule_page(rule)
    assert shown(text)
    head, *body, last = text.removesuffix("\n").split("\n")
    assert head == f"{rule.id} {rule.name} ({rule.severity.value}): {rule.title}"
    assert body[0] == ""
    assert len(" ".join(body)) > 100
    assert f"What to do: {rule.fix}." in body
    assert last.startswith("Needs: ")
    assert (last == "Needs: nothing but the rows.") == (not rule.needs)
    assert "``" not in text
    assert text.count(f"{rule.title}.") <= 1


def test_all_needs_are_said_in_words_a_user_can_act_on() -> None:
    pages: Sequence[str] = [catalogue.rule_page(rule) for rule in RULES if rule.needs]
    assert pages
    for page in pages:
        assert re.search(r"--[a-z]|lookup build", page.rsplit("Needs: ", 1)[1])
