"""Plans of drawn tables in real files: what they hold, what they refuse, and what comes of them."""

from __future__ import annotations

import datetime as dt
import json
import random
import sqlite3
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rule_model
from case_targets import NUMBERS, columns_of, in_any_spelling, profile_of, rows_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rule_model import Case

from mergeguard.core import guids
from mergeguard.core.repair.evidence import Confidence, Override
from mergeguard.core.repair.plan import Image, Plan, Refused, Step
from mergeguard.errors import Unsupported, UsageError
from mergeguard.integrity.planning import PlanOptions, make_plan
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.source import Source
from mergeguard.storage.targets import open_target

FEW = settings(max_examples=30)
FREE = PlanOptions(accept_medium=True, allow_arbitrary=True)
ALONE = PlanOptions(references=False)


def write_file(case: Case, path: Path, spell: Callable[[uuid.UUID], str]) -> None:
    """Write each table without a key: its rows stand in the order in which the case has them."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        for table, lines in rows_of(case).items():
            names = columns_of(table)
            columns = ", ".join(f"{name} {'INTEGER' if name in NUMBERS else 'TEXT'}" for name in names)
            connection.execute(f"CREATE TABLE {table} ({columns})")
            values = [[text(value, spell) for value in line] for line in lines]
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})", values)


def text(value: object, spell: Callable[[uuid.UUID], str]) -> object:
    return spell(value) if isinstance(value, uuid.UUID) else str(value) if isinstance(value, dt.datetime) else value


@contextmanager
def stored(case: Case, *, spelt: bool = False) -> Iterator[tuple[Path, Source, Profile]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.db"
        write_file(case, path, in_any_spelling if spelt else str)
        profile = profile_of(case)
        with closing(open_target(str(path), profile)) as source:
            yield path, source, profile


def planned(case: Case, options: PlanOptions = ALONE) -> Plan:
    with stored(case) as (_, source, profile):
        return make_plan(source, profile, options)


def rows(path: Path, table: str = "Merges") -> Counter[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return Counter(connection.execute(f"SELECT rowid, * FROM {table}"))


def unnumbered(image: Image) -> str:
    """A row without SQLite's own row id, which tells where it stands in the file."""
    return json.dumps({name: cell for name, cell in image.items() if name != "rowid"}, sort_keys=True)


def told(part: Step | Refused) -> dict[str, Any]:
    """All that a plan says of a component, but for the places of rows in the file."""
    common = {"component": part.component, "kinds": part.kinds, "members": part.members, "evidence": part.evidence}
    if isinstance(part, Refused):
        return common | {"reason": part.reason, "line": part.override_line}
    return common | {
        "survivor": part.survivor,
        "confidence": part.confidence,
        "why": part.why,
        "notes": part.notes,
        "retired": sorted(unnumbered(change.before or {}) for change in part.changes),
        "guard": sorted(unnumbered(image) for image in part.guard),
    }


@FEW
@given(case=rule_model.cases("live"), seed=st.integers(0, 9))
def test_a_plan_is_the_same_for_any_order_of_the_rows(case: Case, seed: int) -> None:
    one, other = planned(case), planned(case.shuffled(random.Random(seed)))
    assert [told(step) for step in one.steps] == [told(step) for step in other.steps]
    assert [told(refused) for refused in one.refused] == [told(refused) for refused in other.refused]
    assert one.left_alone == other.left_alone


def of_members(case: Case, members: tuple[uuid.UUID, ...]) -> list[tuple[str, str]]:
    return sorted((str(old), str(new)) for old, new in case.pairs if old in members)


@FEW
@given(case=rule_model.cases("live"))
def test_every_part_of_a_plan_tells_all_rows_of_its_guids_and_who_might_survive(case: Case) -> None:
    plan = planned(case)
    parts = [*plan.steps, *plan.refused]
    assert len({part.component for part in parts}) == len(parts)
    members = [member for part in parts for member in part.members]
    assert len(set(members)) == len(members)
    for part in parts:
        assert sorted((row["old"], row["new"]) for row in part.evidence["rows"]) == of_members(case, part.members)
        assert part.evidence["read_from"]["live"] == "Alive.Guid"
        assert all(candidate["live"] is not None for candidate in part.evidence["candidates"])


