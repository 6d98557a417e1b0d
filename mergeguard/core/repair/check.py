"""The rules on a handful of rows: what a repaired component is held to inside its own transaction."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence


def check_rows(
    rows: Sequence[tuple[uuid.UUID, uuid.UUID]], members: Collection[uuid.UUID], *, survivor: uuid.UUID | None
) -> tuple[str, ...]:
    """Say what is wrong with the rows of a repaired component; nothing, if the repair is right.

    ``rows`` are the ``(old, new)`` that the table now holds for ``members``. Each member has one row, the survivor
    none, no walk returns to where it began, and where the survivor is a member every walk ends there.
    """
    news: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    for old, new in rows:
        news[old].append(new)
    problems = [f"{old} is no member, but its row was read" for old in sorted(set(news) - set(members))]
    for member in sorted(members):
        problems += _old(member, sorted(news[member]), survivor)
    if not problems:
        step = {old: new[0] for old, new in news.items() if new}
        ends = _ends(step, sorted(members))
        problems += [f"{member} leads in a circle" for member, end in ends.items() if end is None]
        if survivor in members:
            lost = [member for member, end in ends.items() if end not in (None, survivor)]
            problems += [f"{member} does not lead to {survivor}" for member in lost]
    return tuple(problems)


def _old(old: uuid.UUID, news: Sequence[uuid.UUID], survivor: uuid.UUID | None) -> list[str]:
    """Check the rows of one old."""
    if old == survivor:
        return [f"{old} survives, but {len(news)} of its rows are left"] if news else []
    if not news:
        return [f"{old} has no row any more: its mapping would be lost"]
    problems = [f"{old} is merged into itself"] if old in news else []
    if len(set(news)) < len(news):
        problems.append(f"{old} has copies of a row")
    if len(set(news)) > 1:
        problems.append(f"{old} has {len(set(news))} different news")
    return problems


def _ends(step: Mapping[uuid.UUID, uuid.UUID], starts: Sequence[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID | None]:
    """Walk from each start to its end, each step once; ``None`` for a walk that has none."""
    known: dict[uuid.UUID, uuid.UUID | None] = {}
    for start in starts:
        path: dict[uuid.UUID, None] = {}
        at = start
        while at in step and at not in known and at not in path:
            path[at] = None
            at = step[at]
        end = known.get(at, None if at in path else at)
        known |= dict.fromkeys([*path, start], end)
    return {start: known[start] for start in starts}
