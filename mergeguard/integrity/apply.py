"""Apply: a plan's steps, each in a transaction of its own, journalled, looked over, and resumable after a crash."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from mergeguard.core.repair.journal import Run
from mergeguard.core.repair.plan import Action, Plan, RowChange, Step
from mergeguard.errors import ApplyFailed, JournalDamaged, Locked, MergeGuardError, PlanRefused, Stale
from mergeguard.integrity.apply_checks import check_plan, check_rights, require_database
from mergeguard.integrity.apply_verify import verify_run
from mergeguard.integrity.boundary import signals_held
from mergeguard.integrity.component_apply import PreparedStep, StepDone, apply_step, prepare_step
from mergeguard.integrity.scan import Now, utc_now
from mergeguard.integrity.tries import tried, with_words
from mergeguard.integrity.workshop import Workshop, open_workshop
from mergeguard.storage.source import Progress, Source, silent
from mergeguard.storage.who import who
from mergeguard.version import __version__

if TYPE_CHECKING:
    from mergeguard.storage.database.writing import DatabaseWriting
    from mergeguard.storage.profile import Profile

PHASE = "applying steps"


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """How hard to press on the database."""

    rate: float | None = None
    """Components a second at most; ``None`` for as many as it takes."""
    batch: int | None = None
    """Components of this call; the same call again goes on with the rest. ``None`` for all."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What one call of apply did, and what it left."""

    run_id: str
    steps: int
    """Steps of the plan."""
    applied: int = 0
    """Steps that this call committed."""
    skipped: int = 0
    """Steps that an earlier call, or another session, had committed already."""
    changes: Mapping[str, int] = field(default_factory=dict)
    """Rows that this call changed, by the words of ``Action``."""
    lookup_rows: int = 0
    """Rows of the stored lookup that were written with the steps."""
    lookup_mended: int = 0
    """Rows of the stored lookup that the check at the end found wrong and wrote again."""
    locked: tuple[float, ...] = ()
    """Seconds of each applied step, from asking for the merge lock to the end of the commit."""
    refused: int = 0
    """Components that the plan does not decide; they are as they were."""

    @property
    def left(self) -> int:
        """Steps that remain to be applied."""
        return self.steps - self.applied - self.skipped

    def locked_at(self, share: float) -> float:
        """Return the seconds that this share of the steps did not exceed; 0 without steps."""
        ranked = sorted(self.locked)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else 0.0


def apply_plan(
    source: Source,
    profile: Profile,
    plan: Plan,
    options: ApplyOptions | None = None,
    *,
    progress: Progress = silent,
    now: Now = utc_now,
) -> Applied:
    """Apply a plan to an open database, one transaction a step.

    A call that ended early, for whatever reason, is taken up where it ended by calling again with the same plan.

    Raises:
        PlanRefused: the plan may not be applied; nothing was changed.
        Stale: rows changed since the plan was made; earlier steps stay applied, the message says how many.
        JournalDamaged: the journal is not as it was made; nothing was changed.
        PermissionDenied: this login may not write; nothing was changed.
        ApplyFailed: the rules found something wrong; the step at hand was rolled back.
        Locked: another session held a lock for too long; the step at hand was not made.
        Unsupported: the target is a file.
    """
    database = require_database(source)
    check_plan(database, plan, now())
    shop = open_workshop(database, profile, plan.plan_id, progress)
    applying = _Applying(shop, plan, options or ApplyOptions(), progress)
    if plan.steps:
        run = Run(plan.plan_id, "apply", who(database), __version__, now())
        with database.writing() as writing:
            check_rights(writing, profile, applying.changes(), lookup=shop.lookup is not None)
            shop.journal.create()
            shop.journal.begin(run)
            applying.go(writing)
    applied = applying.result()
    if applied.left or not plan.steps:
        return applied
    shop.journal.finish(plan.plan_id)
    return replace(applied, lookup_mended=verify_run(database, profile, plan.steps, progress))