@FEW
@given(case=rule_model.cases("live"))
def test_every_refusal_is_complete(case: Case) -> None:
    for refused in planned(case).refused:
        candidates = [candidate["guid"] for candidate in refused.evidence["candidates"]]
        assert refused.reason
        assert refused.override_line.split(",")[:2] == [refused.component, candidates[0]]
        assert all(not row["retired"] for row in refused.evidence["rows"])


@FEW
@given(case=rule_model.cases("live"))
def test_a_step_guards_all_rows_of_its_guids_as_they_stand(case: Case) -> None:
    with stored(case, spelt=True) as (path, source, profile):
        plan = make_plan(source, profile, ALONE)
        standing = [dict(zip(("rowid", "Id", "Old", "New"), row, strict=False)) for row in rows(path)]
        for step in plan.steps:
            own = [row for row in standing if guids.parse(row["Old"]) in step.members]
            assert sorted(image["rowid"] or "" for image in step.guard) == sorted(f"i:{row['rowid']}" for row in own)
            assert {unnumbered(change.before or {}) for change in step.changes} <= set(map(unnumbered, step.guard))
            gone = {row["row_id"] for row in step.evidence["rows"] if row["retired"]}
            assert {f"i:{number}" for number in gone} == {(change.before or {})["Id"] for change in step.changes}


def applied(source: Source, plan: Plan) -> None:
    with source.writing() as writing:
        for step in plan.steps:
            with writing.transaction() as store:
                store.change(step.changes)


@FEW
@given(case=rule_model.cases("live"), options=st.sampled_from([ALONE, replace(FREE, references=False)]))
def test_after_a_plan_a_second_one_has_no_steps(case: Case, options: PlanOptions) -> None:
    with stored(case) as (path, source, profile):
        plan = make_plan(source, profile, options)
        before = rows(path)
        applied(source, plan)
        gone = Counter({(int((change.before or {})["rowid"][2:])) for step in plan.steps for change in step.changes})  # type: ignore[index]
        assert Counter(row[0] for row in (before - rows(path)).elements()) == gone
        assert not rows(path) - before
        again = make_plan(source, profile, options)
        assert not again.steps
        asked, left = ({refused.component: refused for refused in one.refused} for one in (plan, again))
        assert asked.keys() <= left.keys()
        # A cycle with two live guids is repaired, and says that the merge of one of them has yet to be completed.
        unfinished = {member for step in plan.steps if step.notes for member in step.members}
        for component in left.keys() - asked.keys():
            assert left[component].kinds == ("shadowed-live",)
            assert unfinished.issuperset(left[component].members)


def ring(*numbers: int) -> tuple[tuple[int, int], ...]:
    return tuple(zip(numbers, (*numbers[1:], numbers[0]), strict=True))


TWO_LIVE = Case.of(*ring(1, 2, 3, 4, 5, 6), live=frozenset({rule_model.guid(5), rule_model.guid(6)}))
"""Walks end at the first live member; a person may order a dead one to survive, and then they end there."""


@FEW
@given(case=rule_model.cases("live"))
@example(case=TWO_LIVE)
def test_the_line_of_a_refusal_decides_its_component(case: Case) -> None:
    with stored(case) as (_, source, profile):
        plan = make_plan(source, profile, ALONE)
        for refused in plan.refused[:2]:
            component, survivor, *_ = refused.override_line.split(",")
            override = Override(component, uuid.UUID(survivor), "a person", "looked it up")
            ordered = make_plan(source, profile, replace(ALONE, overrides={component: override}))
            again = {part.component: part for part in [*ordered.steps, *ordered.refused]}[component]
            if isinstance(again, Step):
                assert (again.confidence, again.survivor) == (Confidence.ORDERED, override.survivor)
            else:
                assert "leads into" in again.reason or "stands, as ordered" in again.reason


