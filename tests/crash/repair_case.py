"""A small damaged table and the model of its repair: which rows there must be when these steps are journalled."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from crash.places import Execute, Place
from crash.runner import Forge, How
from merge_model import answers

from mergeguard.core.repair.plan import Action, Plan
from mergeguard.storage.own_files.plan_file import load_plan

Cell: TypeAlias = str | int | None
Rows: TypeAlias = dict[int, tuple[Cell, ...]]
PROFILE = """name = "crash"
[merge]
table = "merges"
old = "old"
new = "new"
row_id = "id"
[live]
table = "alive"
guid = "guid"
[[references]]
table = "inv"
column = "guid"
"""


def guid(number: int) -> uuid.UUID:
    return uuid.UUID(int=0x4000_8000 << 64 | number)


RING, TAILED, SELF, TWICE, CHAIN, SPLIT = (1, 2), (11, 12, 13, 14), 21, (31, 32), (41, 42, 43), (51, 52, 53)
PAIRS = (
    *((1, 2), (2, 1), (11, 12), (12, 13), (13, 11), (14, 12), (21, 21), (31, 32), (31, 32), (41, 42), (42, 43)),
    *((51, 52), (51, 53)),
)
LIVE = (2, 13, 21, 32, 43, 52, 53)
HELD = (1, 2, 11, 12, 14, 31, 41, 42, 43, 51)


def statements(guid_type: str) -> list[str]:
    """Make and fill the tables."""
    made = [
        f"CREATE TABLE merges (id integer PRIMARY KEY, old {guid_type}, new {guid_type}, note text)",
        f"CREATE TABLE alive (guid {guid_type} PRIMARY KEY)",
        f"CREATE TABLE inv (id integer PRIMARY KEY, guid {guid_type}, name text)",
    ]
    made += [
        f"INSERT INTO merges VALUES ({row}, '{guid(old)}', '{guid(new)}', {'NULL' if row % 2 else row})"
        for row, (old, new) in enumerate(PAIRS, 1)
    ]
    made += [f"INSERT INTO alive VALUES ('{guid(one)}')" for one in LIVE]
    return [*made, *(f"INSERT INTO inv VALUES ({row}, '{guid(one)}', 'held')" for row, one in enumerate(HELD, 1))]


@dataclass(frozen=True)
class State:
    """All that is in the database."""

    merges: Rows
    inv: Rows
    lookup: frozenset[tuple[Cell, ...]]
    steps: Mapping[int, str | None] = field(default_factory=dict)
    """By number of the journalled steps of one run: the run that took it back."""
    finished: Mapping[str, bool] = field(default_factory=dict)
    """By run, whether it was finished."""


def look(execute: Execute, run_id: str, known: Iterable[str]) -> State:
    """Read everything; ``known`` are the tables that there are."""
    tables = set(known)
    steps = runs = ()
    if "mergeguard_step" in tables:
        steps = execute(f"SELECT step, undone_by FROM mergeguard_step WHERE run_id = '{run_id}' ORDER BY step")  # type: ignore[assignment]
    if "mergeguard_run" in tables:
        runs = execute("SELECT run_id, finished FROM mergeguard_run")  # type: ignore[assignment]
    return State(
        _rows(execute("SELECT * FROM merges ORDER BY id")),
        _rows(execute("SELECT * FROM inv ORDER BY id")),
        frozenset(map(_cells, execute("SELECT old_guid, current_guid, depth, status FROM mergeguard_lookup"))),
        dict(steps),
        {run: finished is not None for run, finished in runs},
    )


def _rows(rows: Iterable[tuple[Any, ...]]) -> Rows:
    return {row[0]: _cells(row[1:]) for row in rows}


def _cells(row: tuple[Any, ...]) -> tuple[Cell, ...]:
    return tuple(str(cell) if isinstance(cell, uuid.UUID) else cell for cell in row)


def lookup_of(merges: Rows) -> frozenset[tuple[Cell, ...]]:
    """What the lookup must be, by the model."""
    pairs = [(uuid.UUID(str(old)), uuid.UUID(str(new))) for old, new, _ in merges.values()]
    told = answers(pairs, {guid(one) for one in LIVE})
    return frozenset(
        (str(old), None if current is None else str(current), depth, status)
        for old, (status, current, depth) in told.items()
    )


@dataclass(frozen=True)
class Case:
    """The tables before a repair, and its plan."""

    place: Place
    forge: Forge
    how: How
    folder: Path
    plan: Plan
    before: State

    @property
    def every(self) -> frozenset[int]:
        """The numbers of all steps."""
        return frozenset(range(1, len(self.plan.steps) + 1))

    def look(self, *, after_a_kill: bool) -> State:
        """Read what is there now."""
        return state(self.place, self.plan.plan_id, after_a_kill=after_a_kill)

    def expected(self, steps: Iterable[int]) -> tuple[Rows, Rows]:
        """Return merges and inv as they are when these steps, and no others, are in force."""
        merges, inv = dict(self.before.merges), dict(self.before.inv)
        for number in steps:
            for change in self.plan.steps[number - 1].changes:
                assert change.before is not None
                row = _number(change.before["id"])
                if change.action is Action.RETIRE:
                    del merges[row]
                else:
                    assert change.action is Action.REPOINT
                    assert change.after is not None
                    inv[row] = (_text(change.after["guid"]), *inv[row][1:])
        return merges, inv

    def hold(self, found: State, where: str) -> None:
        """Hold that each step is whole or untouched, as the journal says, and that the lookup follows the rows."""
        in_force = [number for number, undone in found.steps.items() if undone is None]
        assert (found.merges, found.inv) == self.expected(in_force), where
        assert found.lookup == lookup_of(found.merges), where


def state(place: Place, run_id: str, *, after_a_kill: bool) -> State:
    """Read everything that stands at a place."""
    catalogue = "SELECT name FROM sqlite_schema" if place.target.endswith(".db") else "SELECT tablename FROM pg_tables"
    with place.looking(after_a_kill=after_a_kill) as execute:
        return look(execute, run_id, (name for (name,) in execute(catalogue)))


def _number(cell: str | None) -> int:
    return int(str(cell).rpartition(":")[2])


def _text(cell: str | None) -> str:
    return str(uuid.UUID(str(cell).rpartition(":")[2]))


def make_case(place: Place, forge: Forge, how: How, folder: Path, guid_type: str) -> Case:
    """Fill a place, build its lookup, and plan its repair; kept as ``damaged``."""
    place.fill(statements(guid_type))
    (folder / "p.toml").write_text(PROFILE)
    assert forge.run(("lookup", "build", place.target, "--profile", "p.toml"), folder).status == 0
    planned = forge.run(("plan", place.target, "--profile", "p.toml", "--out", "plan.json"), folder)
    assert planned.status in {0, 1}, planned
    place.keep("damaged")
    plan = load_plan(folder / "plan.json", now=None)
    before = state(place, plan.plan_id, after_a_kill=False)
    assert before.lookup == lookup_of(before.merges)
    assert len(plan.steps) >= 5
    return Case(place, forge, how, folder, plan, before)
