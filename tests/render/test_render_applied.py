"""What apply, undo, unmerge and the journal say, word for word."""

from __future__ import annotations

import datetime as dt
import json
import shlex

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from merge_model import guid

from mergeguard.core.repair.journal import JournalStep, Run
from mergeguard.core.repair.plan import Action, RowChange
from mergeguard.integrity.apply import Applied
from mergeguard.integrity.undo import Undone
from mergeguard.integrity.unmerge import Unmerge, Unmerged
from mergeguard.render.applied import applied_text, proposal_text, undone_text, unmerged_text
from mergeguard.render.journal import MAX_CHANGES, run_text, runs_text
from mergeguard.render.text import visible

RUN = "0" * 31 + "a"
NIGHT = dt.datetime(2024, 5, 1, 2, 3, 4, tzinfo=dt.UTC)
CHANGE = RowChange(Action.RETIRE, "Merges", {"Id": "1", "OldGuid": str(guid(1))}, None)


ROWS = (
    "2 merge rows retired, 1 reference re-pointed, 2 hash values cleared, 1 self-reference dropped, "
    "3 duplicates collapsed"
)


def test_an_apply_in_full() -> None:
    done = Applied(
        RUN,
        steps=5,
        applied=3,
        skipped=1,
        changes={"retire": 2, "re-point": 1, "clear hash": 2, "drop self-reference": 1, "collapse duplicate": 3},
        lookup_rows=4,
        lookup_mended=1,
        locked=(0.001, 0.002, 0.004),
        refused=2,
    )
    assert applied_text(done, "x.db").splitlines() == [
        "3 of 5 steps applied (1 had been applied before)",
        ROWS,
        "5 rows of the lookup rewritten, 1 of them at the end",
        "waiting for the merge lock and holding it: 2.0 ms a step at the median, 4.0 ms at the 99th percentile",
        "2 components refused by the plan, and as before",
        "1 step left: apply the same plan again to go on",
        f"the way back: mergeguard undo x.db {RUN}",
    ]


def test_an_apply_of_nothing() -> None:
    assert applied_text(Applied(RUN, 0), "x.db") == "nothing to do: the plan has no steps\n"


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1))
@example("a b.db")
@example("postgresql://u:***@h/d?a=b&c=d")
@example("""it's "100%" $HOME `x`.db""")
def test_the_way_back_is_one_command_for_a_shell(target: str) -> None:
    last = applied_text(Applied(RUN, 1, 1), target).splitlines()[-1]
    assert shlex.split(last.removeprefix("the way back: ")) == ["mergeguard", "undo", visible(target), RUN]


def test_what_a_target_holds_obeys_nobody() -> None:
    assert "\x1b" not in applied_text(Applied(RUN, 1, 1), "x\x1b[31m.db")


def test_an_undo_names_what_cannot_come_back() -> None:
    done = Undone("u", RUN, 2, ("a", "b"), {"Merges": 2}, {"Merges": ("Stamp", "Sum")}, 3, 1)
    assert undone_text(done).splitlines() == [
        f"2 steps of run {RUN} taken back; 2 rows of Merges put back",
        "checked: the rows are, byte for byte, what they were before the run",
        "except Merges: Stamp, Sum, which the server makes by itself",
        "3 rows of the lookup rewritten",
        "1 step of the run stays applied",
    ]


def test_a_proposal_says_what_nobody_can_know() -> None:
    found = Unmerge(guid(1), guid(2), ({"Id": "1"},), (CHANGE,), 2, {"Inv.Guid": 3}, has_journal=False, live=False)
    assert proposal_text(found).splitlines() == [
        f"{guid(1)} is now {guid(2)}",
        "to do: retire 1 merge row of it, let 1 reference hold it again",
        "2 references changed since the re-pointing and will stay as now",
        "there is no journal here: which references were re-pointed because of the merge is not recorded",
        f"3 rows of Inv.Guid hold {guid(2)}; which of them belonged to {guid(1)} is not recorded",
        f"{guid(1)} is not live: whatever leads to it will be dangling until the resource is there again",
    ]
    assert proposal_text(Unmerge(guid(1), None, ())).startswith(f"{guid(1)} is now no one guid")


