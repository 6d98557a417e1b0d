"""Undo: part of a run, what changed since, what was taken back before, and a journal that is not as it was."""

from __future__ import annotations

import uuid

import pytest
from apply_world import World, rings
from merge_model import guid
from stale_case import StaleCase

from mergeguard.core.repair.journal import JournalStep
from mergeguard.errors import JournalDamaged, PlanRefused, Stale, Unsupported, UsageError
from mergeguard.integrity.undo import Undone, undo_run
from mergeguard.storage.profile import Profile
from mergeguard.storage.targets import open_target

TWO = StaleCase(rings(2, 3), inventory=[(guid(1), None, "x")])
STALE = StaleCase([(guid(1), guid(2))], inventory=[(guid(1), None, "x"), (guid(1), None, "y")])


def applied(world: World, case: StaleCase, *, lookup: bool = True) -> list[JournalStep]:
    world.put(case, lookup=lookup)
    plan = world.plan()
    world.apply(plan)
    return world.journal().steps(plan.plan_id)


def test_one_component_is_taken_back_alone(world: World) -> None:
    one, other = applied(world, TWO)
    done = world.undo(one.run_id, component=other.component, reason="it was two machines")
    assert (done.steps, done.components, done.left) == (1, (other.component,), 1)
    assert {step.component for step in world.plan().steps} == {other.component}
    assert world.drift() == 0
    undo, run = world.journal().runs()
    assert (undo.kind, undo.undoes, undo.reason, undo.run_id) == (
        "undo",
        run.run_id,
        "it was two machines",
        done.run_id,
    )
    assert (run.steps, run.undone) == (2, 1)
    assert [step.undone_by for step in world.journal().steps(run.run_id)] == [None, done.run_id]
    rest = world.undo(one.run_id)
    assert (rest.components, rest.left) == ((one.component,), 0)


def test_the_first_six_characters_name_a_run(world: World) -> None:
    step, *_ = applied(world, TWO)
    assert world.undo(f" {step.run_id[:6].upper()} ").undoes == step.run_id


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ("12345", UsageError, "too short to name a run"),
        ("zzzzzz", JournalDamaged, "the journal knows no run 'zzzzzz'"),
    ],
)
def test_what_names_no_run_is_told(world: World, asked: str, error: type[Exception], words: str) -> None:
    applied(world, TWO)
    with pytest.raises(error, match=words):
        world.undo(asked)


def test_two_runs_that_begin_alike_are_told_apart(world: World) -> None:
    steps = applied(world, TWO)
    twin = steps[0].run_id[:-1] + ("0" if steps[0].run_id[-1] != "0" else "1")
    world.execute(f"""INSERT INTO "mergeguard_run" SELECT '{twin}', "kind", "who", "tool_version", "started", "reason",
        "finished", "undoes" FROM "mergeguard_run" """)
    with pytest.raises(UsageError, match="2 runs begin with"):
        world.undo(steps[0].run_id[:8])
    assert world.undo(steps[0].run_id).steps == 2


def test_no_journal_no_undo(world: World) -> None:
    world.put(TWO)
    with pytest.raises(JournalDamaged, match="there is no journal here"):
        world.undo("0123456789")


def test_an_undo_is_not_undone_and_nothing_is_undone_twice(world: World) -> None:
    step, *_ = applied(world, TWO)
    done = world.undo(step.run_id)
    with pytest.raises(PlanRefused, match="is an undo itself") as refused:
        world.undo(done.run_id)
    assert "mergeguard plan" in str(refused.value.hint)
    with pytest.raises(PlanRefused, match=f"was taken back by run {done.run_id} before"):
        world.undo(step.run_id)


def test_a_plan_whose_run_was_taken_back_is_not_applied_again(world: World) -> None:
    world.put(TWO)
    plan = world.plan()
    world.apply(plan)
    done = world.undo(plan.plan_id, component=plan.steps[1].component)
    before = world.everything()
    with pytest.raises(PlanRefused, match=f"step 2 was taken back by run {done.run_id}"):
        world.apply(plan)
    assert world.everything() == before


def test_an_unknown_component_is_told_with_those_there_are(world: World) -> None:
    step, other = applied(world, TWO)
    with pytest.raises(UsageError, match="changed no component nope") as refused:
        world.undo(step.run_id, component="nope")
    assert step.component in str(refused.value.hint)
    assert other.component in str(refused.value.hint)


SINCE = {
    "a row of a member came": """INSERT INTO "Merges" VALUES (80, '{old}', '{new}')""",
    "a row of a member went": """DELETE FROM "Merges" WHERE "OldGuid" = '{old}'""",
    "a row of a member leads elsewhere": """UPDATE "Merges" SET "NewGuid" = '{new}' WHERE "OldGuid" = '{old}'""",
}


