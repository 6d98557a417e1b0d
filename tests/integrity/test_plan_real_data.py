"""Plans of real merges, on SQLite and on PostgreSQL: who survives, and what stays with a person."""

from __future__ import annotations

import csv
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mergeguard import api
from mergeguard.core.guids import text_id
from mergeguard.core.repair.evidence import Confidence
from mergeguard.core.repair.plan import Plan, Step
from mergeguard.integrity.demo import demo_rows
from mergeguard.integrity.planning import PlanOptions
from mergeguard.storage import schema
from mergeguard.storage.profile import Merge, Profile

DATA = Path(__file__).parent.parent / "data"
SURVIVORS = {
    "America/Denver": "America/Shiprock",
    "America/Indiana/Indianapolis": "America/Indianapolis",
    "America/Kentucky/Louisville": "America/Louisville",
}


@pytest.fixture(scope="module")
def sqlite_demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(api.make_demo(tmp_path_factory.mktemp("tz")).database)


@pytest.fixture(scope="module")
def postgres_demo(postgres_url: str) -> str:
    schema.migrate(postgres_url)
    schema.fill(postgres_url, demo_rows())
    return postgres_url


def cycles(plan: Plan) -> list[Step]:
    return [step for step in plan.steps if "cycle" in step.kinds]


def repairs_the_three_cycles(plan: Plan) -> None:
    steps = cycles(plan)
    assert {step.survivor for step in steps} == set(map(text_id, SURVIVORS))
    for step in steps:
        assert step.confidence is Confidence.CERTAIN
        # Whoever is live and whoever the newest row leads to: both rules name the same.
        said = {vote["evidence"]: vote["survivor"] for vote in step.evidence["votes"]}
        assert said["E1"] == said["E3"] == str(step.survivor)
        (row,) = [row for row in step.evidence["rows"] if row["retired"]]
        assert row["old"] == str(step.survivor)
        assert step.evidence["names"][row["new"]] == SURVIVORS[step.evidence["names"][row["old"]]]


def test_the_three_cycles_of_the_time_zones_on_sqlite(sqlite_demo: str) -> None:
    repairs_the_three_cycles(api.plan(sqlite_demo))


def test_the_three_cycles_of_the_time_zones_on_postgresql(postgres_demo: str) -> None:
    repairs_the_three_cycles(api.plan(postgres_demo))


def told(plan: Plan) -> list[Any]:
    steps = [(s.component, s.kinds, s.members, s.survivor, s.confidence, s.why, s.notes) for s in plan.steps]
    # PostgreSQL took the times, which have no zone, for those of its own.
    rows = [[row | {"time": None} for row in step.evidence.get("rows", [])] for step in plan.steps]
    refused = [(r.component, r.kinds, r.members, r.reason, r.override_line) for r in plan.refused]
    return [steps, rows, refused, plan.left_alone]


def test_both_databases_get_the_same_plan(sqlite_demo: str, postgres_demo: str) -> None:
    one, other = (api.plan(target) for target in (sqlite_demo, postgres_demo))
    for mine, theirs in zip(told(one), told(other), strict=True):
        assert list(map(str, mine)) == list(map(str, theirs))


def test_a_login_that_may_only_read_can_plan(postgres_demo: str, postgres_reader_url: str) -> None:
    whole, read = api.plan(postgres_demo), api.plan(postgres_reader_url)
    assert told(whole) == told(read)
    assert [step.fingerprint for step in whole.steps] == [step.fingerprint for step in read.steps]


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The duplicates of Firefox's bugs: no times, and hundreds of components that are no simple rings."""
    with (DATA / "gitbugs_firefox_duplicates.tsv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    path = tmp_path_factory.mktemp("firefox") / "bugs.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE bugs (old TEXT, new TEXT)")
        connection.executemany("INSERT INTO bugs VALUES (?, ?)", [row[:2] for row in rows[1:]])
    return path


BUGS = Profile(name="bugs", merge=Merge("bugs", "old", "new", ids="text"))


def test_every_component_of_the_firefox_bugs_is_repaired_or_refused_with_a_reason(firefox: Path) -> None:
    plan = api.plan(firefox, BUGS)
    assert len(plan.refused) >= 370
    assert all(refused.reason and refused.evidence["candidates"] for refused in plan.refused)
    members = [member for part in [*plan.steps, *plan.refused] for member in part.members]
    assert len(set(members)) == len(members)
    # Nothing but file order would be left to decide by, and that is never evidence.
    assert not any(vote["evidence"] == "E3" for step in plan.steps for vote in step.evidence["votes"])


def test_an_arbitrary_plan_of_the_firefox_bugs_says_that_it_is(firefox: Path) -> None:
    free = api.plan(firefox, BUGS, plan_options=PlanOptions(accept_medium=True, allow_arbitrary=True))
    sure = api.plan(firefox, BUGS)
    assert len(free.steps) > len(sure.steps)
    known = {step.component for step in sure.steps}
    assert {step.confidence for step in free.steps if step.component not in known} <= {
        Confidence.ARBITRARY,
        Confidence.MEDIUM,
    }


def test_names_are_those_of_the_texts(firefox: Path) -> None:
    plan = api.plan(firefox, BUGS)
    names = plan.refused[0].evidence["names"]
    assert names
    assert all(str(text_id(name)) == guid for guid, name in names.items() if guid != str(uuid.UUID(int=0)))
