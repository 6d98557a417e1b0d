"""Runs sessions on a real database one step at a time: whose turn is next is a choice that can be drawn and repeated.

After each step every session stands before its next one, is done, or waits for a lock, by the word of the server's own
views. Actors are always looked at in the same order, or the same choices would not make the same schedule.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from mergeguard.testing.actor import Actor, State
from mergeguard.testing.choices import Choices
from mergeguard.testing.history import Fault, History, Step

PATIENCE: Final = 0.003
"""Seconds until a step that has not ended is asked for among those that wait; between two such questions too."""
SURE: Final = 2
"""How often in a row a session must be seen waiting: meanwhile the server has looked for a deadlock once."""
LONGEST: Final = 60.0
"""Seconds that a single step, or the end of an actor, may take."""


class Stuck(Exception):
    """A session neither went on nor waited for a lock that the server knows."""


class TooManySteps(Exception):
    """The programs made more steps than a schedule may have: one of them never ends."""


class Watcher(Protocol):
    """Tells who waits for whom, and can end a session."""

    def waits(self, sessions: Sequence[int]) -> Mapping[int, Sequence[int]]:
        """Return, for each session that waits for a lock, the sessions that it waits for."""
        ...

    def terminate(self, session: int) -> None:
        """End a session, and wait until it is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault in place of the n-th step (from 1) of an actor."""

    actor: int
    step: int
    fault: Fault


Programs = Sequence[tuple[str, Callable[[], object]]]
"""(name, program) of each actor."""


class Scheduler:
    """One schedule.

    Args:
        programs: of the actors; each uses connections of the kit (``Sandbox.connect``, ``schedulable``).
        watcher: of the database.
        choices: who goes next.
        after: called after each step; may raise to end the schedule.
        faults: what goes wrong.
        most_steps: more of them raise ``TooManySteps``.
    """

    def __init__(
        self,
        programs: Programs,
        watcher: Watcher,
        choices: Choices,
        after: Callable[[Step], None] = lambda _step: None,
        faults: Sequence[Planned] = (),
        most_steps: int = 2000,
    ) -> None:
        self._changed = threading.Condition()
        self._actors = [Actor(at, name, program, self._changed) for at, (name, program) in enumerate(programs)]
        self._watcher = watcher
        self._choices = choices
        self._after = after
        self._faults = {(planned.actor, planned.step): planned.fault for planned in faults}
        self._most = most_steps
        self._made = [0] * len(programs)
        self._last = 0
        self.history = History(tuple(name for name, _ in programs))

    def run(self) -> History:
        """Run all actors to their end.

        Raises:
            TooManySteps: a program does not end.
            Stuck: a session waits for what no lock explains.
        """
        try:
            for actor in self._actors:
                actor.terminate = self._watcher.terminate
                actor.note = self._note
                actor.thread.start()
            self._settle()
            while (step := self._next()) is not None:
                self._settle()
                self._try_again()
                self._after(step)
        finally:
            self._end()
        self.history.outcomes = [actor.outcome for actor in self._actors]
        return self.history

    def _next(self) -> Step | None:
        """Choose an actor and let it make its step; ``None`` where all are at their end."""
        ready = [actor for actor in self._in_turn() if actor.state is State.PARKED]
        if not ready:
            return None
        chosen = 0
        if len(ready) > 1:
            chosen = self._choices.choose(len(ready))
            self.history.choices.append(chosen)
        if len(self.history.steps) >= self._most:
            raise TooManySteps(f"{self._most} steps were made and no end is near")
        return self._grant(ready[chosen])

    def _in_turn(self) -> Iterable[Actor]:
        """The actors, beginning with the one that went last."""
        return self._actors[self._last :] + self._actors[: self._last]

    def _grant(self, actor: Actor) -> Step:
        asked = actor.asked
        assert asked is not None  # noqa: S101 - for the type checker: a parked actor asks for something
        self._last = actor.number
        self._made[actor.number] += 1
        fault = self._faults.get((actor.number, self._made[actor.number]))
        step = Step(len(self.history.steps) + 1, actor.number, asked.kind, asked.sql, list(asked.values), fault=fault)
        self.history.steps.append(step)
        with self._changed:
            actor.grant(step, fault)
        return step

    def _note(self, step: Step) -> None:
        """Write down a step that nobody chose: a rollback."""
        with self._changed:
            step.number = len(self.history.steps) + 1
            self.history.steps.append(step)

    # Waiting.

    def _try_again(self) -> None:
        """Let those whom a busy database refused try again, one after the other; at a deadlock the last gives way."""
        for actor in self._actors:
            if actor.refused:
                actor.retry()
                self._settle()
                if actor.refused:
                    self._mark(actor, ())
        while (refused := [one for one in self._actors if one.refused]) and all(
            one.refused or one.state is State.DONE for one in self._actors
        ):
            max(refused, key=lambda one: one.step.number if one.step else 0).retry(hopeless=True)
            self._settle()

    def _settle(self) -> None:
        """Wait until every actor is parked, done, or waits for a lock of one that is not running."""
        with self._changed:
            for actor in self._actors:
                if actor.state is State.BLOCKED and not actor.refused:
                    actor.state = State.RUNNING
        seen: dict[int, int] = {}
        before = {actor.number for actor in self._actors if _waits(actor)}
        give_up = time.monotonic() + LONGEST
        quick = bool(before)
        while running := self._running(0.0 if quick else PATIENCE, besides=before if quick else frozenset()):
            quick = False
            waits = self._watcher.waits([_session(actor) for actor in running])
            self._set_aside(running, waits, seen, before)
            if time.monotonic() > give_up:
                raise Stuck(f"{running[0].name} neither goes on nor waits for a lock")

    def _running(self, patience: float, besides: Iterable[int]) -> list[Actor]:
        """Return who still runs, after some patience with those that are not known to wait."""
        known = set(besides)
        with self._changed:
            self._changed.wait_for(
                lambda: all(one.state is not State.RUNNING for one in self._actors if one.number not in known),
                timeout=patience or PATIENCE,
            )
            return [actor for actor in self._actors if actor.state is State.RUNNING]

    def _set_aside(
        self,
        running: Sequence[Actor],
        waits: Mapping[int, Sequence[int]],
        seen: dict[int, int],
        before: set[int],
    ) -> None:
        """Set those aside that were seen waiting often enough, if one of those they wait for can still move."""
        by_session = {_session(actor): actor for actor in self._actors if actor.session is not None}
        sleeping = [actor for actor in running if _session(actor) in waits]
        for actor in running:
            seen[actor.number] = seen.get(actor.number, 0) + 1 if actor in sleeping else 0
        sure = [one for one in sleeping if one.number in before or seen[one.number] >= SURE]
        if len(sure) < len(running) or not any(one.state is State.PARKED for one in self._actors):
            return  # some are on their way, or all sleep: the server must wake one, as the victim of a deadlock
        with self._changed:
            for actor in sure:
                if actor.state is State.RUNNING and actor.step is not None:
                    actor.state = State.BLOCKED
                    self._mark(actor, [by_session[one].number for one in waits[_session(actor)] if one in by_session])

    def _mark(self, actor: Actor, blockers: Sequence[int]) -> None:
        step = actor.step
        assert step is not None  # noqa: S101 - for the type checker: who waits makes a step
        step.waited_until = len(self.history.steps) + 1  # at the earliest; put off when it is seen waiting again
        step.waited_for = tuple(sorted({*step.waited_for, *blockers}))

    # The end.

    def _end(self) -> None:
        """End all actors and their transactions, whatever happened: a lock that stays would stop the next schedule."""
        begun = [actor for actor in self._actors if actor.thread.ident is not None]
        with self._changed:
            for actor in begun:
                actor.kill()
        for actor in begun:
            actor.thread.join(LONGEST / 6)
        for actor in begun:
            if actor.thread.is_alive():
                self._watcher.terminate(_session(actor))
                actor.thread.join(LONGEST)


def _session(actor: Actor) -> int:
    return 0 if actor.session is None else actor.session.session_id()


def _waits(actor: Actor) -> bool:
    return actor.step is not None and actor.step.waited_until is not None and actor.state is State.RUNNING
