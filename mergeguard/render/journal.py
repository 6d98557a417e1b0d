"""The journal for people and for programs: what each run did, who did it, when and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mergeguard.core.repair.journal import JournalStep, Run
from mergeguard.render import words
from mergeguard.render.plan_references import change_lines
from mergeguard.render.table import aligned
from mergeguard.render.text import visible
from mergeguard.storage.own_files.plan_document import written

FORMATS = ("table", "json", "jsonl")
MAX_CHANGES = 20
"""Rows of one step that are printed for people; the machine formats carry all."""


def runs_text(runs: Sequence[Run], form: str = "table") -> str:
    """List runs, the newest first, as a table or as ``json`` or ``jsonl``."""
    if form != "table":
        return _machine([written(run) for run in runs], form)
    if not runs:
        return "the journal is empty: nothing was applied to this database\n"
    heads = ("run", "kind", "started (UTC)", "ended", "steps", "taken back", "who")
    return aligned([_row(run) for run in runs], heads)


def run_text(run: Run, steps: Iterable[JournalStep], kind: str, form: str = "table") -> str:
    """Tell one run step by step: rule, evidence, rows before and after; ``kind`` is that of the database."""
    if form == "jsonl":
        return _machine([written(run), *map(written, steps)], form)
    if form == "json":
        return _machine({"run": written(run), "steps": [written(step) for step in steps]}, form)
    return "".join(f"{line}\n" for line in (*_head(run), *(line for step in steps for line in _step(step, kind))))


def _machine(found: Any, form: str) -> str:  # noqa: ANN401 - JSON values
    if form == "jsonl":
        return "".join(json.dumps(entry) + "\n" for entry in found)
    return json.dumps(found, indent=2) + "\n"


def _row(run: Run) -> tuple[str, ...]:
    ended = "no" if run.finished is None else f"{run.finished:%H:%M:%S}"
    started = f"{run.started:%Y-%m-%d %H:%M:%S}"
    return (run.run_id, run.kind, started, ended, f"{run.steps:,}", f"{run.undone:,}", visible(run.who, 60))


def _head(run: Run) -> Iterator[str]:
    yield f"Run {run.run_id}: {run.kind} by {visible(run.who)} with MergeGuard {visible(run.tool_version)}"
    ended = "not to its end" if run.finished is None else f"until {run.finished:%Y-%m-%d %H:%M:%S}"
    yield f"from {run.started:%Y-%m-%d %H:%M:%S} UTC {ended}"
    if run.undoes:
        yield f"takes back run {run.undoes}"
    if run.reason:
        yield f"because: {visible(run.reason)}"
    back = f", {run.undone:,} of them taken back since" if run.undone else ""
    yield f"{words.counted(run.steps, 'step')}{back}"


def _step(step: JournalStep, kind: str) -> Iterator[str]:
    yield ""
    when = "" if step.at is None else f" at {step.at:%Y-%m-%d %H:%M:%S} UTC"
    yield f"{step.number}. {visible(step.component)} ({', '.join(map(visible, step.kinds))}, {step.confidence}){when}"
    if step.undone_by:
        yield f"   taken back by run {step.undone_by}"
    yield f"   why: {visible(step.why)}"
    if step.survivor is not None:
        yield f"   survivor: {step.survivor}"
    for vote in step.evidence.get("votes", ()):
        read_from = ", ".join(dict.fromkeys(vote["read_from"].split(", ")))
        yield f"   evidence {visible(vote['evidence'])}: {visible(vote['why'])} ({visible(read_from)})"
    yield from change_lines(step.changes[:MAX_CHANGES], "   ", kind)
    if len(step.changes) > MAX_CHANGES:
        yield f"   and {len(step.changes) - MAX_CHANGES:,} more rows; --format json has them all"
