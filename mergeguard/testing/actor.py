"""A session as a thread that stops before each step until it is told to go on."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from mergeguard.testing.history import KEPT_ROWS, Fault, Kind, Outcome, Step

Result = TypeVar("Result")
_here = threading.local()


class Killed(BaseException):
    """Ends the program of an actor; no ``except Exception`` may stop it."""


class Live(Protocol):
    """What the kit asks of a connection, whatever its driver."""

    def session_id(self) -> int:
        """Return the server's number of the session; 0 where there is none."""
        ...

    def has_transaction(self) -> bool:
        """Say whether a transaction is open."""
        ...

    def fail_with(self, fault: Fault) -> None:
        """Make the server fail the transaction as if it had a reason; raises the driver's own error."""
        ...

    def touch(self) -> None:
        """Ask the server for nothing; raises the driver's own error where it is gone."""
        ...

    def give_up(self) -> None:
        """Roll back what is open, whatever state the connection is in."""
        ...

    def is_busy(self, error: BaseException) -> bool:
        """Say whether an error stands for a lock to wait for."""
        ...


class State(enum.Enum):
    """Where an actor is."""

    RUNNING = "running"
    PARKED = "parked"
    BLOCKED = "blocked"
    DONE = "done"


@dataclass(slots=True)
class Asked:
    """The step before which an actor stands."""

    kind: Kind
    sql: str
    values: Sequence[object]
    session: Live


class Actor:
    """One session's program.

    Args:
        number: its place among the actors.
        name: for people.
        program: what it does; what it returns or raises is its outcome.
        changed: the condition under which all actors of a schedule meet.
    """

    def __init__(self, number: int, name: str, program: Callable[[], object], changed: threading.Condition) -> None:
        self.number = number
        self.name = name
        self.state = State.RUNNING
        self.asked: Asked | None = None
        self.session: Live | None = None
        self.outcome = Outcome()
        self.step: Step | None = None
        self.fault: Fault | None = None
        self.terminate: Callable[[int], None] = lambda _session: None
        self.note: Callable[[Step], None] = lambda _step: None
        self._program = program
        self._changed = changed
        self._killed = False
        self.refused = False
        """Whether a busy database refused its step; it tries again when another session has moved."""
        self._hopeless = False
        self.thread = threading.Thread(target=self._run, name=f"mergeguard-actor-{number}", daemon=True)

    def grant(self, step: Step, fault: Fault | None) -> None:
        """Let it make its step. The caller holds the condition."""
        self.step, self.fault, self.state = step, fault, State.RUNNING
        self._changed.notify_all()

    def retry(self, *, hopeless: bool = False) -> None:
        """Let it try again what a busy database refused; where that is hopeless, let it have the error."""
        with self._changed:
            self.state, self._hopeless = State.RUNNING, hopeless
            self._changed.notify_all()

    def kill(self) -> None:
        """End it before its next step. The caller holds the condition."""
        self._killed = True
        self._changed.notify_all()

    def through(self, asked: Asked, do: Callable[[], Result]) -> Result:
        """Stop before a step, make it when told to, and write down how it ended."""
        if self._killed and asked.kind is Kind.ROLLBACK:
            return do()
        self.session = asked.session
        if asked.kind is not Kind.ROLLBACK:
            self._park(asked)
        return self._made(asked, do)

    def _made(self, asked: Asked, do: Callable[[], Result]) -> Result:
        step = self.step
        if asked.kind is Kind.ROLLBACK:
            step = Step(0, self.number, asked.kind, asked.sql)
            self.note(step)
        assert step is not None  # noqa: S101 - for the type checker: a granted actor has one
        try:
            return self._faulty(asked, do)
        except Exception as error:
            step.error = _words(error)
            raise
        finally:
            step.ended = not asked.session.has_transaction()

    def _faulty(self, asked: Asked, do: Callable[[], Result]) -> Result:
        fault, self.fault = self.fault, None
        if fault in {Fault.DEADLOCK, Fault.SERIALIZATION}:
            asked.session.fail_with(fault)
        if fault is Fault.COMMIT_UNKNOWN and asked.kind is Kind.COMMIT:
            self._patient(asked, do)
        if fault is not None:
            self.terminate(asked.session.session_id())
            if fault is Fault.CRASH:
                self._killed = True
                raise Killed
            asked.session.touch()
        return self._patient(asked, do)

    def _patient(self, asked: Asked, do: Callable[[], Result]) -> Result:
        """Make the step; where the database says that it is busy, wait for another session's step and try again."""
        while True:
            try:
                return do()
            except Exception as error:
                if self._hopeless or not asked.session.is_busy(error):
                    raise
                self._sit_out()
            finally:
                self.refused = False

    def _sit_out(self) -> None:
        with self._changed:
            self.refused, self.state = True, State.BLOCKED
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.state is State.RUNNING or self._killed)
        if self._killed:
            raise Killed

    def _park(self, asked: Asked) -> None:
        with self._changed:
            self.asked, self.state, self._hopeless = asked, State.PARKED, False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.state is State.RUNNING or self._killed)
        if self._killed:
            raise Killed

    def _run(self) -> None:
        _here.actor = self
        try:
            self.outcome.value = self._program()
        except Killed:
            self.outcome.crashed = True
        except Exception as error:  # noqa: BLE001 - the scheduler judges what is an outcome
            self.outcome.error = error
            self.outcome.crashed = self._killed
        finally:
            _here.actor = None
            if self._killed and self.session is not None:
                self.session.give_up()  # others wait for its locks
            with self._changed:
                self.state = State.DONE
                self._changed.notify_all()


def through(session: Live, kind: Kind, sql: str, values: Sequence[object], do: Callable[[], Result]) -> Result:
    """Make a step of the actor whose thread this is; outside a schedule just do it."""
    actor: Actor | None = getattr(_here, "actor", None)
    return do() if actor is None else actor.through(Asked(kind, sql, values, session), do)


def last_step() -> Step | None:
    """Return the last step of the actor whose thread this is."""
    actor: Actor | None = getattr(_here, "actor", None)
    return None if actor is None else actor.step


def reads(step: Step | None, rows: Sequence[Any]) -> None:
    """Write down rows that a program fetched from a statement that was a step."""
    if step is not None:
        step.read.extend(rows[: KEPT_ROWS - len(step.read)])


def _words(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
