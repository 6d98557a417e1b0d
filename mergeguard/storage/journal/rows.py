"""Runs and steps as the journal's rows, and back; a row that was altered by hand is noticed."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import sqlalchemy as sa

from mergeguard.core.repair.journal import JournalStep, Run, RunKind
from mergeguard.core.repair.plan import Action, Image, RowChange
from mergeguard.errors import JournalDamaged

Row = sa.Row[Any]
StepValues: TypeAlias = tuple[dict[str, object], list[dict[str, object]]]
"""What is stored of a step, save its time: its row, and one row for each of its changes."""
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def run_values(run: Run) -> dict[str, object]:
    """Return what is stored of a run, save its times."""
    return {
        "run_id": run.run_id,
        "kind": run.kind,
        "who": plain(run.who),
        "tool_version": plain(run.tool_version)[:64],
        "undoes": run.undoes,
        "reason": plain(run.reason),
    }


def run_of(row: Row, steps: int, undone: int) -> Run:
    """Read a run."""
    return Run(
        run_id=row.run_id,
        kind=cast("RunKind", row.kind),
        who=row.who,
        tool_version=row.tool_version,
        started=cast("dt.datetime", moment(row.started)),
        finished=moment(row.finished),
        undoes=row.undoes,
        reason=row.reason,
        steps=steps,
        undone=undone,
    )


def step_values(step: JournalStep) -> StepValues:
    """Return what is stored of a step."""
    changes: list[dict[str, object]] = [
        {
            "run_id": step.run_id,
            "step": step.number,
            "place": place,
            "action": change.action.value,
            "table_name": change.table,
            "before_image": _packed(change.before),
            "after_image": _packed(change.after),
        }
        for place, change in enumerate(step.changes)
    ]
    values: dict[str, object] = {
        "run_id": step.run_id,
        "step": step.number,
        "component": step.component,
        "kinds": _json(step.kinds),
        "members": _json([str(member) for member in step.members]),
        "survivor": None if step.survivor is None else str(step.survivor),
        "confidence": step.confidence,
        "why": plain(step.why),
        "guard_after": _json([dict(image) for image in step.guard_after]),
        "evidence": _json(step.evidence),
    }
    return values | {"digest": _digest(values, changes)}, changes


def step_of(row: Row, changes: Sequence[Mapping[str, Any]]) -> JournalStep:
    """Read a step.

    Raises:
        JournalDamaged: what is stored is not what was written.
    """
    stored = dict(row._mapping)  # noqa: SLF001 - how SQLAlchemy offers a row as a mapping
    if stored["digest"] != _digest(stored, changes):
        raise JournalDamaged(
            f"step {row.step} of run {row.run_id} was altered in the journal after it was written",
            hint="it cannot be taken back by this journal; restore the journal's tables from a backup",
        )
    return JournalStep(
        run_id=row.run_id,
        number=row.step,
        component=row.component,
        kinds=tuple(json.loads(row.kinds)),
        members=tuple(map(uuid.UUID, json.loads(row.members))),
        survivor=None if row.survivor is None else uuid.UUID(row.survivor),
        confidence=row.confidence,
        why=row.why,
        changes=tuple(map(_change, changes)),
        guard_after=tuple(json.loads(row.guard_after)),
        evidence=json.loads(row.evidence),
        at=moment(row.happened),
        undone_by=row.undone_by,
    )


def moment(value: object) -> dt.datetime | None:
    """Read a time as a driver gives it: aware, in UTC."""
    if value is None:
        return None
    found = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(str(value))
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)


def plain(text: str) -> str:
    """Return a text for people without what a database cannot hold: NUL and halves of a character."""
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)


_ENCODER = json.JSONEncoder(separators=(",", ":"))
"""Made once: a step writes seven texts."""
_COVERED = ("run_id", "step", "component", "kinds", "members", "survivor", "confidence", "guard_after")
_CHANGE = ("place", "action", "table_name", "before_image", "after_image")


def _digest(step: Mapping[str, object], changes: Iterable[Mapping[str, object]]) -> str:
    """Return the SHA-256 of all that an undo relies on."""
    found = hashlib.sha256(_json([step[name] for name in _COVERED]).encode())
    for change in changes:
        found.update(_json([change[name] for name in _CHANGE]).encode())
    return found.hexdigest()


def _change(stored: Mapping[str, Any]) -> RowChange:
    before, after = _unpacked(stored["before_image"]), _unpacked(stored["after_image"])
    return RowChange(Action(stored["action"]), stored["table_name"], before, after)


def _packed(image: Image | None) -> str | None:
    return None if image is None else _json(dict(image))


def _unpacked(text: str | None) -> Image | None:
    return None if text is None else cast("Image", json.loads(text))


def _json(value: object) -> str:
    return _ENCODER.encode(value)
