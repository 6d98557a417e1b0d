"""Cuts rewrites of reference rows into steps of bounded size, each with its exact account."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from mergeguard.core.repair.evidence import Confidence
from mergeguard.core.repair.plan import Action, RowChange, Step
from mergeguard.core.repair.reference_groups import Depends, Group, groups
from mergeguard.core.repair.references import Fate, Rewrite

BATCH = 500
"""Rows with stale guids that one step changes at most; hashes that it clears come on top."""
KIND = "stale-reference"
Hashes: TypeAlias = Callable[[Sequence[Rewrite]], Iterable[RowChange]]
"""Rewrites of data -> the clearing of each hash that speaks of these data and is not itself rewritten."""


def make_steps(
    rewrites: Sequence[Rewrite], hashes: Hashes, *, depends: Depends | None = None, batch: int = BATCH
) -> Iterator[Step]:
    """Yield steps of at most ``batch`` rewritten rows, in the order of ``rewrites``.

    What depends on a component of the same plan, by ``depends``, stands in steps of its own, behind the others: its
    evidence names the components. Within a step stand the rows that must stay, then the rewrites, then the hashes that
    it clears. A hash is cleared in the first step that moves data behind it.
    """
    cleared: dict[tuple[str, str], RowChange] = {}
    parts = (
        (group, group.rewrites[start : start + batch])
        for group in groups(rewrites, depends or {})
        for start in range(0, len(group.rewrites), batch)
    )
    for number, (group, part) in enumerate(parts, 1):
        yield Step(
            component=f"references:{number:04d}",
            kinds=(KIND,),
            members=(),
            survivor=None,
            confidence=Confidence.CERTAIN,
            why=_why(part),
            changes=tuple(_changes(part, hashes, cleared)),
            evidence=_evidence(group, part),
        )


def _changes(part: Sequence[Rewrite], hashes: Hashes, cleared: dict[tuple[str, str], RowChange]) -> Iterator[RowChange]:
    """Yield what a step does; ``cleared`` knows the hashes that steps before it cleared, and learns of these."""
    kept = _kept(part, cleared)
    clearing = [change for change in hashes(part) if cleared.setdefault(_row(change), change) is change]
    # A row whose hash is cleared is looked at by that.
    looked_at = {_row(change) for change in clearing}
    yield from (change for change in kept if _row(change) not in looked_at)
    yield from (made.change for made in part)
    yield from clearing


def _evidence(group: Group, part: Sequence[Rewrite]) -> dict[str, object]:
    found: dict[str, object] = {"columns": account(part), "currents": _currents(part)}
    return found | ({"components": list(group.components)} if group.components else {})


def account(rewrites: Iterable[Rewrite]) -> dict[str, dict[str, int]]:
    """Count by ``table.column``: rows that held a merged-away guid there, and what became of them; the rest add up."""
    counts: dict[str, Counter[str]] = {}
    for made in rewrites:
        for column in made.stale:
            counted = counts.setdefault(f"{made.change.table}.{column}", Counter())
            counted["rows"] += 1
            counted[made.fate.value] += 1
    fates = ("rows", *(fate.value for fate in Fate))
    return {column: {fate: counted[fate] for fate in fates} for column, counted in sorted(counts.items())}


def _kept(part: Sequence[Rewrite], cleared: Mapping[tuple[str, str], RowChange]) -> list[RowChange]:
    """Return each row that is to stay once, as the steps before leave it: they may have cleared its hash."""
    found: dict[tuple[str, str], RowChange] = {}
    for made in part:
        if made.into is not None and made.into.action is Action.KEEP:
            before = cleared.get(_row(made.into))
            now = made.into if before is None else replace(made.into, before=before.after, after=before.after)
            found.setdefault(_row(made.into), now)
    return list(found.values())


def _currents(part: Sequence[Rewrite]) -> dict[str, str]:
    """Return which guid is now which, of those that the rows held."""
    pairs = {str(old): str(current) for made in part for old, current in made.stale.values()}
    return dict(sorted(pairs.items()))


def _why(part: Sequence[Rewrite]) -> str:
    olds = {old for made in part for old, _ in made.stale.values()}
    rows, guids = len(part), len(olds)
    return (
        f"{rows:,} row{'s' if rows > 1 else ''} hold{'' if rows > 1 else 's'} {guids:,} merged-away "
        f"guid{'s' if guids > 1 else ''}; where each leads is certain"
    )


def _row(change: RowChange) -> tuple[str, str]:
    """Name a row as it was read."""
    return change.table, json.dumps(sorted((change.before or {}).items()))


def total(steps: Iterable[Step]) -> dict[str, dict[str, int]]:
    """Add the accounts of several steps up, by ``table.column``."""
    sums: dict[str, Counter[str]] = {}
    for step in steps:
        columns: dict[str, dict[str, int]] = step.evidence.get("columns", {})
        for column, counted in columns.items():
            sums.setdefault(column, Counter()).update(counted)
    return {column: dict(counted) for column, counted in sorted(sums.items())}
