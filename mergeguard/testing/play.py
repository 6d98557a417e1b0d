"""Plays one case by one schedule and asks the checks at every commit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from mergeguard.testing.checks import CHECKS, Check, Seen
from mergeguard.testing.choices import Choices
from mergeguard.testing.history import Fault, History, Outcome, Step
from mergeguard.testing.rings import Case
from mergeguard.testing.scheduler import Planned, Scheduler
from mergeguard.testing.systems import System
from mergeguard.testing.tables import Guid, Tables

Pairs = list[tuple[Guid, Guid]]


class Violation(Exception):
    """A check failed.

    Attributes:
        check: its name.
        sentence: what is wrong.
        case: what was merged.
        history: the schedule, as far as it came.
        faults: what went wrong on purpose.
        step: after which step; ``None`` at the end.
    """

    def __init__(
        self, check: str, sentence: str, case: Case, history: History, faults: Sequence[Planned], step: Step | None
    ) -> None:
        super().__init__(f"{check}: {sentence}")
        self.check = check
        self.sentence = sentence
        self.case = case
        self.history = history
        self.faults = tuple(faults)
        self.step = step


class Play:
    """One case, one schedule.

    Args:
        system: what is tested.
        case: what is merged.
        choices: the schedule.
        checks: by their names.
        faults: what goes wrong.
    """

    def __init__(
        self,
        system: System,
        case: Case,
        choices: Choices,
        checks: Collection[str] = tuple(CHECKS),
        faults: Sequence[Planned] = (),
    ) -> None:
        self._system = system
        self._case = case
        self._checks: Mapping[str, Check] = {name: check for name, check in CHECKS.items() if name in checks}
        self._faults = faults
        self._watching: Callable[[Step], None] = lambda _step: None
        self._start = self._before = case.start
        self._scheduler = Scheduler(system.begin(case), system.watcher, choices, self._look, faults)
        self.history = self._scheduler.history
        self.changed = False
        """Whether the log holds other merges at the end than at the beginning."""

    def watch(self, after: Callable[[Step], None]) -> None:
        """Call something after each step, before the checks."""
        self._watching = after

    def run(self) -> History:
        """Play it.

        Raises:
            Violation: a check failed.
            Exception: whatever a program raised that is neither a refusal nor a failure of the database.
        """
        self._scheduler.run()
        for outcome in self.history.outcomes:
            if outcome.error is not None and not self._expected(outcome):
                raise outcome.error
        made, maybe = self._answers()
        now = self._system.tables()
        self.changed = sorted(now.merges) != sorted(self._start.merges)
        self._ask(self._seen(now, made, maybe, over=True), None)
        return self.history

    def _expected(self, outcome: Outcome) -> bool:
        return outcome.crashed or self._system.is_refusal(outcome) or self._system.is_failure(outcome)

    def _look(self, step: Step) -> None:
        """Ask the checks where a transaction ended."""
        self._watching(step)
        if step.ended and (step.error is None or step.fault is Fault.COMMIT_UNKNOWN):
            now = self._system.tables()
            self._ask(self._seen(now), step)
            self._before = now

    def _seen(self, now: Tables, asked: Pairs | None = None, maybe: Pairs | None = None, *, over: bool = False) -> Seen:
        return Seen(self._start, self._before, now, asked or (), maybe or (), over, self._case.spelled)

    def _ask(self, seen: Seen, step: Step | None) -> None:
        for name, check in self._checks.items():
            sentence = check(seen)
            if sentence is not None:
                raise Violation(name, sentence, self._case, self.history, self._faults, step)

    def _answers(self) -> tuple[Pairs, Pairs]:
        """Return what is in effect for certain, or should be, and of what nobody can say."""
        made: Pairs = []
        maybe: Pairs = []
        hit = {planned.actor for planned in self._faults}
        for number, (edge, outcome) in enumerate(zip(self._case.edges, self.history.outcomes, strict=True)):
            if outcome.ok:
                made.append(edge.pair)
            elif number in hit:
                maybe.append(edge.pair)
            elif not _forbidden(self._start, *edge.pair):
                made.append(edge.pair)  # refused as the last of a ring, and then all are one; or wrongly
        return made, maybe


def _forbidden(start: Tables, old: Guid, new: Guid) -> bool:
    """Whether a merge must be refused whatever the order of all others."""
    dead = new not in start.live and new not in dict(start.merges)
    return old == new or dead or start.kinds.get(old) != start.kinds.get(new)
