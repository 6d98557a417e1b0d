"""Tries the guard of a database: writes what it must refuse, and takes all of it back."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NoReturn

from mergeguard.errors import MergeGuardError, MergeRefused, UnknownSchema, WriteFailed
from mergeguard.integrity.guard import require_database
from mergeguard.storage.guard import installation as guard
from mergeguard.storage.guard.parts import MARK
from mergeguard.storage.guard.trial import insert_at_once

if TYPE_CHECKING:
    from mergeguard.storage.database.writing import DatabaseWriting
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.source import Source

Outcome = Literal["refused", "let through", "not tried"]
Pairs = Sequence[tuple[uuid.UUID, uuid.UUID]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing that was tried."""

    what: str
    outcome: Outcome
    said: str = ""
    """What the database said."""


@dataclass(frozen=True, slots=True)
class GuardProof:
    """What a guard refused."""

    table: str
    attempts: tuple[Attempt, ...]

    @property
    def holds(self) -> bool:
        """Whether everything was refused, and by the guard."""
        return all(attempt.outcome == "refused" for attempt in self.attempts)


class _TakenBackError(Exception):
    """Rolls a transaction back whose statement went through."""


def prove_guard(source: Source, profile: Profile) -> GuardProof:
    """Try a self-merge, a cycle of two and a cycle of three, each with one statement in a transaction of its own.

    The guids are made for the purpose. Every transaction is rolled back, whatever comes of it.

    Raises:
        PermissionDenied, Locked: it could not be tried.
        Unsupported: the target is a file, or its merge table cannot be guarded.
    """
    database = require_database(source)
    database.recover()
    with database.snapshot() as snapshot:
        place = guard.script_of(database.rows(snapshot), profile, "usual").place
    with database.writing() as writing:
        return GuardProof(place.table, tuple(_try(writing, profile, what, _ring(size)) for what, size in _RINGS))


_RINGS: Final = (
    ("a guid merged into itself", 1),
    ("a cycle of two, written by one statement", 2),
    ("a cycle of three, written by one statement", 3),
)


def _ring(size: int) -> Pairs:
    ring = [uuid.uuid4() for _ in range(size)]
    return list(zip(ring, [*ring[1:], ring[0]], strict=True))


def _try(writing: DatabaseWriting, profile: Profile, what: str, pairs: Pairs) -> Attempt:
    try:
        with writing.merging() as rows:
            insert_at_once(rows, profile, pairs)
            _take_back()
    except _TakenBackError:
        return Attempt(what, "let through")
    except (MergeRefused, WriteFailed, UnknownSchema) as error:
        return Attempt(what, "refused" if MARK in error.message else "not tried", _said(error))


def _take_back() -> NoReturn:
    raise _TakenBackError


def _said(error: MergeGuardError) -> str:
    _, mark, rest = error.message.partition(MARK)
    return f"{mark}{rest}".rstrip(")") if mark else error.message
