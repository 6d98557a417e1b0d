"""Plans find the rows of damaged olds by their ids, on SQLite and PostgreSQL: the same rows as by any other way."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from case_targets import in_any_spelling
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from merge_model import guid

from mergeguard.core import guids
from mergeguard.core.repair.plan import Image, Plan
from mergeguard.errors import CannotCheck
from mergeguard.integrity.planning import PlanOptions, make_plan
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.rows import by_number
from mergeguard.storage.rows.database import DatabaseRows
from mergeguard.storage.targets import open_target

FEW = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
FREE = PlanOptions(accept_medium=True, allow_arbitrary=True)
KEYS = {
    "key": ('"Id" integer PRIMARY KEY', "Id"),
    "second key": ('"Id" integer NOT NULL, "Other" integer PRIMARY KEY', "Id"),
    "hidden": ('"Id" integer', None),
    "repeated": ('"Id" integer', "Id"),
}
"""What the table is like, and which of its columns the profile calls its id."""
BAD = ("", "no guid", None)

Line = tuple[int, object, object]


@dataclass
class Table:
    """The merges of one database, made anew for each case."""

    url: str
    engine: sa.Engine

    def put(self, key: str, lines: Sequence[Line]) -> Profile:
        columns, row_id = KEYS[key]
        with self.engine.begin() as connection:
            connection.execute(sa.text('DROP TABLE IF EXISTS "Merges"'))
            connection.execute(sa.text(f'CREATE TABLE "Merges" ({columns}, "Old" varchar(60), "New" varchar(60))'))
            names, values = ('"Id", "Old", "New"', ":a, :b, :c")
            if key == "second key":
                names, values = f'"Other", {names}', f"1000 - :a, {values}"
            for line in lines:
                told = dict(zip("abc", line, strict=True))
                connection.execute(sa.text(f'INSERT INTO "Merges" ({names}) VALUES ({values})'), told)
        return Profile(name="case", merge=Merge("Merges", "Old", "New", row_id=row_id))

    def plan(self, profile: Profile) -> Plan:
        source = open_target(self.url, profile)
        try:
            return make_plan(source, profile, FREE)
        finally:
            source.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    file = f"sqlite:///{tmp_path_factory.mktemp('ids') / 'merges.db'}"
    url = file if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = Table(url, sa.create_engine(url, poolclass=sa.pool.NullPool))
    yield made
    made.engine.dispose()


@st.composite
def lines(draw: st.DrawFn) -> list[Line]:
    """Rows of a few guids in any spelling, some of them no merges, their ids in no order."""
    few = st.integers(0, 6).map(guid)
    pairs = draw(st.lists(st.tuples(few, few), min_size=2, max_size=9))
    spell = draw(st.sampled_from([str, in_any_spelling]))
    told = [(spell(old), spell(new)) for old, new in pairs]
    told += [(spell(old), bad) for old, bad in draw(st.lists(st.tuples(few, st.sampled_from(BAD)), max_size=1))]
    ids = draw(st.permutations(range(1, len(told) + 1)))
    return [(number, *pair) for number, pair in zip(ids, told, strict=True)]


def of_members(told: Sequence[Line], members: Sequence[uuid.UUID]) -> list[str]:
    own = [line for line in told if guids.parse(line[1]) in members]
    return sorted(json.dumps([str(number), old, new]) for number, old, new in own)


def plain(images: Sequence[Image]) -> list[str]:
    """The rows as they were put in, whatever a dialect writes before its cells."""
    cells = [[image["Id"], image["Old"], image["New"]] for image in images]
    return sorted(json.dumps([cell and cell.removeprefix("i:").removeprefix("t:") for cell in row]) for row in cells)


def told_by(plan: Plan) -> list[tuple[Any, ...]]:
    return [(step.component, plain(step.guard), [plain([c.before or {}]) for c in step.changes]) for step in plan.steps]


RING = [(5, str(guid(1)), str(guid(2))), (3, f"({guid(2)})", str(guid(1))), (4, str(guid(3)), str(guid(1)))]
REJECTED = [*RING, (9, str(guid(1)), "no guid")]


@FEW
@given(told=lines(), key=st.sampled_from(sorted(KEYS)))
@example(told=RING, key="key")
@example(told=REJECTED, key="key")
def test_a_step_guards_every_row_of_its_olds_whatever_finds_a_row(table: Table, told: list[Line], key: str) -> None:
    plan = table.plan(table.put(key, told))
    for step in plan.steps:
        assert plain(step.guard) == of_members(told, step.members)
        assert {plain([change.before or {}])[0] for change in step.changes} <= set(plain(step.guard))


@FEW
@given(told=lines())
def test_rows_found_by_their_ids_are_those_found_by_their_olds(table: Table, told: list[Line]) -> None:
    profile = table.put("key", told)
    by_id = table.plan(profile)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(by_number, "numbered", lambda *_: None)
        by_old = table.plan(profile)
    assert told_by(by_id) == told_by(by_old)


def searched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    having = DatabaseRows.having

    def noted(rows: DatabaseRows, name: str, *arguments: Any, **more: Any) -> Iterator[Image]:
        found.append(name)
        return having(rows, name, *arguments, **more)

    monkeypatch.setattr(DatabaseRows, "having", noted)
    return found


def test_a_table_with_a_key_is_not_searched_for_olds(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    found = searched(monkeypatch)
    assert len(table.plan(table.put("key", RING)).steps) == 1
    assert found == [], "without an index on the olds each search reads the whole table"


def test_rows_that_are_no_merges_are_guarded_too_and_so_searched_for(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = searched(monkeypatch)
    [step] = table.plan(table.put("key", REJECTED)).steps
    assert "Merges" in found
    assert len(step.guard) == 3


def test_ids_that_name_other_rows_by_now_are_not_believed(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = table.put("key", [*RING, (7, str(guid(6)), str(guid(5)))])
    right = told_by(table.plan(profile))
    numbered = by_number.numbered

    def shifted(rows: DatabaseRows, name: str, column: str, numbers: Sequence[int]) -> list[Image] | None:
        return numbered(rows, name, column, [7 if number == 3 else number for number in numbers])

    monkeypatch.setattr(by_number, "numbered", shifted)
    assert told_by(table.plan(profile)) == right


def test_rows_that_nothing_finds_any_more_end_the_plan(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = table.put("key", RING)
    monkeypatch.setattr(by_number, "numbered", lambda *_: [])
    monkeypatch.setattr(DatabaseRows, "having", lambda *_, **__: iter(()))
    with pytest.raises(CannotCheck, match="changed while they were read"):
        table.plan(profile)