class _Applying:
    """The steps of one call, and what has been done so far."""

    def __init__(self, shop: Workshop, plan: Plan, options: ApplyOptions, progress: Progress) -> None:
        self._shop = shop
        self._plan = plan
        self._options = options
        self._progress = progress
        self._there = _journalled(shop, plan)
        self._done: list[StepDone] = []
        self._changes: Counter[str] = Counter()
        self._skipped = len(self._there)
        shop.around.know(member for step in plan.steps for member in step.members)

    def changes(self) -> Iterator[RowChange]:
        """Yield all changes that are still to be made."""
        return (change for _, step in self._pending() for change in step.changes)

    def go(self, writing: DatabaseWriting) -> None:
        """Apply what is not journalled, at the rate that was asked for."""
        began = time.monotonic()
        upcoming = _Upcoming(self._shop, self._pending())
        for place, step in enumerate(upcoming):
            if self._options.batch is not None and place >= self._options.batch:
                return
            if self._options.rate:
                time.sleep(max(0.0, began + place / self._options.rate - time.monotonic()))
            with signals_held():  # who interrupts it is told of this step, too
                self._one(writing, step, upcoming)
                self._progress(PHASE, self._skipped + len(self._done), len(self._plan.steps))

    def result(self) -> Applied:
        """Return what was done so far."""
        return Applied(
            run_id=self._plan.plan_id,
            steps=len(self._plan.steps),
            applied=len(self._done),
            skipped=self._skipped,
            changes=dict(self._changes),
            lookup_rows=sum(done.lookup_rows for done in self._done),
            locked=tuple(done.locked for done in self._done),
            refused=len(self._plan.refused),
        )

    def _pending(self) -> Iterator[tuple[int, Step]]:
        return (pair for pair in enumerate(self._plan.steps, 1) if pair[0] not in self._there)

    def _one(self, writing: DatabaseWriting, prepared: PreparedStep, upcoming: _Upcoming) -> None:
        try:
            done = tried(self._shop, lambda: apply_step(self._shop, writing, prepared, upcoming.prepare))
        except Stale as stale:
            # Another session may apply the same plan: then the step is made, and the journal says so.
            if self._shop.journal.step(self._plan.plan_id, prepared.number) is None:
                raise self._stopped(stale) from None
            self._skipped += 1
            return
        except (ApplyFailed, Locked) as error:
            raise self._stopped(error) from None
        self._done.append(done)
        self._changes.update(
            change.action.value for change in prepared.step.changes if change.action is not Action.KEEP
        )

    def _stopped(self, error: MergeGuardError) -> MergeGuardError:
        """Return the error that ends the run, with what was done before it."""
        before, steps = self._skipped + len(self._done), len(self._plan.steps)
        return with_words(error, f"{before} of {steps} steps are applied and stay so") if before else error


class _Upcoming:
    """Steps one after the other; the next one may be prepared while the database is busy with the one before."""

    def __init__(self, shop: Workshop, steps: Iterator[tuple[int, Step]]) -> None:
        self._shop = shop
        self._steps = steps
        self._ready: list[PreparedStep] = []

    def prepare(self) -> None:
        """Prepare the next step, if there is one and it is not prepared."""
        if not self._ready:
            self._ready = [prepare_step(self._shop, number, step) for number, step in islice(self._steps, 1)]

    def __iter__(self) -> Iterator[PreparedStep]:
        self.prepare()
        while self._ready:
            yield self._ready.pop()
            self.prepare()


def _journalled(shop: Workshop, plan: Plan) -> frozenset[int]:
    """Return the numbers of the plan's steps that were applied before.

    Raises:
        PlanRefused: some were taken back since: what the plan saw is not what is there.
        JournalDamaged: the journal tells of other steps than the plan's.
    """
    found = set()
    for there in shop.journal.each_step(plan.plan_id):
        if there.undone_by is not None:
            raise PlanRefused(
                f"this plan was applied, and step {there.number} was taken back by run {there.undone_by}",
                hint="make a new plan: 'mergeguard plan' looks at the rows as they are now",
            )
        step = plan.steps[there.number - 1] if there.number <= len(plan.steps) else None
        if step is None or step.component != there.component:
            raise JournalDamaged(
                f"step {there.number} of run {plan.plan_id} is about {there.component}, and the plan's is not",
                hint="the journal's tables hold rows of another plan; look at them with 'mergeguard journal'",
            )
        found.add(there.number)
    return frozenset(found)