CYCLES = Case.of(*ring(1, 2), *ring(3, 4, 5), (6, 7), live=frozenset({rule_model.guid(1), rule_model.guid(7)}))


def test_an_override_of_a_component_that_is_not_there_is_refused_by_its_id() -> None:
    override = Override("ffffffffffffffff", rule_model.guid(1), "a person", "")
    with pytest.raises(UsageError, match="ffffffffffffffff"):
        planned(CYCLES, replace(ALONE, overrides={override.component: override}))


def test_an_override_that_names_a_guid_outside_its_component_is_refused_by_its_id() -> None:
    component = planned(CYCLES).refused[0].component
    override = Override(component, rule_model.guid(7), "a person", "")
    with pytest.raises(UsageError, match=component) as refused:
        planned(CYCLES, replace(ALONE, overrides={component: override}))
    assert str(rule_model.guid(3)) in str(refused.value.hint)


def test_a_part_of_the_plan_can_be_asked_for() -> None:
    whole = planned(CYCLES)
    part = planned(CYCLES, replace(ALONE, only=(whole.steps[0].component,)))
    assert [told(step) for step in part.steps] == [told(whole.steps[0])]
    assert part.refused == ()
    assert any("1 more damaged component" in note for note in part.notes)
    with pytest.raises(UsageError, match="no damaged component 0123"):
        planned(CYCLES, replace(ALONE, only=("0123",)))


def test_a_file_is_not_planned_for(tmp_path: Path) -> None:
    file = tmp_path / "merges.csv"
    file.write_text("OldGuid,NewGuid\n")
    with (
        closing(open_target(str(file), Profile())) as source,
        pytest.raises(Unsupported, match="needs a database") as no,
    ):
        make_plan(source, Profile())
    assert "SQLite" in str(no.value.hint)


@contextmanager
def loose(path: Path, *merges: tuple[str, str | None]) -> Iterator[tuple[Source, Profile]]:
    """A table without a key, without types and without a profile to speak of."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE m (old, new)")
        connection.executemany("INSERT INTO m VALUES (?, ?)", merges)
    profile = Profile(merge=Merge("m", "old", "new"))
    with closing(open_target(str(path), profile)) as source:
        yield source, profile


A, B = (str(rule_model.guid(number)) for number in (1, 2))


def test_of_equal_rows_each_is_told_by_its_row_id(tmp_path: Path) -> None:
    with loose(tmp_path / "m.db", (A, B), (A, B), (A, B)) as (source, profile):
        (step,) = make_plan(source, profile, ALONE).steps
    assert [(change.before or {})["rowid"] for change in step.changes] == ["i:2", "i:3"]
    assert len(step.guard) == 3


def test_a_row_in_a_rare_spelling_is_found_in_the_whole_table(tmp_path: Path) -> None:
    with loose(tmp_path / "m.db", (f" urn:uuid:{A} ", A), (B, A)) as (source, profile):
        (step,) = make_plan(source, profile, ALONE).steps
    assert [(change.before or {})["old"] for change in step.changes] == [f"t: urn:uuid:{A} "]


def test_a_row_without_a_guid_as_new_is_guarded_with_the_others(tmp_path: Path) -> None:
    with loose(tmp_path / "m.db", (A, A), (A, "nonsense"), (A, None)) as (source, profile):
        (step,) = make_plan(source, profile, ALONE).steps
    assert len(step.guard) == 3
    assert len(step.changes) == 1


def test_a_plan_changes_nothing(tmp_path: Path) -> None:
    with stored(CYCLES) as (path, source, profile):
        path.chmod(0o444)
        path.parent.chmod(0o555)
        try:
            before = path.read_bytes()
            assert make_plan(source, profile).steps
            assert path.read_bytes() == before
            assert [file.name for file in path.parent.iterdir()] == [path.name]
        finally:
            path.parent.chmod(0o755)