@pytest.mark.parametrize("what", SINCE)
def test_nothing_is_taken_back_where_a_row_changed_since(world: World, what: str) -> None:
    _, last = applied(world, TWO)
    old = next(member for member in last.members if member != last.survivor)
    world.execute(SINCE[what].format(old=old, new=guid(40)))
    before = world.everything()
    with pytest.raises(Stale, match="rows changed since the run, and nothing was taken back") as refused:
        world.undo(last.run_id)
    assert all(str(old) in line for line in refused.value.changed)
    assert world.everything() == before
    assert [run.kind for run in world.journal().runs()] == ["apply"]


def test_the_component_that_did_not_change_can_be_taken_back_alone(world: World) -> None:
    one, last = applied(world, TWO)
    world.execute(SINCE["a row of a member came"].format(old=last.members[0], new=guid(41)))
    assert world.undo(one.run_id, component=one.component).steps == 1


@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_re_pointed_row_that_changed_since_is_named(world: World, how: str) -> None:
    [step] = applied(world, STALE)
    statements = {
        "changed": 'UPDATE "Inv" SET "Value" = \'new\' WHERE "Id" = 2',
        "gone": 'DELETE FROM "Inv" WHERE "Id" = 2',
    }
    world.execute(statements[how])
    before = world.everything()
    with pytest.raises(Stale) as refused:
        world.undo(step.run_id)
    assert refused.value.changed == ("Inv, row Id 2: is gone, or is not as the run left it",)
    assert world.everything() == before


def test_a_row_that_stands_where_another_is_put_back_is_not_overwritten(world: World) -> None:
    step, *_ = applied(world, TWO)
    [change] = step.changes
    row = int(str((change.before or {})["Id"]).removeprefix("i:"))
    world.execute(f"""INSERT INTO "Merges" VALUES ({row}, '{guid(50)}', '{guid(51)}')""")
    before = world.everything()
    with pytest.raises(Stale):
        world.undo(step.run_id, component=step.component)
    assert world.everything() == before


def test_a_row_that_changes_between_the_look_and_the_transaction_stops_it_there(world: World) -> None:
    one, last = applied(world, TWO)

    def meddle(phase: str, done: int, _total: int | None) -> None:
        if (phase, done) == ("taking back steps", 1):
            world.execute(SINCE["a row of a member came"].format(old=one.members[0], new=guid(42)))

    with pytest.raises(Stale, match=f"{one.component} changed since the run") as refused:
        world.undo(one.run_id, progress=meddle)
    assert "1 of 2 steps are taken back" in refused.value.message
    assert [step.undone_by is None for step in world.journal().steps(one.run_id)] == [True, False]
    assert {step.component for step in world.plan().steps} >= {last.component}


def test_an_altered_journal_takes_nothing_back(world: World) -> None:
    step, *_ = applied(world, TWO)
    world.execute("""UPDATE "mergeguard_change" SET "before_image" = replace("before_image", '1', '2')""")
    before = world.everything()
    with pytest.raises(JournalDamaged, match="was altered in the journal"):
        world.undo(step.run_id)
    assert world.everything() == before


def test_a_journal_that_lost_a_table_takes_nothing_back(world: World) -> None:
    step, *_ = applied(world, TWO)
    world.execute('DROP TABLE "mergeguard_change"')
    before = world.everything()
    with pytest.raises(JournalDamaged, match="mergeguard_change"):
        world.undo(step.run_id)
    assert world.everything() == before


def test_columns_that_the_server_makes_are_named(world: World) -> None:
    world.put(TWO)
    made = {"sqlite": "VIRTUAL", "postgresql": "STORED"}[world.kind]
    world.execute(f'ALTER TABLE "Merges" ADD COLUMN "Twice" integer GENERATED ALWAYS AS ("Id" * 2) {made}')
    try:
        before, plan = world.rows("Merges", "Id", "OldGuid", "NewGuid", "Twice"), world.plan()
        world.apply(plan)
        done: Undone = world.undo(plan.plan_id)
        assert done.differs == {"Merges": ("Twice",)}
        assert world.rows("Merges", "Id", "OldGuid", "NewGuid", "Twice") == before
    finally:
        world.execute('ALTER TABLE "Merges" DROP COLUMN "Twice"')


def test_files_have_nothing_to_take_back(tmp_path: pytest.TempPathFactory) -> None:
    path = tmp_path / "m.csv"  # type: ignore[operator]
    path.write_text(f"OldGuid,NewGuid\n{uuid.UUID(int=1)},{uuid.UUID(int=2)}\n")
    with pytest.raises(Unsupported, match="only a database can be repaired"):
        undo_run(open_target(str(path), Profile()), Profile(), "0123456789")
