"""What our own SQL says when it refuses, and the error that stands for it: triggers and procedures of every dialect.

They all begin with the same mark and one word for the reason, whatever number or SQLSTATE a server gives them; these
words are ours, so no server translates them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mergeguard import errors

_SAID = re.compile(r"mergeguard: (?P<reason>[a-z]+(?:-[a-z]+)*): (?P<words>.*?)(?: \(\d{5}\))?\s*\Z")
"""One line of a driver's message; pyodbc appends the number."""
_GUARD = "'mergeguard guard status' says how the guard stands; 'mergeguard merge' merges what may be merged"
_REPAIR = "'mergeguard plan' proposes what to do about the rows that stand there"
_NOW = "'mergeguard explain' tells what a guid is now"
_RUNS = "'mergeguard journal' shows what each run did"
_AGAIN = "run it again"
_HINTS: Mapping[str, str | None] = {
    "self-merge": None,
    "conflict": _GUARD,
    "cycle": _NOW,
    "in-cycle": _REPAIR,
    "split": _REPAIR,
    "shadowed-live": _REPAIR,
    "dead-target": _NOW,
    "unknown-guid": _NOW,
    "type-mismatch": None,
    "never-merge": "whoever wrote that down says why; see the pairs never to merge",
    "lookup-drift": "'mergeguard lookup build' brings the lookup after the merges",
    "request-reused": "give each merge a request id of its own",
    "no-key": None,
    "no-guard": "'mergeguard guard install' puts it up",
    "unordered-time": "columns named as time or order in the profile must hold what has an order",
    "references": "'mergeguard merge' re-points them",
    "spelling": "write guids as the rows beside them are written",
    "no-guard-row": "'mergeguard guard install' puts it back",
}
"""Merges that are not made."""
_OTHERS: Mapping[str, tuple[type[errors.MergeGuardError], str | None]] = {
    "locked": (errors.Locked, _AGAIN),
    "moved": (errors.Locked, _AGAIN),
    "unknown-run": (errors.JournalDamaged, _RUNS),
    "journal-damaged": (errors.JournalDamaged, "restore the journal's tables, or make a new plan"),
    "undone": (errors.PlanRefused, _RUNS),
    "stale": (errors.Stale, _RUNS),
    "unsupported": (errors.Unsupported, "the commands of MergeGuard may do what its scripts cannot"),
    "isolation": (errors.UsageError, "begin the transaction at READ COMMITTED"),
    "usage": (errors.UsageError, None),
    "write": (errors.WriteFailed, "look for triggers on the table; nothing was changed"),
}
REASONS = frozenset((*_HINTS, *_OTHERS))
"""Every word that a refusal may begin with."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a script or a trigger refused."""

    reason: str
    words: str
    """The sentence behind the reason."""

    @property
    def is_lasting(self) -> bool:
        """Whether the same statement would be refused again: all but what waits for others."""
        return not issubclass(_kind(self.reason), errors.Locked)

    def error(self, where: str, words: str) -> errors.MergeGuardError:
        """Return the error that says so, of the target ``where``, with ``words`` that hold no password."""
        kind, message = _kind(self.reason), f"{where}: the database refused it (mergeguard: {self.reason}: {words})"
        if issubclass(kind, errors.MergeRefused):
            return kind(message, reason=self.reason, hint=_HINTS[self.reason])
        return kind(message, hint=_OTHERS[self.reason][1])


def read(line: str) -> Refusal | None:
    """Read the first line of a driver's message, without the names of the layers that it came through.

    ``None`` where it is not ours, or says what no version knows.
    """
    said = _SAID.match(line)
    return Refusal(said["reason"], said["words"]) if said and said["reason"] in REASONS else None


def _kind(reason: str) -> type[errors.MergeGuardError]:
    return errors.MergeRefused if reason in _HINTS else _OTHERS[reason][0]
