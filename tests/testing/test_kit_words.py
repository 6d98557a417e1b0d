"""What a time line shows, what is stale and what is not, and where the kit refuses to run."""

from __future__ import annotations

import subprocess
import sys
import uuid

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeguard.errors import UsageError
from mergeguard.testing import Fault, Sandbox
from mergeguard.testing.history import History, Kind, Outcome, Step
from mergeguard.testing.sandbox import SENTINEL
from mergeguard.testing.stale import StaleReads, is_read
from mergeguard.testing.timeline import LEAST, Timeline

A = str(uuid.UUID(int=10))
READ, WRITE = "SELECT new FROM merge WHERE old = %s", "INSERT INTO merge VALUES (%s, %s)"


def step(number: int, actor: int, sql: str, **more: object) -> Step:
    kind = Kind.COMMIT if sql == "COMMIT" else Kind.STATEMENT
    return Step(number, actor, kind, sql, **more)  # type: ignore[arg-type]


def test_a_time_line_shows_values_waits_errors_and_faults() -> None:
    history = History(("merge A->B", "merge B->A"))
    history.steps = [
        step(1, 0, "SELECT x FROM t WHERE g = %s FOR UPDATE", values=[A], read=[("computer",)]),
        step(2, 1, "SELECT x FROM t WHERE g = %(g)s FOR UPDATE", values=[("g", A)], waited_until=4, waited_for=(0,)),
        step(3, 0, READ, values=[A.upper()], read=[]),
        step(4, 0, "COMMIT"),
        step(5, 1, "COMMIT", error="could not serialize", fault=Fault.SERIALIZATION),
    ]
    history.outcomes = [Outcome("merged"), Outcome(error=ValueError("no\nmore"))]

    text = Timeline(history, {A: "A"}, bad=(history.steps[3], "forest"), width=110).text()

    assert [line.rstrip() for line in text.splitlines()] == [
        "    merge A->B                                        | merge B->A",
        "    ----------                                        | ----------",
        "  1 SELECT x FROM t WHERE g = A FOR UPDATE            |",
        "       = computer                                     |",
        "  2                                                   | SELECT x FROM t WHERE g = A FOR UPDATE ... waits",
        "                                                      | for merge A->B, goes on after step 4",
        "  3 SELECT new FROM merge WHERE old = A in capitals   | :",
        "       = nothing                                      | :",
        "  4 COMMIT                                            | :   <== forest",
        "  5                                                   | COMMIT",
        "                                                      |    X 40001: could not serialize",
        "merge A->B: done: merged",
        "merge B->A: ValueError: no",
    ]


def test_the_step_that_broke_a_check_is_marked_behind_what_came_of_it() -> None:
    history = History(("merge A->B",))
    history.steps = [step(1, 0, READ, values=[A], read=[])]

    text = Timeline(history, {A: "A"}, bad=(history.steps[0], "forest"), width=60).text()

    assert [line.rstrip() for line in text.splitlines()][2:4] == [
        "  1 SELECT new FROM merge WHERE old = A",
        "       = nothing   <== forest",
    ]


@settings(max_examples=100)
@given(
    names=st.lists(st.text(max_size=40), min_size=1, max_size=5),
    texts=st.lists(st.tuples(st.integers(0, 4), st.text(max_size=300)), max_size=12),
)
def test_lanes_stay_in_line_whatever_stands_in_them(names: list[str], texts: list[tuple[int, str]]) -> None:
    history = History(tuple(names))
    history.steps = [step(at, actor % len(names), text) for at, (actor, text) in enumerate(texts, 1)]

    timeline = Timeline(history, {})

    for number, one in enumerate(history.steps, 1):
        lines = timeline._lines(one)
        assert lines[0].startswith(f"{number:>3} ")
        assert len(lines) <= 6
        width = 4 + len(names) * timeline._lane + 3 * (len(names) - 1)
        assert timeline._lane >= LEAST
        assert {len(line) for line in lines} == {width}


def watched(steps: list[Step], answers: list[list[tuple[object, ...]]]) -> StaleReads:
    history = History(("one", "other"), steps=steps)
    left = iter(answers)
    reads = StaleReads(history, lambda _sql, _values: next(left))
    for one in steps:
        reads.after(one)
    return reads


