"""A component that is refused because of another one names it, and is decided by itself once that one is."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from mergeguard import api
from mergeguard.core.repair.evidence import Override
from mergeguard.core.repair.plan import Plan, Refused
from mergeguard.integrity.planning import PlanOptions
from mergeguard.render.plan import plan_text


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return api.make_demo(tmp_path_factory.mktemp("waiting")).database


@pytest.fixture(scope="module")
def made(demo: Path) -> Plan:
    return api.plan(demo)


def test_who_waits_waits_for_one_that_is_refused_itself(made: Plan) -> None:
    refused = {each.component for each in made.refused}
    waiting = [each for each in made.refused if each.waits_for is not None]
    assert 0 < len(waiting) < len(made.refused)
    assert {each.waits_for for each in waiting} <= refused
    assert all(each.waits_for != each.component for each in waiting)
    assert all(each.waits_for in each.reason for each in waiting)


def test_one_decision_frees_all_that_wait_for_it_alone(demo: Path, made: Plan) -> None:
    first = next(each for each in made.refused if each.component == "91c453d8c465895e")
    survivor = uuid.UUID(first.override_line.split(",")[1])
    overrides = {first.component: Override(first.component, survivor, "Ada", "seen")}
    after = api.plan(demo, plan_options=PlanOptions(overrides=overrides))
    freed = {each.component for each in made.refused} - {each.component for each in after.refused}
    assert freed == {first.component, *(each.component for each in made.refused if each.waits_for == first.component)}


def test_the_page_says_which_one_to_decide_first(made: Plan) -> None:
    waiting: Refused = next(each for each in made.refused if each.waits_for is not None)
    page = plan_text(made, colour=False, width=200, component=waiting.component)
    assert f"decide {waiting.waits_for} first" in page
    assert waiting.override_line in page
    other = next(each for each in made.refused if each.waits_for is None)
    assert "to decide it, check" in plan_text(made, colour=False, width=200, component=other.component)


def test_an_override_of_one_that_waits_is_not_passed_over_in_silence(demo: Path, made: Plan) -> None:
    waiting = next(each for each in made.refused if each.waits_for is not None)
    survivor = uuid.UUID(waiting.override_line.split(",")[1])
    overrides = {waiting.component: Override(waiting.component, survivor, "Ada", "seen")}
    after = api.plan(demo, plan_options=PlanOptions(overrides=overrides))
    [note] = [note for note in after.notes if "override" in note]
    assert waiting.component in note
    assert str(waiting.waits_for) in note
    assert not [note for note in made.notes if "override" in note]


def test_an_override_that_decides_needs_no_note(demo: Path, made: Plan) -> None:
    first = next(each for each in made.refused if each.waits_for is None)
    survivor = uuid.UUID(first.override_line.split(",")[1])
    overrides = {first.component: Override(first.component, survivor, "Ada", "seen")}
    after = api.plan(demo, plan_options=PlanOptions(overrides=overrides))
    assert [step.survivor for step in after.steps if step.component == first.component] == [survivor]
    assert not [note for note in after.notes if "override" in note]
