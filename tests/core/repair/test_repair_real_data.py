"""Real histories repaired: tz, whose three cycles both rules decide alike, and Firefox duplicates, a messy table."""

from __future__ import annotations

import csv
import datetime as dt
import random
from dataclasses import replace
from pathlib import Path

import pytest
from repair_model import INVARIANTS, Run, Sick, told

from mergeguard.core.guids import text_id
from mergeguard.core.repair.component import Component
from mergeguard.core.repair.evidence import Confidence, Policy, ReadFrom

DATA = Path(__file__).parents[2] / "data"
CYCLES = {
    "America/Denver": {"America/Denver", "America/Shiprock"},
    "America/Indiana/Indianapolis": {"America/Indianapolis", "America/Indiana/Indianapolis"},
    "America/Kentucky/Louisville": {"America/Louisville", "America/Kentucky/Louisville"},
}


def read(name: str) -> list[dict[str, str]]:
    with (DATA / f"{name}.tsv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def tz(**more: object) -> Sick:
    rows = read("tz_link_accumulated")
    pairs = tuple((text_id(row["old_name"]), text_id(row["current_name"])) for row in rows)
    return replace(Sick(pairs, tuple(range(1, len(pairs) + 1))), **more)


def firefox(policy: Policy | None = None) -> Sick:
    rows = read("gitbugs_firefox_duplicates")
    pairs = tuple((text_id(row["issue"]), text_id(row["duplicate_of"])) for row in rows)
    return Sick(pairs, tuple(range(1, len(pairs) + 1)), policy=policy or Policy())


def cycles(run: Run) -> list[Component]:
    return [component for component in run.components if "cycle" in component.kinds]


def survivors(run: Run) -> dict[object, frozenset[object]]:
    return {component.survivor: frozenset(component.members) for component in cycles(run)}


KNOWN = {text_id(survivor): frozenset(map(text_id, members)) for survivor, members in CYCLES.items()}


def live_today() -> frozenset[object]:
    links = {row["old_name"] for row in read("tz_link_current_hops")}
    names = {name for row in read("tz_link_accumulated") for name in (row["old_name"], row["current_name"])}
    return frozenset(text_id(name) for name in names - links)


def test_tz_the_only_live_member_survives_each_cycle_for_certain() -> None:
    run = Run.of(tz(live=live_today(), read_from=ReadFrom(live="today's links")))
    assert survivors(run) == KNOWN
    assert {component.confidence for component in cycles(run)} == {Confidence.CERTAIN}


def test_tz_the_newest_row_names_the_same_survivors() -> None:
    stamps = [
        dt.datetime.fromisoformat(row["first_date"]).replace(tzinfo=dt.UTC) for row in read("tz_link_accumulated")
    ]
    run = Run.of(tz(times=tuple(stamps), read_from=ReadFrom(time="first_date")))
    assert survivors(run) == KNOWN
    assert {component.confidence for component in cycles(run)} == {Confidence.STRONG}


def test_tz_without_evidence_is_refused() -> None:
    run = Run.of(tz())
    assert len(cycles(run)) == 3
    assert not run.decided


@pytest.mark.parametrize("holds", INVARIANTS, ids=lambda holds: holds.__name__)
def test_tz_keeps_every_promise(holds: object) -> None:
    holds(Run.of(tz(live=live_today(), read_from=ReadFrom(live="today's links"))))  # type: ignore[operator]


@pytest.mark.parametrize(
    "policy", [Policy(), Policy(allow_arbitrary=True)], ids=["on evidence alone", "arbitrary choices allowed"]
)
def test_firefox_is_repaired_or_refused_the_same_for_any_row_order(policy: Policy) -> None:
    run = Run.of(firefox(policy))
    assert len(cycles(run)) == 1506
    assert sum(len(component.members) for component in cycles(run)) == 3983
    assert run.proof.problems == ()
    other = Run.of(run.sick.shuffled(random.Random(3)))
    assert [told(component) for component in other.components] == [told(component) for component in run.components]
    assert not run.again.decided
    if policy.allow_arbitrary:
        assert not run.refused
        assert not run.again.components
    else:
        assert all(component.refused for component in cycles(run))
