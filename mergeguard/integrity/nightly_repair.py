"""The repair of a night: what is certain and nothing else, by a plan that is kept beside the reports."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mergeguard.core.findings import ScanReport
from mergeguard.core.repair.evidence import Confidence
from mergeguard.errors import MergeGuardError
from mergeguard.integrity.apply import apply_plan
from mergeguard.integrity.apply_checks import require_database
from mergeguard.integrity.nightly import Repaired
from mergeguard.integrity.planning import PlanOptions, make_plan
from mergeguard.storage.journal.writing import Journal
from mergeguard.storage.own_files.plan_file import save_plan
from mergeguard.storage.source import Progress, Source

if TYPE_CHECKING:
    from mergeguard.core.repair.plan import Plan
    from mergeguard.storage.own_files.report_folder import ReportFolder
    from mergeguard.storage.profile import Profile

CERTAIN = PlanOptions(least=Confidence.CERTAIN)


def repair_safely(
    source: Source, profile: Profile, report: ScanReport, folder: ReportFolder, progress: Progress
) -> Repaired:
    """Plan, keep the plan, apply it. What goes wrong is in the answer, beside what was done until then."""
    repaired = Repaired()
    try:
        plan = make_plan(source, profile, CERTAIN, progress=progress)
        repaired = Repaired(refused=len(plan.refused))
        if plan.steps or plan.refused:
            place = folder.dated(report.started, report.run_id, "plan.json")
            save_plan(plan, place)
            repaired = replace(repaired, plan_file=place)
        return _applied(source, profile, plan, repaired, progress) if plan.steps else repaired
    except MergeGuardError as failure:
        return replace(repaired, failure=failure)


def _applied(source: Source, profile: Profile, plan: Plan, repaired: Repaired, progress: Progress) -> Repaired:
    try:
        done = apply_plan(source, profile, plan, progress=progress)
    except MergeGuardError as failure:
        steps = _committed(source, profile, plan)
        return replace(repaired, run_id=plan.plan_id if steps != 0 else None, applied=steps or 0, failure=failure)
    return replace(repaired, run_id=plan.plan_id, applied=done.applied)


def _committed(source: Source, profile: Profile, plan: Plan) -> int | None:
    """Return how many steps of a failed run are journalled; ``None`` where that cannot be asked any more."""
    try:
        journal = Journal(require_database(source), profile)
        return len(journal.steps(plan.plan_id)) if journal.exists() else 0
    except MergeGuardError:
        return None
