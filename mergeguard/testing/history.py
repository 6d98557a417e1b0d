"""What happened in one schedule: each step with what it read, how long it waited, and how it ended."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field


class Kind(enum.Enum):
    """What a session asked of the database."""

    STATEMENT = "statement"
    COMMIT = "commit"
    ROLLBACK = "rollback"


class Fault(enum.Enum):
    """What may be done to a session instead of its next step."""

    CRASH = "crash"
    """The session is ended by the server and its program goes no further."""
    DISCONNECT = "disconnect"
    """The session is ended by the server; its program lives and is told by its driver. SQLite: its file goes away."""
    COMMIT_UNKNOWN = "commit-unknown"
    """The commit is made and the session ended before the answer arrives; elsewhere the same as ``DISCONNECT``."""
    DEADLOCK = "deadlock"
    """The server makes the session the victim of a deadlock (40P01)."""
    SERIALIZATION = "40001"
    """The server refuses to serialise the transaction (40001)."""


@dataclass(slots=True)
class Step:
    """One statement, commit or rollback.

    Attributes:
        number: from 1, in the order in which the steps began.
        read: the rows that the program fetched, at most ``KEPT_ROWS`` of them.
        waited_until: the step after which this one went on; ``None`` where it did not wait for a lock.
        waited_for: the actors who held the lock.
        ended: whether no transaction was open after the step.
    """

    number: int
    actor: int
    kind: Kind
    sql: str
    values: Sequence[object] = ()
    read: list[object] = field(default_factory=list)
    error: str | None = None
    fault: Fault | None = None
    waited_until: int | None = None
    waited_for: tuple[int, ...] = ()
    ended: bool = False


KEPT_ROWS = 8


@dataclass(slots=True)
class Outcome:
    """How an actor ended: with a value, with a database's or a merge's refusal, or crashed."""

    value: object = None
    error: BaseException | None = None
    crashed: bool = False

    @property
    def ok(self) -> bool:
        """Whether it came to its end."""
        return self.error is None and not self.crashed


@dataclass(slots=True)
class History:
    """One schedule from its first step to its last."""

    names: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    choices: list[int] = field(default_factory=list)

    @property
    def preemptions(self) -> int:
        """How often a session that could have gone on had to wait for another's step."""
        return sum(choice > 0 for choice in self.choices)