def test_an_unmerge_names_the_way_back() -> None:
    assert unmerged_text(Unmerged(RUN, guid(1), 1, {"Inv": 2}), "x.db").splitlines() == [
        f"{guid(1)} is unmerged: 1 merge row retired; 2 rows of Inv put back",
        f"the way back: mergeguard undo x.db {RUN}",
    ]


RUNS = [
    Run("b" * 32, "undo", "ada@host", "1.2", NIGHT, NIGHT, undoes=RUN, reason="a mistake", steps=0),
    Run(RUN, "apply", "ada@host as dba", "1.2", NIGHT, None, steps=2, undone=1),
]


def test_runs_as_a_table() -> None:
    assert runs_text(RUNS).splitlines() == [
        "run                               kind   started (UTC)        ended     steps  taken back  who",
        "--------------------------------  -----  -------------------  --------  -----  ----------  ---------------",
        f"{'b' * 32}  undo   2024-05-01 02:03:04  02:03:04  0      0           ada@host",
        f"{RUN}  apply  2024-05-01 02:03:04  no        2      1           ada@host as dba",
    ]


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_runs_for_programs(form: str) -> None:
    text = runs_text(RUNS, form)
    found = json.loads(text) if form == "json" else [json.loads(line) for line in text.splitlines()]
    assert [(run["run_id"], run["started"], run["undoes"]) for run in found] == [
        ("b" * 32, "2024-05-01T02:03:04Z", RUN),
        (RUN, "2024-05-01T02:03:04Z", None),
    ]


STEP = JournalStep(
    RUN,
    1,
    "0123456789abcdef",
    ("cycle",),
    (guid(1), guid(2)),
    guid(2),
    "certain",
    "the only live one of 2",
    (CHANGE,) * (MAX_CHANGES + 5),
    (),
    {"votes": [{"evidence": "E1", "why": "the only live one of 2", "read_from": "Alive.Guid"}]},
    NIGHT,
    "b" * 32,
)


def test_a_run_step_by_step() -> None:
    lines = run_text(RUNS[1], [STEP], "postgresql").splitlines()
    assert lines[:11] == [
        f"Run {RUN}: apply by ada@host as dba with MergeGuard 1.2",
        "from 2024-05-01 02:03:04 UTC not to its end",
        "2 steps, 1 of them taken back since",
        "",
        "1. 0123456789abcdef (cycle, certain) at 2024-05-01 02:03:04 UTC",
        f"   taken back by run {'b' * 32}",
        "   why: the only live one of 2",
        f"   survivor: {guid(2)}",
        "   evidence E1: the only live one of 2 (Alive.Guid)",
        f"   retire: Merges Id 1, OldGuid {guid(1)}",
        f"   retire: Merges Id 1, OldGuid {guid(1)}",
    ]
    assert lines[-1] == "   and 5 more rows; --format json has them all"


def test_a_run_that_takes_back_another_names_it() -> None:
    lines = run_text(RUNS[0], [], "postgresql").splitlines()
    assert lines[2:4] == [f"takes back run {RUN}", "because: a mistake"]
    assert "takes back" not in run_text(RUNS[1], [], "postgresql")
    assert "because" not in run_text(RUNS[1], [], "postgresql")


def test_a_run_for_programs_has_every_row() -> None:
    found = json.loads(run_text(RUNS[1], [STEP], "postgresql", "json"))
    assert found["run"]["run_id"] == RUN
    assert len(found["steps"][0]["changes"]) == MAX_CHANGES + 5
    first, second = (json.loads(line) for line in run_text(RUNS[1], [STEP], "postgresql", "jsonl").splitlines())
    assert (first["run_id"], second["component"]) == (RUN, "0123456789abcdef")
