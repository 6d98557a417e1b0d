"""The history as text: the nights of a target, and what changed in the last one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mergeguard.core.findings import Severity
from mergeguard.core.trend import Change, Night, Trend
from mergeguard.render.table import aligned
from mergeguard.render.text import visible

MAX_LISTED = 20
"""Changes of one state that are named; all are counted."""


def summary(trend: Trend) -> str:
    """Say in one line what changed against the nights before."""
    parts = (("new", trend.new), ("returned", trend.returned), ("recurring", trend.recurring), ("fixed", trend.fixed))
    words = ", ".join(f"{len(changes)} {name}" for name, changes in parts)
    return f"history: {words} ({trend.nights} night{'s' if trend.nights > 1 else ''} of this target)"


def targets_text(targets: Sequence[str]) -> str:
    """List the targets that have a history."""
    return "".join(f"{visible(target)}\n" for target in targets) or "no scan has been remembered yet\n"


def nights_text(target: str, nights: Sequence[Night], trend: Trend) -> str:
    """Show the nights as a table, then what changed in the last one and how long repairs took."""
    rows = [
        (
            f"{night.started:%Y-%m-%d %H:%M}",
            f"{night.rows}",
            *(str(sum(c.count for c in night.rules.values() if c.severity is s)) for s in reversed(tuple(Severity))),
            "yes" if night.complete else "NO",
        )
        for night in nights
    ]
    heads = ("night (UTC)", "rows", "errors", "warnings", "infos", "complete")
    sections = [visible(target), "", aligned(rows, heads).rstrip("\n"), "", summary(trend), *_changes(trend)]
    sections += [f"mean time to repair, {line}" for line in _repairs(trend)]
    sections += [f"note: {visible(note)}" for note in trend.notes]
    return "\n".join(sections) + "\n"


def _changes(trend: Trend) -> Iterator[str]:
    listed = (("new", trend.new), ("returned", trend.returned), ("fixed", trend.fixed), ("unsure", trend.unconfirmed))
    for name, changes in listed:
        yield from (_line(name, change) for change in changes[:MAX_LISTED])
        if len(changes) > MAX_LISTED:
            yield f"  {name}: and {len(changes) - MAX_LISTED} more"


def _line(name: str, change: Change) -> str:
    subject = f" {change.mark.subject}" if change.mark.subject else ""
    return f"  {name}: {visible(change.mark.rule)}{subject} [{visible(change.mark.fingerprint)}]"


def _repairs(trend: Trend) -> Iterator[str]:
    for rule in trend.rules:
        if rule.mean_time_to_repair is not None:
            yield f"{visible(rule.rule)}: {rule.mean_time_to_repair}"
