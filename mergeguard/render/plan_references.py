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
"""As the steps call them in their evidence, but for ``changed``."""


def is_references(step: Step) -> bool:
    """Say whether a step changes references and no merges."""
    return step.component.startswith(PREFIX)


def reference_lines(steps: Sequence[Step], paper: Paper) -> list[str]:
    """Print how many rows of each column are changed, and how: every row that holds a stale guid is in one of them."""
    changes = [change for step in steps for change in step.changes]
    if not changes:
        return []
    counts = _counts(steps)
    used = [head for head in _HEADS.values() if any(column[head] for column in counts.values())]
    rows = [
        (visible(column, 80), *(f"{counted[head]:,}" if counted[head] else "-" for head in used))
        for column, counted in counts.items()
    ]
    title = f"Stale references: {words.counted(len(changes), 'row')} in {words.counted(len(steps), 'transaction')}"
    table = aligned(rows, ("column", *used))
    lines = [paper.paint(title, "bold"), *(f"  {line}" for line in table.splitlines())]
    for note in dict.fromkeys(note for step in steps for note in step.notes):
        lines += paper.prose(f"note: {visible(note)}", "  ")
    return lines


def _counts(steps: Sequence[Step]) -> dict[str, Counter[str]]:
    """Count by column; what the steps themselves say of their columns goes before what their changes show."""
    counts: dict[str, Counter[str]] = {}
    for step in steps:
        told = step.evidence.get("columns") or {}
        for column, numbers in told.items():
            said = {_HEADS[Action.REPOINT] if name == "changed" else name: count for name, count in numbers.items()}
            counts.setdefault(column, Counter()).update(said)
        for change in step.changes:
            if change.action in _HEADS and (not told or change.action is Action.CLEAR_HASH):
                counts.setdefault(place(change), Counter())[_HEADS[change.action]] += 1
    return counts


def change_lines(changes: Iterable[RowChange], indent: str, kind: str = "") -> Iterator[str]:
    """Print changes one by one: the row as it is known, then what changes in it; ``kind`` is that of the database."""
    for change in changes:
        said = _HEADS.get(change.action, change.action.value)
        yield f"{indent}{said}: {visible(change.table)} {_told(change, kind)}"


def place(change: RowChange) -> str:
    """Return the column that a change writes as ``table.column``; the table where whole rows go."""
    written = [column for column, *_ in _differences(change)]
    if change.after is None or not written:
        return change.table
    return f"{change.table}.{written[0]}" if len(written) == 1 else f"{change.table} ({', '.join(written)})"


def _told(change: RowChange, kind: str) -> str:
    before = change.before or {}
    if change.after is None:
        return ", ".join(f"{visible(name)} {_cell(value, kind)}" for name, value in before.items())
    changed = {name for name, *_ in _differences(change)}
    same = ", ".join(f"{visible(name)} {_cell(value, kind)}" for name, value in before.items() if name not in changed)
    told = "; ".join(
        f"{visible(name)} {_cell(old, kind)} -> {_cell(new, kind)}" for name, old, new in _differences(change)
    )
    return f"{told} (where {same})" if same else told


def _differences(change: RowChange) -> list[tuple[str, str | None, str | None]]:
    before, after = change.before or {}, change.after or {}
    return [(name, before[name], after.get(name)) for name in before if name in after and before[name] != after[name]]


def _cell(value: str | None, kind: str) -> str:
    if value is None:
        return "NULL"
    # Before a value of SQLite stands of which kind it is.
    return visible(value[2:] if kind == "sqlite" and value[1:2] == ":" else value, 80)
