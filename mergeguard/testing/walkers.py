"""The check ``terminates``: whatever stands in the table, a walk ends, soon, and says what it came to."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

import hypothesis
import psycopg
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st

from mergeguard.testing.choices import Recorded
from mergeguard.testing.sandbox import Sandbox
from mergeguard.testing.scheduler import Scheduler, TooManySteps
from mergeguard.testing.tables import Guid, Tables, current, guid

NAME: Final = "terminates"
Walker = Callable[[Any, str], tuple[str, str | None]]
"""Gets a connection and a guid as text; answers (status, current), the current ``None`` where it is a cycle."""
MORE: Final = 4
"""Statements of a walk beside one a row."""
LONGEST: Final = 60
TIMEOUT: Final = "SET LOCAL statement_timeout = '2s'"


class Endless(Exception):
    """A walk did not end, or came to a wrong end.

    Attributes:
        sentence: what is wrong.
        tables: on which it is.
        begin: where the walk begins.
    """

    def __init__(self, sentence: str, tables: Tables, begin: Guid) -> None:
        super().__init__(f"{NAME}: {sentence}")
        self.sentence = sentence
        self.tables = tables
        self.begin = begin


@st.composite
def hostile(draw: st.DrawFn) -> tuple[Tables, Guid]:
    """Draw a chain that ends at a live guid, or in a circle, or with itself; and where a walk begins."""
    length = draw(st.integers(0, LONGEST))
    circles = draw(st.booleans())
    guids = [guid(number) for number in range(length + 1)]
    merges = list(pairwise(guids))
    if circles:
        merges.append((guids[-1], guids[draw(st.integers(0, length))]))
    live = frozenset() if circles else frozenset(guids[-1:])
    tables = Tables(dict.fromkeys(guids, "computer"), live, tuple(merges))
    return tables, guids[draw(st.integers(0, length))]


def find_endless(sandbox: Sandbox, walker: Walker, *, tries: int = 100, seed: int = 0) -> tuple[Endless, int] | None:
    """Look for a table on which a walk does not end, or ends wrongly; return it and after how many tries.

    A walk may make one statement a row and a few more; one within the database has two seconds.
    """
    first = made = 0

    def once(drawn: tuple[Tables, Guid]) -> None:
        nonlocal first, made
        made += 1
        try:
            require_end(sandbox, walker, *drawn)
        except Endless:
            first = first or made
            raise

    settings = hypothesis.settings(
        max_examples=tries,
        phases=[Phase.generate, Phase.shrink],
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    try:
        hypothesis.seed(seed)(settings(hypothesis.given(hostile())(once)))()
    except Endless as endless:
        return endless, first
    return None


def require_end(sandbox: Sandbox, walker: Walker, tables: Tables, begin: Guid) -> None:
    """Walk once.

    Raises:
        Endless: the walk did not end, or its answer is wrong.
    """
    sandbox.reset(tables)
    (connection,) = sandbox.sessions(1)
    try:
        connection.execute(TIMEOUT)
        answer = _walked(sandbox, lambda: walker(connection, str(begin)), len(tables.merges) + MORE)
    except (TooManySteps, psycopg.errors.QueryCanceled):
        raise Endless(f"the walk did not end, on {len(tables.merges)} rows", tables, begin) from None
    wanted, _, status = current(tables, begin)
    told = (status, None if wanted is None else str(wanted))
    if answer != told:
        raise Endless(f"the walk came to {answer}, and {told} is right", tables, begin)


def _walked(sandbox: Sandbox, program: Callable[[], object], most: int) -> object:
    history = Scheduler([("walk", program)], sandbox.watcher, Recorded(()), most_steps=most).run()
    (outcome,) = history.outcomes
    if outcome.error is not None:
        raise outcome.error
    return outcome.value
