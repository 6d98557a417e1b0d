"""Looks for a schedule that breaks a merge; shrinks it, plays it once more to explain it, and tells of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from mergeguard.testing.checks import CHECKS
from mergeguard.testing.choices import Choices, Interrupting, Interruptions, Recorded, interruptions
from mergeguard.testing.history import Fault
from mergeguard.testing.play import Play, Violation
from mergeguard.testing.replay import Replay
from mergeguard.testing.rings import Case, cases
from mergeguard.testing.scheduler import Planned
from mergeguard.testing.stale import StaleRead, StaleReads
from mergeguard.testing.systems import System
from mergeguard.testing.timeline import Timeline

SHRINKS: Final = 300
"""Schedules that shrinking may cost."""
LATEST_FAULT: Final = 24
"""The step of an actor at which a fault may strike at the latest."""


@dataclass(slots=True)
class Tally:
    """What the schedules of a search came to: a search in which nothing was merged has shown nothing."""

    schedules: int = 0
    merged: int = 0
    """Schedules at whose end the log held other merges than at their beginning."""
    steps: int = 0
    waits: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Found:
    """A schedule that breaks a merge.

    Attributes:
        violation: of the smallest schedule that was found.
        schedules: how many it took to find the first one.
        stale: the reads that were stale, the one to blame first.
        steady: whether it came out the same when it was played again.
    """

    violation: Violation
    schedules: int
    stale: tuple[StaleRead, ...] = ()
    steady: bool = True

    @property
    def token(self) -> str:
        """The token that plays it again."""
        one = self.violation
        return Replay(one.case, tuple(one.history.choices), one.faults).token()

    def report(self) -> str:
        """Tell all of it: the check, what was merged before, the time line, the stale read, the token."""
        one = self.violation
        spelled = {str(guid): letter for guid, letter in one.case.spelled.items()}
        at = None if one.step is None else (one.step, one.check)
        timeline = Timeline(one.history, spelled, self.stale[:1], at)
        before = ", ".join(f"{spelled[str(old)]}->{spelled[str(new)]}" for old, new in one.case.start.merges)
        lines = [
            f"{one.check}: {one.sentence}",
            f"after {counted(self.schedules)}, at {one.case.level}; already merged: {before or 'nothing'}",
            "",
            timeline.text(),
            "",
        ]
        if self.stale:
            stale = self.stale[0]
            lines.append(f"* stale: {stale.sentence(one.history.names, timeline.told)}")
        if not self.steady:
            lines.append("it did not come out the same when it was played again: something beside the schedule matters")
        return "\n".join([*lines, f"replay: {self.token}"])


def counted(schedules: int) -> str:
    """Return a number of schedules in words."""
    return f"{schedules} schedule{'' if schedules == 1 else 's'}"


def faults_of(kinds: Collection[Fault]) -> st.SearchStrategy[tuple[Planned, ...]]:
    """Draw no fault or one."""
    if not kinds:
        return st.just(())
    one = st.builds(Planned, st.integers(0, 2), st.integers(1, LATEST_FAULT), st.sampled_from(sorted(kinds, key=str)))
    return st.one_of(st.just(()), st.tuples(one))


class Search:
    """One search.

    Args:
        system: what is tested.
        drawn: what is merged.
        checks: by their names.
        faults: what may go wrong.
        schedules: how many are played where nothing is found.
        seed: of the drawing: the same seed draws the same schedules.
        shrink: whether a schedule that was found is made smaller.
    """

    def __init__(
        self,
        system: System,
        drawn: st.SearchStrategy[Case] | None = None,
        *,
        checks: Collection[str] = tuple(CHECKS),
        faults: Collection[Fault] = (),
        schedules: int = 200,
        seed: int = 0,
        shrink: bool = True,
    ) -> None:
        self._system = system
        self._drawn = cases() if drawn is None else drawn
        self._checks = checks
        self._faults = faults
        self._schedules = schedules
        self._seed = seed
        self._shrink = shrink
        self._first = 0
        self._best: Violation | None = None
        self.tally = Tally()
        self.failure: BaseException | None = None
        """The first error of a merge that was no refusal."""

    def run(self) -> Found | None:
        """Play schedules until one breaks the merge, or all are played."""
        try:
            self._play_all()
        except (Violation, Flaky):
            if self._best is None:
                raise
            return explained(self._system, self._best, self._first, self._checks)
        return None

    def _play_all(self) -> None:
        phases = [Phase.generate, *([Phase.shrink] if self._shrink else [])]
        playing = hypothesis.given(self._drawn, interruptions(), faults_of(self._faults))(self._one)
        settings = hypothesis.settings(
            max_examples=self._schedules,
            phases=phases,
            deadline=None,
            database=None,
            derandomize=False,
            report_multiple_bugs=False,
            print_blob=False,
            verbosity=Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
        )
        hypothesis.seed(self._seed)(settings(playing))()

    def _one(self, case: Case, schedule: Interruptions, faults: tuple[Planned, ...]) -> None:
        if self._best is not None and self.tally.schedules > self._first + SHRINKS:
            return
        self.tally.schedules += 1
        play = Play(self._system, case, Interrupting(schedule), self._checks, faults)
        try:
            play.run()
        except Violation as violation:
            self._first = self._first or self.tally.schedules
            if self._best is None or _size(violation) < _size(self._best):
                self._best = violation
            raise
        finally:
            self._count(play)

    def _count(self, play: Play) -> None:
        tally, history = self.tally, play.history
        tally.merged += play.changed
        tally.steps += len(history.steps)
        tally.waits += sum(step.waited_until is not None for step in history.steps)
        for outcome in history.outcomes:
            refused = outcome.error is not None and self._system.is_refusal(outcome)
            tally.outcomes["made" if outcome.ok else "refused" if refused else "failed"] += 1
            if not refused:
                self.failure = self.failure or outcome.error


def replayed(system: System, token: Replay, checks: Collection[str] = tuple(CHECKS)) -> Found | None:
    """Play one schedule again."""
    try:
        Play(system, token.case, Recorded(token.choices), checks, token.faults).run()
    except Violation as violation:
        return explained(system, violation, 1, checks)
    return None


def explained(system: System, violation: Violation, schedules: int, checks: Collection[str]) -> Found:
    """Play a schedule once more, watching for stale reads."""
    choices: Choices = Recorded(violation.history.choices)
    play = Play(system, violation.case, choices, checks, violation.faults)
    watched = StaleReads(play.history, system.observe)
    play.watch(watched.after)
    try:
        play.run()
    except Violation as again:
        steady = again.sentence == violation.sentence and again.history.choices == violation.history.choices
        return Found(again, schedules, _blamed(watched.found, again), steady)
    return Found(violation, schedules, (), steady=False)


def _blamed(found: Sequence[StaleRead], violation: Violation) -> tuple[StaleRead, ...]:
    """Put the stale reads first of the session at whose commit the check failed."""
    actor = None if violation.step is None else violation.step.actor
    return tuple(sorted(found, key=lambda one: (one.read.actor != actor, one.read.number)))


def _size(violation: Violation) -> tuple[int, ...]:
    history, case = violation.history, violation.case
    rows = len(case.start.data) + len(case.start.links) + len(case.start.tickets) + len(case.start.merges)
    return len(case.edges), len(violation.faults), history.preemptions, rows, len(history.steps)
