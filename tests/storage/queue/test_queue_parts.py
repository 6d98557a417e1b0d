"""What the stores share, without a database: units of work, opening, and what is worked out at the end of a batch."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.errors import Unsupported, UsageError
from mergeguard.storage.queue.opening import open_store
from mergeguard.storage.queue.statements import UnitOfWork, of_rows, with_percents

TEXT = st.text("ab '\"?%-/*\n", max_size=20)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("INSERT INTO t VALUES (?, ?)", "INSERT INTO t VALUES (%s, %s)"),
        ("SELECT '?%' || ? -- ?\n, ?", "SELECT '?%%' || %s -- ?\n, %s"),
        ("SELECT 'it''s ?', \"a?\"\"b\", ? /* ? */", "SELECT 'it''s ?', \"a?\"\"b\", %s /* ? */"),
        ("SELECT 7 % ?", "SELECT 7 %% %s"),
    ],
)
def test_a_question_mark_is_a_value_where_it_stands_alone(given: str, sent: str) -> None:
    assert with_percents(given) == sent


@given(inside=TEXT, marks=st.integers(0, 3))
def test_what_is_quoted_is_left_alone(inside: str, marks: int) -> None:
    quoted = "'" + inside.replace("'", "''") + "'"
    assert with_percents(f"SELECT {quoted}" + ", ?" * marks) % (("?",) * marks) == f"SELECT {quoted}" + ", ?" * marks


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "flush", "mark", "drop", "send to"]), st.integers(0, 2)), max_size=20
)


@given(steps=STEPS)
def test_a_unit_of_work_sends_everything_once_in_order_but_what_was_dropped(steps: list[tuple[str, int]]) -> None:
    sent: list[tuple[str, int]] = []
    work = UnitOfWork(lambda groups: sent.extend((statement, row[0]) for statement, rows in groups for row in rows))
    kept: list[tuple[str, int]] = []
    mark = 0
    for number, (step, which) in enumerate(steps):
        if step == "add":
            work.add(f"s{which}", (number,))
            kept.append((f"s{which}", number))
        elif step == "flush":
            work.flush()
        elif step == "send to":
            work.flush(mark)
        elif step == "mark":
            mark = work.position
        else:
            del kept[max(mark, len(sent)) :]
            work.drop(mark)
        assert sent == kept[: len(sent)]
        assert work.position == len(kept)
    work.flush()
    assert sent == kept


@pytest.mark.parametrize(
    ("statement", "several"),
    [
        ("INSERT INTO t VALUES (?)", ("INSERT INTO t VALUES (?), (?)", 1)),
        ('insert into "a".b (x)\nvalues ( ?, ? ) ; ', ('insert into "a".b (x)\nvalues ( ?, ? ), ( ?, ? )', 2)),
        ("INSERT INTO t VALUES (?) ON CONFLICT DO NOTHING", None),
        ("INSERT INTO t VALUES (?) RETURNING id", None),
        ("INSERT INTO t VALUES (?, now())", None),
        ("INSERT INTO t VALUES (?), (?)", None),
        ("INSERT INTO t SELECT ?", None),
        ("INSERT INTO t (a) VALUES ('?', ?)", None),
        ("WITH x AS (SELECT 1) INSERT INTO t VALUES (?)", None),
        ("UPDATE t SET a = ?", None),
    ],
)
def test_only_a_plain_insert_is_made_one_of_several_rows(statement: str, several: tuple[str, int] | None) -> None:
    assert of_rows(statement, 2) == several


def test_equal_statements_go_together_and_all_at_once() -> None:
    calls: list[list[tuple[str, int]]] = []
    work = UnitOfWork(lambda groups: calls.append([(statement, len(rows)) for statement, rows in groups]))
    for statement in "aaabba":
        work.add(statement, ())
    work.flush()
    work.flush()
    assert calls == [[("a", 3), ("b", 2), ("a", 1)]]


def test_only_databases_have_a_queue(tmp_path: object) -> None:
    with pytest.raises(Unsupported, match="events can be queued in"):
        open_store(f"{tmp_path}/rows.csv")
    with pytest.raises(UsageError) as refused:
        open_store("oracle://scott:tiger@host/db")
    assert "tiger" not in str(refused.value)


def test_a_store_is_opened_without_touching_the_server() -> None:
    store = open_store("postgresql://nobody:word@127.0.0.1:1/nothing")
    store.close()


def test_opening_imports_no_driver() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import sys, mergeguard.storage.queue.opening; print('psycopg' in sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == "False\n"
