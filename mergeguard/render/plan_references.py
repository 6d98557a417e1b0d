"""The stale references of a plan for people: how many rows of which column, and each of them where asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from mergeguard.core.repair.plan import Action, RowChange, Step
from mergeguard.render import words
from mergeguard.render.paper import Paper
from mergeguard.render.table import aligned
from mergeguard.render.text import visible

PREFIX = "references:"
"""How the ids of steps begin that change references and no merges."""
_HEADS = {
    Action.REPOINT: "re-pointed",
    Action.DROP_SELF: "self-references dropped",
    Action.COLLAPSE: "duplicates collapsed",
    Action.CLEAR_HASH: "hashes cleared",
}


def is_references(step: Step) -> bool:
    """Say whether a step changes references and no merges."""
    return step.component.startswith(PREFIX)


def reference_lines(steps: Sequence[Step], paper: Paper) -> list[str]:
    """Print how many rows of each column are changed, and how."""
    changes = [change for step in steps for change in step.changes]
    if not changes:
        return []
    counts = Counter((place(change), change.action) for change in changes)
    columns = list(dict.fromkeys(map(place, changes)))
    used = [action for action in _HEADS if any(counts[column, action] for column in columns)]
    rows = [
        (visible(column, 80), *(f"{counts[column, action]:,}" if counts[column, action] else "-" for action in used))
        for column in columns
    ]
    heads = ("column", *(_HEADS[action] for action in used))
    title = f"Stale references: {words.counted(len(changes), 'row')} in {words.counted(len(steps), 'transaction')}"
    lines = [paper.paint(title, "bold"), *(f"  {line}" for line in aligned(rows, heads).splitlines())]
    for note in dict.fromkeys(note for step in steps for note in step.notes):
        lines += paper.prose(f"note: {visible(note)}", "  ")
    return lines


def change_lines(changes: Iterable[RowChange], indent: str) -> Iterator[str]:
    """Print changes one by one: the row as it is known, then what changes in it."""
    for change in changes:
        yield f"{indent}{_HEADS.get(change.action, change.action.value)}: {visible(change.table)} {_told(change)}"


def place(change: RowChange) -> str:
    """Return the column that a change writes as ``table.column``; the table where whole rows go."""
    written = [column for column, *_ in _differences(change)]
    if change.after is None or not written:
        return change.table
    return f"{change.table}.{written[0]}" if len(written) == 1 else f"{change.table} ({', '.join(written)})"


def _told(change: RowChange) -> str:
    before = change.before or {}
    if change.after is None:
        return ", ".join(f"{visible(name)} {_cell(value)}" for name, value in before.items())
    changed = {name for name, *_ in _differences(change)}
    same = ", ".join(f"{visible(name)} {_cell(value)}" for name, value in before.items() if name not in changed)
    told = "; ".join(f"{visible(name)} {_cell(old)} -> {_cell(new)}" for name, old, new in _differences(change))
    return f"{told} (where {same})" if same else told


def _differences(change: RowChange) -> list[tuple[str, str | None, str | None]]:
    before, after = change.before or {}, change.after or {}
    return [(name, before[name], after.get(name)) for name in before if name in after and before[name] != after[name]]


def _cell(value: str | None) -> str:
    return "NULL" if value is None else visible(value, 80)
