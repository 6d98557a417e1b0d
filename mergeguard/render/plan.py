"""A plan for people: what would be done, component by component, what is refused, and the way back."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence

from mergeguard.core.repair.evidence import Confidence
from mergeguard.core.repair.plan import Plan, Refused, Step
from mergeguard.errors import UsageError
from mergeguard.render import words
from mergeguard.render.paper import NARROWEST, Paper
from mergeguard.render.plan_component import Part, refusal_lines, source_lines, step_lines
from mergeguard.render.plan_references import change_lines, is_references, reference_lines
from mergeguard.render.text import argument, visible

MAX_COMPONENTS = 20
"""Components that are printed of those repaired and of those refused; ``component`` prints any of them."""


def plan_text(
    plan: Plan, colour: bool = False, width: int = 100, *, component: str | None = None, now: dt.datetime | None = None
) -> str:
    """Write a plan for a terminal of ``width`` columns; ``component`` writes that one alone, in full.

    ``now`` tells whether the plan has expired; without it nothing is said of that.

    Raises:
        UsageError: the plan has no such component.
    """
    paper = Paper(colour, max(width, NARROWEST))
    if component is not None:
        return _joined([_head(plan, paper, now), _one(plan, component, paper)])
    return _joined(
        [
            _head(plan, paper, now),
            _steps(plan, paper),
            reference_lines([step for step in plan.steps if is_references(step)], paper),
            _refused(plan, paper),
            _left_alone(plan, paper),
            _sources(plan, paper),
            _foot(plan, paper),
        ]
    )


def plan_summary(plan: Plan, colour: bool = False, width: int = 100) -> str:
    """Write in a few lines what a plan would do, what it refuses and what it leaves alone."""
    paper = Paper(colour, max(width, NARROWEST))
    lines = [line for sentence in summary_lines(plan) for line in paper.prose(sentence, "")]
    return _joined([lines, _left_alone(plan, paper)])


def summary_lines(plan: Plan) -> Iterator[str]:
    """Yield the sentences that sum a plan up."""
    repaired = [step for step in plan.steps if not is_references(step)]
    if not plan.steps:
        yield "nothing to do" if not plan.refused else "nothing that the evidence decides"
    if repaired:
        counts = Counter(step.confidence for step in repaired)
        sure = ", ".join(f"{counts[one]:,} {one.value}" for one in reversed(Confidence) if counts[one])
        rows = sum(len(step.changes) for step in repaired)
        retired = f"{words.counted(rows, 'merge row')} retired"
        yield f"{words.counted(len(repaired), 'component')} to repair ({sure}): {retired}"
    stale = sum(len(step.changes) for step in plan.steps if is_references(step))
    if stale:
        yield f"{words.counted(stale, 'row')} of reference columns to change"
    if plan.refused:
        kinds = Counter(kind for refused in plan.refused for kind in refused.kinds)
        told = ", ".join(f"{count:,} x {visible(kind)}" for kind, count in sorted(kinds.items()))
        yield f"{words.counted(len(plan.refused), 'component')} refused, for a person to decide ({told})"


def _joined(sections: Sequence[Sequence[str]]) -> str:
    return "\n".join("\n".join(section) + "\n" for section in sections if section)


def _head(plan: Plan, paper: Paper, now: dt.datetime | None) -> list[str]:
    target = plan.target
    # A target is one word to copy, however long.
    lines = [f"Plan {visible(plan.plan_id)}", f"for {visible(target.url)}"]
    made = f"made {_time(plan.created)} by MergeGuard {visible(plan.tool_version)} for {visible(target.server)}"
    lines += paper.prose(f"{made}, database {visible(target.database)}", "")
    if now is not None and now >= plan.expires:
        expired = f"!! EXPIRED {_time(plan.expires)}: it can be looked at and no longer applied; make a new plan"
        lines += [paper.paint(line, "bold", "red") for line in paper.prose(expired, "")]
    else:
        lines += paper.prose(f"may be applied until {_time(plan.expires)}", "")
    return lines + [paper.paint(line, "bold") for told in summary_lines(plan) for line in paper.prose(told, "")]


def _steps(plan: Plan, paper: Paper) -> list[str]:
    steps = [step for step in plan.steps if not is_references(step)]
    if not steps:
        return []
    lines = [paper.paint("To repair, in this order ('-' goes, the other rows stay)", "bold")]
    for number, step in enumerate(steps[:MAX_COMPONENTS], 1):
        lines += step_lines(number, Part(step), step, paper)
    return lines + _cut(len(steps))


def _refused(plan: Plan, paper: Paper) -> list[str]:
    if not plan.refused:
        return []
    lines = [paper.paint("Refused: nothing is done about these", "bold")]
    for number, refused in enumerate(plan.refused[:MAX_COMPONENTS], 1):
        lines += refusal_lines(number, Part(refused), refused, paper)
    return lines + _cut(len(plan.refused))


def _cut(number: int) -> list[str]:
    left = number - MAX_COMPONENTS
    return [f"  ... and {words.counted(left, 'more component')}; --component ID shows one"] if left > 0 else []


def _left_alone(plan: Plan, paper: Paper) -> list[str]:
    lines = [
        line
        for found in plan.left_alone
        for line in paper.prose(f"{found['count']:,} x {visible(found['rule'])}: {visible(found['why'])}", "  ")
    ]
    return [paper.paint("Left alone", "bold"), *lines] if lines else []


def _sources(plan: Plan, paper: Paper) -> list[str]:
    parts: list[Step | Refused] = [*plan.steps, *plan.refused]
    for part in parts:
        read = part.evidence.get("read_from")
        if read is not None:  # the same for all components
            return [paper.paint("Where the evidence was read", "bold"), *source_lines(read, paper, "  ")]
    return []


def _foot(plan: Plan, paper: Paper) -> list[str]:
    lines = [paper.paint("About this plan", "bold")]
    if plan.steps:
        lines.append("  the way back, once it is applied:")
        lines.append(f"    mergeguard undo {argument(plan.target.url)} {visible(plan.plan_id)}")
    made = [f"{shape.table}.{column.name}" for shape in plan.tables for column in shape.columns if column.generated]
    if made:
        told = f"an undo cannot restore what the server makes by itself: {', '.join(map(visible, made))}"
        lines += paper.prose(told, "  ")
    for note in plan.notes:
        lines += paper.prose(f"note: {visible(note)}", "  ")
    return lines + paper.prose(f"profile {visible(plan.profile.get('name', '?'))}", "  ")


def _one(plan: Plan, component: str, paper: Paper) -> list[str]:
    for number, step in enumerate((step for step in plan.steps if not is_references(step)), 1):
        if step.component == component:
            return step_lines(number, Part(step, full=True), step, paper)
    for step in plan.steps:
        if step.component == component:
            return _batch(step, plan.target.kind, paper)
    for number, refused in enumerate(plan.refused, 1):
        if refused.component == component:
            return refusal_lines(number, Part(refused, full=True), refused, paper)
    raise UsageError(
        f"the plan has no component {visible(component, 80)}", hint="'mergeguard show' lists them without --component"
    )


def _batch(step: Step, kind: str, paper: Paper) -> list[str]:
    head = f"{visible(step.component)}: {words.counted(len(step.changes), 'row')} ({step.confidence.value})"
    lines = [paper.paint(head, "bold"), *paper.prose(f"why: {visible(step.why)}", "  ")]
    lines += change_lines(step.changes, "  ", kind)
    for note in step.notes:
        lines += paper.prose(f"note: {visible(note)}", "  ")
    return lines


def _time(value: dt.datetime) -> str:
    return f"{value.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
