"""Every error MergeGuard raises on purpose: its id is the class name, and it knows its exit code and hint.

Findings are values (``core.findings``); an exception here means that the question could not be answered.
Driver errors are translated into these classes in one place, ``storage.failures``. No message here ever holds a
password: callers pass ``storage.secrets.masked`` text.
"""

from __future__ import annotations

import enum
import uuid
from typing import ClassVar


class ExitCode(enum.IntEnum):
    """What the process tells its caller. Constant for ever; an unknown code must be treated as a failure."""

    CLEAN = 0
    FINDINGS = 1
    USAGE = 2
    UNCHECKED = 3
    INCOMPLETE = 4
    PLAN_REFUSED = 5
    ROLLED_BACK = 6
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143

    @property
    def meaning(self) -> str:
        """The sentence the reference page prints for this code."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.CLEAN: "done; of a check: complete, and nothing at or above --fail-on",
    ExitCode.FINDINGS: "something to act on; of a scan: findings at or above --fail-on",
    ExitCode.USAGE: "usage or configuration error, or nobody said yes; nothing was done",
    ExitCode.UNCHECKED: "could not check: connection, login, permission, lock, unknown table or column, bad file",
    ExitCode.INCOMPLETE: "incomplete: the time budget ended first and nothing was found so far",
    ExitCode.PLAN_REFUSED: "plan or merge refused, or stale; nothing was changed",
    ExitCode.ROLLED_BACK: "a write failed and was rolled back, or an output could not be written",
    ExitCode.BUG: "internal error: a bug in MergeGuard",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
    ExitCode.TERMINATED: "terminated (SIGTERM)",
}


class MergeGuardError(Exception):
    """Base of all errors: a message for people, a hint what to do next, an exit code."""

    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str | None] = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint if hint is not None else self.default_hint

    @property
    def id(self) -> str:
        """The documented id of this kind of error."""
        return type(self).__name__


class UsageError(MergeGuardError):
    """The command line or a setting makes no sense."""

    exit_code = ExitCode.USAGE


class ProfileError(UsageError):
    """A profile file has an unknown key, a wrong type or a missing name."""


class MissingExtra(UsageError):
    """An optional package is needed for this target or format and is not installed."""


class CannotCheck(MergeGuardError):
    """The target could not be read, so there is no verdict."""

    exit_code = ExitCode.UNCHECKED


class TargetNotFound(CannotCheck):
    """The file or database does not exist."""


class NotADatabase(CannotCheck):
    """The file exists but is not what its name says."""


class ConnectFailed(CannotCheck):
    """The server did not answer."""

    retryable = True


class ConnectionLost(CannotCheck):
    """The server went away in the middle of the read."""

    retryable = True
    default_hint = "nothing was written; run the command again when the server is back"


class LoginFailed(CannotCheck):
    """The server refused the user or password."""

    default_hint = "check the user name; give the password with --password-env or --password-file"


class PermissionDenied(CannotCheck):
    """The login or the operating system does not allow this read."""


class Locked(CannotCheck):
    """Another session holds a lock for longer than the lock timeout."""

    retryable = True
    default_hint = "another session holds a lock; wait for it or raise --lock-timeout"


class UnknownSchema(CannotCheck):
    """A table or column that the profile names does not exist."""


class UnreadableFile(CannotCheck):
    """A file's text, compression or layout could not be decoded."""


class GuidNotFound(CannotCheck):
    """A guid that the user asked about stands nowhere in the table."""


class Unsupported(CannotCheck):
    """This kind of target cannot do that."""


class WriteFailed(MergeGuardError):
    """A write failed; its transaction was rolled back."""

    exit_code = ExitCode.ROLLED_BACK


class PlanRefused(MergeGuardError):
    """A plan may not be applied: it was edited or cut short, it expired, or it is for another database or version."""

    exit_code = ExitCode.PLAN_REFUSED


class Stale(PlanRefused):
    """Rows changed since the plan, or since the run that is to be undone; nothing was changed.

    ``changed`` says in words which rows, and what stands there now.
    """

    default_hint = "make a new plan: 'mergeguard plan' looks at the rows as they are now"

    def __init__(self, message: str, *, changed: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.changed = changed


class MergeRefused(PlanRefused):
    """A merge that must not be made; nothing was changed.

    ``reason`` is one word for programs: ``self-merge``, ``cycle``, ``already-merged``, ``dead-target``,
    ``unknown-guid``, ``type-mismatch``, ``never-merge``, ``in-cycle``, ``split``, ``shadowed-live``, ``lookup-drift``,
    ``no-key``, ``request-reused``, ``no-guard``, ``unordered-time``; of triggers and SQL procedures also ``conflict``,
    ``spelling``, ``no-guard-row``, ``references``.
    """

    def __init__(self, message: str, *, reason: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class JournalDamaged(PlanRefused):
    """The journal's tables are missing or are not as MergeGuard made them."""


class ApplyFailed(MergeGuardError):
    """A repair was rolled back: a check inside its transaction, or after it, found something wrong."""

    exit_code = ExitCode.ROLLED_BACK


class LeaseLost(MergeGuardError):
    """A worker's lease of a chain had passed to another one when it wanted to commit; all it did was rolled back."""

    exit_code = ExitCode.ROLLED_BACK


class MalformedEvent(CannotCheck):
    """An event's body is not what its handler can read; to try it again would not change that."""


class HandlerTooSlow(CannotCheck):
    """An event's handler ran longer than it may; what it did is rolled back, and the try has failed."""

    default_hint = "raise handler_seconds if its work needs the time; what it calls should have limits of its own"

    def __init__(self, message: str = "its handler ran longer than it may", *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)


class FolderAway(CannotCheck):
    """The folder that holds the bodies of events is not there now, a share that is not mounted for one."""

    retryable = True


class EventRefused(CannotCheck):
    """An event of an agent that is not heard, a retired computer for one; to try it again would not change that."""


class LostBody(CannotCheck):
    """The file that holds an event's body is gone, or it is not as long as when the event was registered."""


class EventParked(CannotCheck):
    """An event holds guids that lead nowhere for now: it waits, in its place, until somebody mends their merges.

    Attributes:
        guids: those guids, as the event has them.
        status: why, as the lookup spells it: ``cycle``, ``split`` or ``deleted``.
    """

    def __init__(self, message: str, *, guids: tuple[uuid.UUID, ...], status: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.guids = guids
        self.status = status
