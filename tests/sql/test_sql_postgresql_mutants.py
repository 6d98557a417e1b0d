"""Faults planted into the functions of PostgreSQL: each is found by comparing with Python or by the kit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from merge_model import guid
from merging_world import ANY, ONE, PROFILE
from sql_sides import Side, Start
from sql_world import ask, drop, install, plain

from mergeguard.storage.scripts.files import scripts
from mergeguard.testing import MergeIsWrong, PlainMerge, Sandbox, check_merges, rings
from mergeguard.testing.sandbox import SENTINEL


@dataclass(frozen=True)
class Planted:
    """A fault: in a file, one text in place of another."""

    name: str
    file: str
    right: str
    wrong: str

    more: tuple[tuple[str, str], ...] = ()
    """What else goes: a second net that would catch the fault."""

    @property
    def text(self) -> str:
        (script,) = [one for one in scripts("postgresql") if one.name == self.file]
        text = script.text
        for right, wrong in ((self.right, self.wrong), *self.more):
            assert text.count(right) == 1, f"{self.file} holds {right!r} otherwise"
            text = text.replace(right, wrong)
        return text


RACES = [
    Planted(
        "not read again behind the locks",
        "40_merge.sql",
        "    SELECT * INTO roots FROM mergeguard.roots_of(asked_old, asked_new);\n    IF (coalesce",
        "    roots := seen;\n    IF (coalesce",
        (("IF wrong IS NOT NULL THEN", "IF false THEN"),),
    ),
    Planted(
        "the named guids locked",
        "40_merge.sql",
        "mergeguard.lock_roots(seen.old_root, seen.new_root, beside)",
        "mergeguard.lock_roots(asked_old, asked_new, beside)",
    ),
]
MERGE, SURVIVAL = "40_merge.sql", "35_survival.sql"
FAULTS = [
    Planted("depth", MERGE, "depth = k.depth + 1", "depth = k.depth"),
    Planted("the class is left behind", MERGE, "WHERE k.current_guid = old_root;", "WHERE false;"),
    Planted("no before-images", MERGE, "|| moved.befores || live_rows", "|| moved.afters || live_rows"),
    Planted("an older datum wins", SURVIVAL, ") >= (facts.numbers[n], facts", ") < (facts.numbers[n], facts"),
    Planted("links with oneself", SURVIVAL, "IF facts.itself[n] THEN", "IF false THEN"),
    Planted("one link too many", SURVIVAL, "r.place > most", "r.place > most + 1"),
    Planted("duplicates stay", SURVIVAL, "        IF FOUND THEN\n", "        IF false THEN\n"),
]
KNOWN = [guid(number) for number in range(4)]
SOME = st.sampled_from(KNOWN)
PAIRS = st.permutations(KNOWN).map(lambda some: (some[0], some[1]))


@st.composite
def starts(draw: st.DrawFn) -> Start:
    days = st.integers(0, 3)
    one = draw(st.lists(st.tuples(SOME, st.just("a"), days), unique_by=lambda row: row[0], min_size=2, max_size=4))
    links = draw(st.lists(st.tuples(st.sampled_from([ANY, ONE]), SOME, SOME, days), min_size=2, max_size=6))
    many = draw(st.lists(st.tuples(SOME, st.just("a")), min_size=3, max_size=6))
    rows = {
        "Alive": [(each,) for each in KNOWN],
        "LinkKinds": [(ONE, 1)],
        "Inv_One": one,
        "Inv_Many": many,
        "Links": links,
    }
    return Start(rows, [], [])


@pytest.fixture(scope="module")
def sides(postgres_url: str) -> Iterator[tuple[Side, Side]]:
    drop(postgres_url)
    one = Side(postgres_url, "by_python", PROFILE)
    drop(postgres_url)
    other = Side(postgres_url, "by_sql", PROFILE)
    yield one, other
    one.close()
    other.close()
    drop(postgres_url)


def _differ(sides: tuple[Side, Side]) -> bool:
    """Say whether some drawn merges come to another end by SQL than by Python."""
    by_python, by_sql = sides

    @seed(7)
    @settings(max_examples=20, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
    @given(start=starts(), merges=st.lists(PAIRS, min_size=1, max_size=3))
    def compare(start: Start, merges: list[tuple[Any, Any]]) -> None:
        by_python.begin(start)
        by_sql.begin(start)
        for pair in merges:
            assert by_sql.sql(*pair) == by_python.python(*pair)
        assert by_sql.picture() == by_python.picture()

    try:
        compare()
    except (AssertionError, psycopg.Error):
        return True
    return False


def test_without_a_fault_nothing_is_found(sides: tuple[Side, Side]) -> None:
    assert not _differ(sides)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_is_found(sides: tuple[Side, Side], fault: Planted) -> None:
    _, by_sql = sides
    ask(by_sql.url, fault.text)
    try:
        assert _differ(sides)
    finally:
        install(by_sql.url, PROFILE)


@pytest.mark.long
@pytest.mark.parametrize("fault", RACES, ids=lambda fault: fault.name)
def test_each_race_is_found(postgres_url: str, fault: Planted) -> None:
    drop(postgres_url)
    with psycopg.connect(plain(postgres_url)) as connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {SENTINEL} ()")
    with Sandbox(postgres_url) as sandbox:
        install(sandbox.url, sandbox.profile)
        ask(sandbox.url, fault.text)

        def merge(connection: Any, old: str, new: str) -> None:
            connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            connection.execute("SELECT mergeguard.merge(%s, %s)", [old, new])
            connection.commit()

        system = PlainMerge(sandbox, merge, (psycopg.errors.RaiseException,))
        with pytest.raises(MergeIsWrong):
            check_merges(system, drawn=rings(["READ COMMITTED"]), checks=["forest"], schedules=1000)
        drop(postgres_url)
