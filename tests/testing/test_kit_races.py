"""The kit finds the races that are known, explains them, and finds none in what is right."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mergeguard.errors import UsageError
from mergeguard.testing import (
    CHECKS,
    Case,
    Fault,
    MergeIsWrong,
    OwnMerge,
    PlainMerge,
    Refused,
    Sandbox,
    Search,
    check_merges,
    check_walks,
    ring_of,
    rings,
)
from mergeguard.testing.choices import Interrupting
from mergeguard.testing.mutants import MUTANTS, RIGHT, SERIAL, Mutant, hunt, matrix
from mergeguard.testing.play import Play, Violation
from mergeguard.testing.recipe import Lock, Recipe, walk
from mergeguard.testing.replay import from_token
from mergeguard.testing.rings import forks
from mergeguard.testing.search import replayed

SCHEDULES = 150
NAMED = Recipe(lock=Lock.NAMED)
UNCHECKED = Recipe(lock=Lock.NONE, level=None)


def test_the_cycle_over_four_guids_is_found_in_the_locking_of_named_rows(sandbox: Sandbox) -> None:
    found = Search(PlainMerge(sandbox, NAMED), rings(["READ COMMITTED"]), checks=["forest"], schedules=1000).run()

    assert found is not None
    assert found.steady
    report = found.report()
    assert "a cycle: " in found.violation.sentence
    assert len(found.violation.case.start.merges) >= 1, "only over what was merged before"
    assert found.violation.history.preemptions == 1, "shrunk to the fewest interruptions"
    assert re.search(r"^ +\d+ .*\* SELECT new FROM merge WHERE old = [A-E]", report, re.MULTILINE), report
    assert re.search(r"\* stale: step \d+ \(merge .->.\) read nothing; step \d+ .* still relied on", report), report
    assert "<== forest" in report
    assert report.endswith(f"replay: {found.token}")


def test_two_merges_that_check_and_then_insert_close_a_circle_and_the_token_repeats_it(sandbox: Sandbox) -> None:
    system = PlainMerge(sandbox, UNCHECKED)
    with pytest.raises(MergeIsWrong) as caught:
        check_merges(system, checks=["forest"], drawn=rings(["READ COMMITTED"]))
    found = caught.value.found

    assert found is not None
    again = replayed(system, from_token(found.token), ["forest"])
    assert again is not None
    assert again.violation.sentence == found.violation.sentence
    assert again.report().splitlines()[3:] == found.report().splitlines()[3:]
    with pytest.raises(MergeIsWrong, match="<== forest"):
        check_merges(system, checks=["forest"], replay=found.token)
    assert check_merges(PlainMerge(sandbox, RIGHT), replay=found.token).schedules == 0


def test_the_same_seed_finds_the_same_schedule(sandbox: Sandbox) -> None:
    def token(seed: int) -> str:
        found = Search(PlainMerge(sandbox, UNCHECKED), rings(), checks=["forest"], seed=seed).run()
        assert found is not None
        return found.token

    assert token(1) == token(1)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_mutant_is_killed_by_its_check_within_its_budget(
    sandbox: Sandbox, mutant: Mutant, record_property: pytest.RecordProperty
) -> None:
    schedules = hunt(sandbox, mutant)

    record_property("schedules", schedules)
    assert schedules is not None
    assert schedules <= mutant.budget


def test_each_check_kills_a_mutant() -> None:
    assert {mutant.killed_by for mutant in MUTANTS} == {*CHECKS, "terminates"}
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 15
    assert "| the named rows locked | `forest` | 1000 | 7 |" in matrix(dict.fromkeys((one.name for one in MUTANTS), 7))


@pytest.mark.parametrize("merge", [RIGHT, SERIAL], ids=["roots locked and written", "serializable with retries"])
def test_what_is_right_passes_every_check(sandbox: Sandbox, merge: Recipe) -> None:
    tally = check_merges(PlainMerge(sandbox, merge), schedules=60)

    assert tally.outcomes["made"] > 30
    assert tally.outcomes["refused"] > 0
    assert tally.waits > 0, "no schedule met a lock"
    check_walks(sandbox, walk, tries=20)


def test_our_own_merge_passes_every_check_on_rings(sandbox: Sandbox, pytestconfig: pytest.Config) -> None:
    schedules = 1000 if pytestconfig.getoption("--long") else SCHEDULES
    own = OwnMerge(sandbox)
    try:
        search = Search(own, rings(), schedules=schedules)
        found = search.run()
    finally:
        own.close()

    assert found is None, found.report()
    assert search.tally.schedules >= schedules
    assert search.tally.outcomes["made"] > schedules
    assert search.tally.waits > 0


def test_our_own_merge_passes_every_check_with_data_and_faults(sandbox: Sandbox, pytestconfig: pytest.Config) -> None:
    schedules = 500 if pytestconfig.getoption("--long") else 60
    own = OwnMerge(sandbox)
    try:
        tally = check_merges(own, schedules=schedules, faults=tuple(Fault))
    finally:
        own.close()

    assert tally.outcomes["failed"] > 0, "no fault struck"


def test_two_merges_do_not_deadlock_each_other_in_every_try(sandbox: Sandbox) -> None:
    own = OwnMerge(sandbox)
    try:
        tally = check_merges(own, schedules=60, drawn=forks())
    finally:
        own.close()

    assert tally.outcomes["made"] == 2 * tally.schedules, "nobody was told that it is locked"
    assert tally.waits > tally.schedules


def broken_by(sandbox: Sandbox, case: Case, interruptions: list[tuple[int, int]]) -> bool:
    try:
        Play(PlainMerge(sandbox, NAMED), case, Interrupting(interruptions)).run()
    except Violation:
        return True
    return False


def test_our_own_merge_is_not_what_the_schedule_would_have_broken(sandbox: Sandbox) -> None:
    case = ring_of(4, before=[1, 3])
    schedule = [(at, 0) for at in range(1, 12)]
    assert any(broken_by(sandbox, case, [one]) for one in schedule)
    own = OwnMerge(sandbox)
    try:
        for interruption in schedule:
            Play(own, case, Interrupting([interruption])).run()
    finally:
        own.close()


def test_a_merge_that_refuses_everything_has_shown_nothing(sandbox: Sandbox) -> None:
    def never(_session: object, _old: str, _new: str) -> None:
        raise Refused

    with pytest.raises(MergeIsWrong, match="not one merge was made"):
        check_merges(PlainMerge(sandbox, never), schedules=5, checks=["forest"])
    with pytest.raises(MergeIsWrong, match=r"confluent: . and . were to be merged, and are not"):
        check_merges(PlainMerge(sandbox, never), schedules=20, checks=["confluent"])


def test_a_merge_that_the_database_never_takes_says_what_the_database_said(sandbox: Sandbox) -> None:
    def misspelt(session: Any, old: str, new: str) -> None:
        session.execute("INSERT INTO merged (old, new) VALUES (%s, %s)", [old, new])

    with pytest.raises(
        MergeIsWrong, match=r"not one merge was made in 5 .* UndefinedTable: relation .merged. does not"
    ):
        check_merges(PlainMerge(sandbox, misspelt), schedules=5, checks=["forest"])


def test_a_merge_that_forgets_to_commit_has_shown_nothing(sandbox: Sandbox) -> None:
    def forgetful(session: Any, old: str, new: str) -> None:
        session.execute("INSERT INTO merge (old, new) VALUES (%s, %s)", [old, new])

    with pytest.raises(MergeIsWrong, match=r"nothing was merged in 5 schedules.*: does the function commit\?"):
        check_merges(PlainMerge(sandbox, forgetful), schedules=5, checks=["forest"])
    tally = check_merges(PlainMerge(sandbox, RIGHT), schedules=5, drawn=rings(), checks=["forest"])
    assert 0 < tally.merged <= 5


def test_a_sandbox_of_another_database_is_refused_by_its_url() -> None:
    with pytest.raises(UsageError, match="PostgreSQL, and this is a URL of sqlite") as refused:
        Sandbox("sqlite:///scratch_test.db")
    assert "SqliteSandbox" in str(refused.value.hint)


def test_a_bug_of_the_merge_comes_out_as_it_is(sandbox: Sandbox) -> None:
    def broken(_session: object, _old: str, _new: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        check_merges(PlainMerge(sandbox, broken))


def test_a_check_that_is_not_known_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(UsageError, match="'forrest'"):
        check_merges(PlainMerge(sandbox, RIGHT), checks=["forrest"])


def test_an_endless_walk_is_told_with_the_table_it_is_endless_on(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mergeguard.testing.walkers.TIMEOUT", "SET LOCAL statement_timeout = '100ms'")

    def lost(session: object, guid: str) -> tuple[str, str]:
        sql = "WITH RECURSIVE w AS (SELECT %s::uuid AS g UNION ALL SELECT new FROM w, merge WHERE old = g) "
        found = session.execute(sql + "SELECT g FROM w LEFT JOIN merge ON old = g WHERE old IS NULL", [guid])  # type: ignore[attr-defined]
        return "ok", str(found.fetchone()[0])

    with pytest.raises(MergeIsWrong, match=r"terminates: the walk did not end, on . rows"):
        check_walks(sandbox, lost, tries=4)
