"""What a test calls: it looks for a schedule under which a merge goes wrong, and fails with its time line."""

from __future__ import annotations

from collections.abc import Collection

from hypothesis import strategies as st

from mergeguard.errors import UsageError
from mergeguard.testing.checks import CHECKS
from mergeguard.testing.history import Fault
from mergeguard.testing.replay import from_token
from mergeguard.testing.rings import Case
from mergeguard.testing.sandbox import Sandbox
from mergeguard.testing.search import Found, Search, Tally, counted, replayed
from mergeguard.testing.systems import System
from mergeguard.testing.walkers import Walker, find_endless


class MergeIsWrong(AssertionError):
    """A check failed; the message is the whole report, with the time line and the token that repeats it.

    Attributes:
        found: the schedule, for programs; ``None`` where a walk did not end.
    """

    def __init__(self, report: str, found: Found | None = None) -> None:
        super().__init__(report)
        self.found = found


def check_merges(
    system: System,
    *,
    schedules: int = 200,
    checks: Collection[str] = tuple(CHECKS),
    drawn: st.SearchStrategy[Case] | None = None,
    faults: Collection[Fault] = (),
    seed: int = 0,
    replay: str | None = None,
) -> Tally:
    """Merge at the same time, by drawn schedules, and look at the tables at every commit.

    Args:
        system: ``PlainMerge(sandbox, function)``, ``OwnMerge(sandbox)``, or a system of your own.
        schedules: how many are played.
        checks: by their names, see ``CHECKS``.
        drawn: what is merged: ``cases()`` if nothing is said, ``rings()`` for rings without data and exceptions.
        faults: what may go wrong, once a schedule.
        seed: the same seed draws the same schedules.
        replay: a token; then this one schedule is played and no other.

    Raises:
        MergeIsWrong: a check failed.
        UsageError: a check that is not known, or a token that is none.
    """
    unknown = sorted(set(checks) - CHECKS.keys())
    if unknown:
        raise UsageError(f"there is no check {unknown[0]!r}", hint=f"there are {', '.join(CHECKS)}")
    search = Search(system, drawn, checks=checks, faults=faults, schedules=schedules, seed=seed)
    found = search.run() if replay is None else replayed(system, from_token(replay), checks)
    if found is not None:
        raise MergeIsWrong(found.report(), found)
    if replay is None:
        _require_merges(search)
    return search.tally


def _require_merges(search: Search) -> None:
    """Refuse a search in which nothing happened.

    Raises:
        MergeIsWrong: nothing was merged.
    """
    tally, failure = search.tally, search.failure
    if not tally.outcomes["made"]:
        said = "" if failure is None else f"; the first that failed said {type(failure).__name__}: {failure}"
        raise MergeIsWrong(f"not one merge was made in {counted(tally.schedules)}: nothing was tested{said}")
    if not tally.merged:
        raise MergeIsWrong(
            f"nothing was merged in {counted(tally.schedules)}, and {tally.outcomes['made']} calls came to their end: "
            "does the function commit? does it write the table merge of the sandbox?"
        )


def check_walks(sandbox: Sandbox, walker: Walker, *, tries: int = 100, seed: int = 0) -> None:
    """Walk on chains and circles of up to 60 rows: the check ``terminates``.

    Args:
        sandbox: an open one.
        walker: called with a psycopg connection and a guid as text; answers (status, current), with ``("cycle", None)``
            for a guid that leads into a circle.
        tries: tables that are drawn.
        seed: the same seed draws the same tables.

    Raises:
        MergeIsWrong: a walk did not end within a statement a row, or came to a wrong end.
    """
    found = find_endless(sandbox, walker, tries=tries, seed=seed)
    if found is not None:
        endless, count = found
        rows = ", ".join(f"{old} -> {new}" for old, new in endless.tables.merges)
        raise MergeIsWrong(f"{endless}\nafter {count} tables, from {endless.begin}, on: {rows or 'no rows'}")
