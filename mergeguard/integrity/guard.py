"""The guard of a database: put up, looked at, tried, taken down. All of it in one transaction each, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mergeguard.errors import PermissionDenied, PlanRefused, ProfileError, Unsupported
from mergeguard.storage.guard import constraints as guard_constraints
from mergeguard.storage.guard import installation as guard
from mergeguard.storage.guard.installation import Standing

if TYPE_CHECKING:
    from mergeguard.storage.database.source import DatabaseSource
    from mergeguard.storage.guard.constraints import Constraint
    from mergeguard.storage.guard.parts import GuardScript
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows
    from mergeguard.storage.source import Source

_RULES = ("self-merge", "split", "redundant")
"""What a scan must not find where a unique index and a CHECK are to be made."""
_GRANT = (
    "to make a trigger takes the owner of the merge table (SQL Server: ALTER on it), and the guard's table takes "
    "CREATE TABLE; nothing was changed"
)


@dataclass(frozen=True, slots=True)
class GuardStatus:
    """How the guard of a merge table stands."""

    table: str
    installed: bool
    """Whether all its parts are there."""
    version: int | None = None
    """Of the text that is there; ``None`` where there is none."""
    spelling: str = ""
    """How guids are compared: ``plain``, ``usual`` (eight spellings, by an index) or ``any`` (by reading all)."""
    problems: tuple[str, ...] = ()
    """What is wrong with it, in words; empty where the guard does its work."""
    constraints: tuple[str, ...] = ()
    """What the database itself forbids beside the trigger."""
    notes: tuple[str, ...] = ()
    """What is worth knowing and wrong with nothing."""

    @property
    def ok(self) -> bool:
        """Whether the guard stands and does its work."""
        return self.installed and not self.problems


@dataclass(frozen=True, slots=True)
class GuardChange:
    """What an install or a removal would do, or did."""

    table: str
    statements: tuple[str, ...]
    """In their order; they are sent in one transaction."""
    kind: str
    """Of the database: ``sqlite``, ``postgresql``, ``mssql``."""
    needed: bool = True
    """Whether anything would be other than it is."""
    notes: tuple[str, ...] = ()


def guard_status(source: Source, profile: Profile) -> GuardStatus:
    """Look the guard up in the catalogue; nothing is written.

    Raises:
        Unsupported: the target is a file, or its merge table cannot be guarded.
        CannotCheck: it could not be read.
    """
    database = require_database(source)
    with database.snapshot() as snapshot:
        rows = database.rows(snapshot)
        standing = guard.look(rows, profile)
        return _status(standing, _constraints(rows, profile, standing.script).standing)


def propose_install(source: Source, profile: Profile, *, constraints: bool = False) -> GuardChange:
    """Work out what an install would send; nothing is written.

    Raises:
        as ``install_guard``.
    """
    database = require_database(source)
    with database.snapshot() as snapshot:
        rows = database.rows(snapshot)
        change, wanted = _install(rows, profile, constraints=constraints)
        violated = _unknown_guids(rows, wanted)
    if wanted:
        _require_clean(source, profile, violated)
    return change


def install_guard(source: Source, profile: Profile, *, constraints: bool = False) -> GuardChange:
    """Put the guard up, or bring one that stands to this version; return what was sent.

    Args:
        source: the target.
        profile: names its tables.
        constraints: whether the database itself is to forbid what it can beside the trigger.

    Raises:
        PlanRefused: constraints are wanted and rows violate them; the message names the findings.
        PermissionDenied, Locked, WriteFailed: nothing was changed.
        ProfileError: a guard of that name guards another table.
        Unsupported: the target is a file, or its merge table cannot be guarded.
    """
    if constraints:
        propose_install(source, profile, constraints=True)
    with _changing(require_database(source)) as rows:
        change, _ = _install(rows, profile, constraints=constraints)
        if change.needed:
            guard.send(rows, change.statements)
        return change


def propose_removal(source: Source, profile: Profile) -> GuardChange:
    """Work out what a removal would send; nothing is written.

    Raises:
        as ``remove_guard``.
    """
    database = require_database(source)
    with database.snapshot() as snapshot:
        return _removal(database.rows(snapshot), profile)


def remove_guard(source: Source, profile: Profile) -> GuardChange:
    """Take the guard down, and exactly what is its; return what was sent.

    Raises:
        PermissionDenied, Locked, WriteFailed: nothing was changed.
        ProfileError: a guard of that name guards another table.
        Unsupported: the target is a file.
    """
    with _changing(require_database(source)) as rows:
        change = _removal(rows, profile)
        guard.send(rows, change.statements)
        return change


def require_database(source: Source) -> DatabaseSource:
    """Return an open target as the database that it must be.

    Raises:
        Unsupported: it is a file.
    """
    from mergeguard.storage.database.source import DatabaseSource  # noqa: PLC0415 - SQLAlchemy; a file target does without

    if not isinstance(source, DatabaseSource):
        raise Unsupported(f"{source.info.target} is a file: there is nothing in it that could refuse a merge")
    return source


@contextmanager
def _changing(database: DatabaseSource) -> Iterator[DatabaseRows]:
    """Offer a transaction that holds the merge lock alone."""
    database.recover()
    try:
        with database.writing() as writing, writing.transaction() as rows:
            yield rows
    except PermissionDenied as error:
        raise PermissionDenied(error.message, hint=_GRANT) from error


@dataclass(frozen=True, slots=True)
class _Constraints:
    """The constraints that a merge table can have, and those that it has."""

    wanted: list[Constraint]
    standing: list[Constraint]
    notes: list[str]

    @property
    def missing(self) -> list[Constraint]:
        return [one for one in self.wanted if one not in self.standing]


def _constraints(rows: DatabaseRows, profile: Profile, script: GuardScript) -> _Constraints:
    with rows.source.translated():
        wanted, notes = guard_constraints.constraints(rows, profile, script.place)
        return _Constraints(wanted, guard_constraints.standing(rows, script.place, wanted), notes)


def _install(rows: DatabaseRows, profile: Profile, *, constraints: bool) -> tuple[GuardChange, list[Constraint]]:
    script = guard.script_of(rows, profile)
    standing = guard.look(rows, profile)
    _require_own(standing)
    needed = bool(standing.problems) or standing.script.keys.spelling != script.keys.spelling
    statements = (*script.create_table(), *script.create_triggers())
    notes = _notes(script)
    found = _constraints(rows, profile, script) if constraints else _Constraints([], [], [])
    statements += tuple(one.create for one in found.missing)
    change = GuardChange(
        script.place.table, statements, rows.source.kind, needed or bool(found.missing), (*notes, *found.notes)
    )
    return change, found.missing


def _unknown_guids(rows: DatabaseRows, wanted: Sequence[Constraint]) -> list[str]:
    """Say which constraints are violated that no rule of a scan speaks of."""
    with rows.source.translated():
        counts = {one.says: guard_constraints.count(rows, one.violations) for one in wanted if one.violations}
    return [f"not {says}: {count:,}" for says, count in counts.items() if count]


def _require_clean(source: Source, profile: Profile, violated: Sequence[str]) -> None:
    """Refuse constraints while there are rows that violate them.

    Raises:
        PlanRefused: there are; the message names the rules.
    """
    from mergeguard.integrity.scan import ScanOptions, scan_source  # noqa: PLC0415 - NumPy; few installs need it

    report = scan_source(source, profile, ScanOptions(only=_RULES))
    found = [f"{one.rule} {one.name}: {one.count:,}" for one in report.outcomes if one.count]
    if found or violated:
        raise PlanRefused(
            f"rows of {profile.merge.table} violate the constraints: {'; '.join([*found, *violated])}",
            hint="'mergeguard scan' shows the findings and 'mergeguard repair' mends them; the guard itself can be "
            "installed without --constraints",
        )


def _removal(rows: DatabaseRows, profile: Profile) -> GuardChange:
    standing = guard.look(rows, profile)
    _require_own(standing)
    script = standing.script
    statements = [one.drop for one in _constraints(rows, profile, script).standing]
    statements += script.drop_triggers() if standing.found.triggers else ()
    if standing.table:
        statements.append(f"DROP TABLE {script.place.guard}")
    return GuardChange(script.place.table, tuple(statements), rows.source.kind, bool(statements))


def _require_own(standing: Standing) -> None:
    if standing.found.elsewhere:
        place = standing.script.place
        raise ProfileError(
            f"the guard {place.stem} guards {', '.join(standing.found.elsewhere)}, and the profile's merge table is "
            f"{place.table}",
            hint="name another one in the profile: [merging] guard",
        )


def _status(standing: Standing, constraints: Sequence[Constraint]) -> GuardStatus:
    script = standing.script
    return GuardStatus(
        table=script.place.table,
        installed=not standing.missing and standing.table,
        version=standing.version,
        spelling=script.keys.spelling if standing.found.triggers else "",
        problems=standing.problems,
        constraints=tuple(one.says for one in constraints),
        notes=_notes(script),
    )


def _notes(script: GuardScript) -> tuple[str, ...]:
    place = script.place
    words = []
    if not place.indexed:
        words.append(f"no index of {place.table} begins with {place.old}: each check reads the whole table")
    elif script.keys.spelling == "any":
        words.append(f"the guids of {place.table} are spelled in so many ways that each check reads the whole table")
    return tuple(words)