def test_a_read_that_another_commit_changes_before_it_is_relied_on_is_stale() -> None:
    steps = [
        step(1, 0, READ),
        step(2, 1, WRITE, ended=False),
        step(3, 1, "COMMIT", ended=True),
        step(4, 0, WRITE),
        step(5, 0, "COMMIT", ended=True),
    ]

    (stale,) = watched(steps, [[], [("B",)]]).found

    assert (stale.read, stale.write, stale.commit, stale.relied) == tuple(steps[at] for at in (0, 1, 2, 3))
    assert stale.sentence(("one", "other"), lambda _step: "nothing") == (
        "step 1 (one) read nothing; step 2 (other) changed that and step 3 committed it; "
        "step 4 (one) still relied on what was read"
    )


@pytest.mark.parametrize(
    ("steps", "answers"),
    [
        pytest.param([step(1, 0, READ), step(2, 1, "COMMIT", ended=True), step(3, 0, WRITE)], [[], []], id="unchanged"),
        pytest.param([step(1, 0, READ), step(2, 1, "COMMIT", ended=True)], [[], [("B",)]], id="nothing written"),
        pytest.param(
            [step(1, 0, READ), step(2, 1, "COMMIT", ended=True), step(3, 0, WRITE, error="no", ended=True)],
            [[], [("B",)]],
            id="rolled back",
        ),
    ],
)
def test_a_read_that_nobody_relied_on_is_not_blamed(steps: list[Step], answers: list[list[tuple[object, ...]]]) -> None:
    assert watched(steps, answers).found == []


def test_a_snapshot_from_before_a_commit_makes_a_read_stale_at_once() -> None:
    steps = [
        step(1, 0, "SELECT 1", read=[(1,)]),
        step(2, 1, WRITE),
        step(3, 1, "COMMIT", ended=True),
        step(4, 0, READ, read=[]),
        step(5, 0, WRITE),
        step(6, 0, "COMMIT", ended=True),
    ]
    steps[3].read = [("old",)]

    (stale,) = watched(steps, [[(1,)], [(1,)], [("B",)]]).found

    assert (stale.read.number, stale.write.number, stale.commit.number, stale.relied.number) == (4, 2, 3, 5)


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("SELECT 1", True),
        ("  with x as (select 1) select * from x", True),
        ("SELECT 1 FROM t FOR UPDATE", False),
        ("SELECT 1 FROM t FOR NO KEY UPDATE", False),
        ("WITH m AS (UPDATE t SET x = 1 RETURNING 1) SELECT * FROM m", False),
        ("SELECT pg_advisory_xact_lock(1)", False),
        ("INSERT INTO t SELECT 1", False),
    ],
)
def test_what_only_reads(sql: str, reads: bool) -> None:
    assert is_read(step(1, 0, sql)) is reads


def test_a_database_that_does_not_say_so_is_left_alone(postgres_url: str) -> None:
    url = postgres_url.replace("+psycopg", "", 1)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {SENTINEL}")
        with pytest.raises(UsageError, match="does not say that it may be used for tests") as caught, Sandbox(url):
            pass
        assert SENTINEL in (caught.value.hint or "")
        left = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'mergeguard_kit%'").fetchall()
        assert left == []
        with Sandbox(url, may_be_used="^mergeguard_") as sandbox:
            assert sandbox.tables().kinds == {}
        connection.execute(f"CREATE TABLE {SENTINEL} ()")
        with Sandbox(url) as sandbox:
            made = sandbox.schema
        found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [made]).fetchall()
        assert found == [], "dropped at the end"


@pytest.mark.parametrize(("package", "extra"), [("hypothesis", "testing"), ("psycopg", "testing,postgresql")])
def test_without_its_packages_it_says_which_extra_to_install(package: str, extra: str) -> None:
    code = (
        "import importlib.util as u; find = u.find_spec; "
        f"u.find_spec = lambda name, *more: None if name == {package!r} else find(name, *more); "
        "import mergeguard.testing"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f"needs {package}: pip install 'mergeguard[{extra}]'")
