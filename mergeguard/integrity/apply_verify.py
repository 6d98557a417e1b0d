"""After the last step: the whole table once, for what the plan decided, and the lookup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mergeguard.core.drift import compare
from mergeguard.core.facts import Facts
from mergeguard.core.repair.check import check_rows
from mergeguard.core.repair.plan import Step
from mergeguard.core.rule import Need
from mergeguard.errors import ApplyFailed
from mergeguard.integrity.component_apply import touches_merges
from mergeguard.integrity.lookup import build_lookup
from mergeguard.integrity.reading import read_facts
from mergeguard.integrity.surroundings import Surroundings
from mergeguard.storage.source import Progress

if TYPE_CHECKING:
    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.profile import Profile

_SHOWN = 5


def verify_run(source: DatabaseSource, profile: Profile, steps: Sequence[Step], progress: Progress) -> int:
    """Read everything once more, hold the decided components against the rules, and mend what drifted in the lookup.

    Returns:
        how many rows of the stored lookup had to be written again.

    Raises:
        ApplyFailed: damage that the plan decided is still there, or there again.
        CannotCheck: the target could not be read; the steps are applied all the same.
    """
    with source.snapshot() as snapshot:
        facts = read_facts(snapshot, profile, progress, needs={Need.LOOKUP}).facts
    progress("checking what was done", 0, None)
    around = Surroundings(facts)
    around.know(member for step in steps for member in step.members)
    problems = [
        f"component {step.component}: {problem}"
        for step in steps
        if touches_merges(step.changes, profile)
        for problem in _problems(step, around)
    ]
    if problems:
        raise ApplyFailed(
            f"every step is applied, and the check at the end found damage again: {'; '.join(problems[:_SHOWN])}",
            hint="somebody merged meanwhile; 'mergeguard scan' shows what is there, 'mergeguard plan' what to do",
        )
    return _mend(source, profile, facts, progress)


def _problems(step: Step, around: Surroundings) -> tuple[str, ...]:
    problems = check_rows(around.rows_of(step.members), step.members, survivor=step.survivor)
    return problems or tuple(f"{old} leads in a circle" for old in around.on_circle(step.members))


def mend_lookup(source: DatabaseSource, profile: Profile, progress: Progress) -> int:
    """Write what differs between the stored lookup, where there is one, and the rows; return how many rows did."""
    with source.snapshot() as snapshot:
        facts = read_facts(snapshot, profile, progress, needs={Need.LOOKUP}).facts
    return _mend(source, profile, facts, progress)


def _mend(source: DatabaseSource, profile: Profile, facts: Facts, progress: Progress) -> int:
    stored = facts.declared.stored
    if stored is None or (not len(compare(facts, stored)) and not stored.skipped):
        return 0
    built = build_lookup(source, profile, progress=progress)
    return built.written + built.deleted
