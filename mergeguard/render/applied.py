"""What apply, undo and unmerge did, or would do, in a few lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mergeguard.core.repair.plan import Action
from mergeguard.integrity.apply import Applied
from mergeguard.integrity.undo import Undone
from mergeguard.integrity.unmerge import Unmerge, Unmerged
from mergeguard.render import words
from mergeguard.render.text import argument, visible

_DID = {
    Action.RETIRE.value: "merge row retired",
    Action.REPOINT.value: "reference re-pointed",
    Action.DROP_SELF.value: "self-reference dropped",
    Action.COLLAPSE.value: "duplicate collapsed",
    Action.CLEAR_HASH.value: "hash value cleared",
    Action.RESTORE.value: "row put back",
}


def applied_text(done: Applied, target: str) -> str:
    """Say what an apply did, and how to go on or back."""
    return "".join(f"{line}\n" for line in _applied(done, target))


def undone_text(done: Undone) -> str:
    """Say what an undo put back, and what no undo can put back."""
    return "".join(f"{line}\n" for line in _undone(done))


def proposal_text(found: Unmerge) -> str:
    """Say what an unmerge would do, and what nobody can know about it."""
    return "".join(f"{line}\n" for line in _proposed(found))


def unmerged_text(done: Unmerged, target: str) -> str:
    """Say what an unmerge did, and the way back."""
    rows = _times(done.rows, "merge row retired")
    lines = [f"{done.guid} is unmerged: {rows}{_tables(done.references, 'put back')}"]
    lines.append(f"the way back: mergeguard undo {argument(target)} {done.run_id}")
    return "".join(f"{line}\n" for line in lines)


def _applied(done: Applied, target: str) -> Iterator[str]:
    if not done.steps:
        yield "nothing to do: the plan has no steps"
        return
    again = f" ({done.skipped:,} had been applied before)" if done.skipped else ""
    yield f"{done.applied:,} of {words.counted(done.steps, 'step')} applied{again}"
    if done.changes:
        yield ", ".join(_times(count, _DID[action]) for action, count in done.changes.items())
    if done.lookup_rows or done.lookup_mended:
        mended = f", {done.lookup_mended:,} of them at the end" if done.lookup_mended else ""
        yield f"{words.counted(done.lookup_rows + done.lookup_mended, 'row')} of the lookup rewritten{mended}"
    if done.locked:
        halfway, nearly = (1000 * done.locked_at(share) for share in (0.5, 0.99))
        yield (
            f"waiting for the merge lock and holding it: {halfway:.1f} ms a step at the median, "
            f"{nearly:.1f} ms at the 99th percentile"
        )
    if done.refused:
        yield f"{words.counted(done.refused, 'component')} refused by the plan, and as before"
    if done.left:
        yield f"{words.counted(done.left, 'step')} left: apply the same plan again to go on"
    else:
        yield "checked: what the plan decided is clean"
    yield f"the way back: mergeguard undo {argument(target)} {done.run_id}"


def _undone(done: Undone) -> Iterator[str]:
    yield f"{words.counted(done.steps, 'step')} of run {done.undoes} taken back{_tables(done.rows, 'put back')}"
    yield "checked: the rows are, byte for byte, what they were before the run"
    for table, columns in done.differs.items():
        yield f"except {visible(table)}: {', '.join(map(visible, columns))}, which the server makes by itself"
    if done.lookup_rows:
        yield f"{words.counted(done.lookup_rows, 'row')} of the lookup rewritten"
    if done.left:
        yield f"{words.counted(done.left, 'step')} of the run stay{'s' if done.left == 1 else ''} applied"


def _proposed(found: Unmerge) -> Iterator[str]:
    now = found.current or "no one guid (a cycle, a split, or deleted)"
    yield f"{found.guid} is now {now}"
    yield f"to do: retire {words.counted(len(found.rows), 'merge row')} of it{_back(found)}"
    if found.changed_since:
        yield f"{words.counted(found.changed_since, 'reference')} changed since the re-pointing and will stay as now"
    if not found.has_journal:
        yield "there is no journal here: which references were re-pointed because of the merge is not recorded"
    for column, count in found.unknown.items():
        yield (
            f"{words.counted(count, 'row')} of {visible(column)} hold{'s' if count == 1 else ''} {found.current}; "
            f"which of them belonged to {found.guid} is not recorded"
        )
    if found.live is False:
        yield f"{found.guid} is not live: whatever leads to it will be dangling until the resource is there again"


def _back(found: Unmerge) -> str:
    return f", let {words.counted(len(found.references), 'reference')} hold it again" if found.references else ""


def _tables(rows: Mapping[str, int], did: str) -> str:
    told = ", ".join(f"{words.counted(count, 'row')} of {visible(table)} {did}" for table, count in rows.items())
    return f"; {told}" if told else ""


def _times(count: int, what: str) -> str:
    """Count what was done: the thing is the first words of it, and the last word what was done to it."""
    thing, _, did = what.rpartition(" ")
    return f"{words.counted(count, thing)} {did}"
