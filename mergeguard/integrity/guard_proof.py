"""Tries the guard of a database: writes what it must refuse, and takes all of it back."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NoReturn

from mergeguard.errors import MergeGuardError, MergeRefused, UnknownSchema, WriteFailed
from mergeguard.integrity.guard import require_database
from mergeguard.storage.guard import constraints as guard_constraints
from mergeguard.storage.guard import installation as guard
from mergeguard.storage.guard.parts import MARK
from mergeguard.storage.guard.trial import insert_at_once, never_merged

if TYPE_CHECKING:
    from mergeguard.storage.database.writing import DatabaseWriting
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows
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
        """Whether everything was refused, and by the guard or by a constraint that was installed with it."""
        return all(attempt.outcome == "refused" for attempt in self.attempts)


class _TakenBackError(Exception):
    """Rolls a transaction back whose statement went through."""


def prove_guard(source: Source, profile: Profile) -> GuardProof:
    """Try a self-merge, a cycle of two and a cycle of three, each with one statement in a transaction of its own.

    The guids are made for the purpose, or stand in the table of types where the guard's foreign keys ask for that.
    Every transaction is rolled back, whatever comes of it.

    Raises:
        PermissionDenied, Locked: it could not be tried.
        Unsupported: the target is a file, or its merge table cannot be guarded.
    """
    database = require_database(source)
    database.recover()
    with database.snapshot() as snapshot:
        table, beside = _beside(database.rows(snapshot), profile)
    with database.writing() as writing:
        return GuardProof(table, tuple(_try(writing, profile, beside, what, size) for what, size in _RINGS))


@dataclass(frozen=True, slots=True)
class _Beside:
    """What a database has beside the trigger of its guard."""

    refusing: tuple[str, ...]
    """Names of constraints that may refuse what the guard would refuse behind them."""
    guids: tuple[uuid.UUID, ...]
    """Guids to try it with, where not any will do."""


def _beside(rows: DatabaseRows, profile: Profile) -> tuple[str, _Beside]:
    place = guard.script_of(rows, profile, "usual").place
    with rows.source.translated():
        wanted, _ = guard_constraints.constraints(rows, profile, place)
        standing = guard_constraints.standing(rows, place, wanted)
    names = tuple(one.name for one in standing if one.violations is None)
    keyed = any(one.violations for one in standing)
    guids = never_merged(rows, profile, profile.types, len(_RINGS)) if keyed and profile.types else []
    return place.table, _Beside(names, tuple(guids))


_RINGS: Final = (
    ("a guid merged into itself", 1),
    ("a cycle of two, written by one statement", 2),
    ("a cycle of three, written by one statement", 3),
)


def _ring(size: int, known: Sequence[uuid.UUID]) -> Pairs:
    ring = list(known[:size]) if len(known) >= size else [uuid.uuid4() for _ in range(size)]
    return list(zip(ring, [*ring[1:], ring[0]], strict=True))


def _try(writing: DatabaseWriting, profile: Profile, beside: _Beside, what: str, size: int) -> Attempt:
    try:
        with writing.merging() as rows, writing.source.translated(writing=True):
            insert_at_once(rows, profile, _ring(size, beside.guids))
            _take_back()
    except _TakenBackError:
        return Attempt(what, "let through")
    except (MergeRefused, WriteFailed, UnknownSchema) as error:
        by_whom = (MARK, *beside.refusing)
        return Attempt(what, "refused" if any(one in error.message for one in by_whom) else "not tried", _said(error))


def _take_back() -> NoReturn:
    raise _TakenBackError


def _said(error: MergeGuardError) -> str:
    _, mark, rest = error.message.partition(MARK)
    return f"{mark}{rest}".removesuffix(")") if mark else error.message
