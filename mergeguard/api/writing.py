"""What writes besides repair: the lookup, a merge, the guard, the demonstration."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from mergeguard.api.opened import DEFAULT, ProfileLike, as_guid, opened
from mergeguard.storage.source import Options, Progress, silent

if TYPE_CHECKING:  # each pulls in more than a program that does not call for it should pay
    from mergeguard.integrity.demo import DemoResult
    from mergeguard.integrity.guard import GuardChange, GuardStatus
    from mergeguard.integrity.guard_proof import GuardProof
    from mergeguard.integrity.lookup import Built
    from mergeguard.resources.merged import Merged


def build_lookup(
    target: str | Path, profile: ProfileLike = None, *, options: Options = DEFAULT, progress: Progress = silent
) -> Built:
    """Write the lookup table in one transaction: readers see the old one or the new one, never half.

    Raises:
        Unsupported: the target is a file.
        PermissionDenied: this login may not write there.
        Locked: another session holds the table for longer than the lock timeout.
        WriteFailed: any other reason; nothing was changed.
    """
    from mergeguard.integrity.lookup import build_lookup as build  # noqa: PLC0415 - imports NumPy

    with opened(target, profile, options) as (source, chosen):
        return build(source, chosen, progress=progress)


def merge(  # noqa: PLR0913 - as the command has flags
    target: str | Path,
    old: uuid.UUID | str,
    new: uuid.UUID | str,
    profile: ProfileLike = None,
    *,
    request_id: str | None = None,
    key: str | None = None,
    preview: bool = False,
    options: Options = DEFAULT,
) -> Merged:
    """Merge one resource into another in one transaction: its row, the lookup, the references and the journal.

    With ``preview`` nothing is written; ``Merged.refused`` says why it would be refused. A ``request_id`` that is given
    again answers what it answered before. For many merges keep ``mergeguard.resources.merge.open_merges`` open.

    Raises:
        UsageError: a text is no guid.
        MergeRefused: the merge must not be made; ``reason`` says why. Nothing was changed.
        Locked: another session held a lock for too long; nothing was changed.
        PermissionDenied: this login may not write there; nothing was changed.
        WriteFailed: any other failure; nothing was changed.
        JournalDamaged: the journal is not as it was left; nothing was changed.
        CannotCheck: the target could not be read.
    """
    from mergeguard.resources.merge import merge as merge_guids  # noqa: PLC0415 - imports NumPy

    with opened(target, profile, options) as (source, chosen):
        pair = as_guid(old), as_guid(new)
        return merge_guids(source, chosen, *pair, request_id=request_id, key=key, preview=preview)


def guard_status(target: str | Path, profile: ProfileLike = None, *, options: Options = DEFAULT) -> GuardStatus:
    """Say how the guard of the merge table stands, from the catalogue; nothing is written.

    Raises:
        Unsupported: the target is a file, or its merge table cannot be guarded.
        CannotCheck: the target could not be read.
    """
    from mergeguard.integrity.guard import guard_status as look  # noqa: PLC0415 - imports SQLAlchemy

    with opened(target, profile, options) as (source, chosen):
        return look(source, chosen)


def propose_guard_install(
    target: str | Path, profile: ProfileLike = None, *, constraints: bool = False, options: Options = DEFAULT
) -> GuardChange:
    """Work out the statements of ``guard_install``. Nothing is written.

    Raises:
        Unsupported: the target is a file, or its merge table cannot be guarded.
        CannotCheck: the target could not be read.
        ProfileError: a guard of that name guards another table.
        PlanRefused: rows violate the constraints that are asked for; the message names the findings.
    """
    from mergeguard.integrity.guard import propose_install  # noqa: PLC0415 - imports SQLAlchemy

    with opened(target, profile, options) as (source, chosen):
        return propose_install(source, chosen, constraints=constraints)


def guard_install(
    target: str | Path, profile: ProfileLike = None, *, constraints: bool = False, options: Options = DEFAULT
) -> GuardChange:
    """Put a trigger on the merge table that refuses cycles, self-merges and second merges; in one transaction.

    With ``constraints`` the database itself forbids what it can: a unique index on the old, a CHECK, foreign keys.

    Raises:
        Unsupported: the target is a file, or its merge table cannot be guarded.
        ProfileError: a guard of that name guards another table.
        PlanRefused: rows violate the constraints that are asked for; the message names the findings.
        PermissionDenied: this login may not; nothing was changed.
        Locked: another session held a lock for too long; nothing was changed.
        WriteFailed: any other reason; nothing was changed.
    """
    from mergeguard.integrity.guard import install_guard  # noqa: PLC0415 - imports SQLAlchemy

    with opened(target, profile, options) as (source, chosen):
        return install_guard(source, chosen, constraints=constraints)


def propose_guard_removal(
    target: str | Path, profile: ProfileLike = None, *, options: Options = DEFAULT
) -> GuardChange:
    """Work out the statements of ``guard_remove``. Nothing is written.

    Raises:
        Unsupported: the target is a file, or its merge table cannot be guarded.
        CannotCheck: the target could not be read.
        ProfileError: a guard of that name guards another table.
    """
    from mergeguard.integrity.guard import propose_removal  # noqa: PLC0415 - imports SQLAlchemy

    with opened(target, profile, options) as (source, chosen):
        return propose_removal(source, chosen)


def guard_remove(target: str | Path, profile: ProfileLike = None, *, options: Options = DEFAULT) -> GuardChange:
    """Take the guard down, and exactly what is its, in one transaction.

    Raises:
        Unsupported: the target is a file, or its merge table cannot be guarded.
        CannotCheck: the target could not be read.
        ProfileError: a guard of that name guards another table.
        PermissionDenied: this login may not; nothing was changed.
        Locked: another session held a lock for too long; nothing was changed.
        WriteFailed: any other reason; nothing was changed.
    """
    from mergeguard.integrity.guard import remove_guard  # noqa: PLC0415 - imports SQLAlchemy

    with opened(target, profile, options) as (source, chosen):
        return remove_guard(source, chosen)


def guard_prove(target: str | Path, profile: ProfileLike = None, *, options: Options = DEFAULT) -> GuardProof:
    """Try to write cycles, each with one statement in a transaction that is rolled back, and say what was refused.

    Raises:
        Unsupported: the target is a file, or its merge table cannot be guarded.
        CannotCheck: the target could not be read.
        PermissionDenied: this login may not write merges.
        Locked: another session held a lock for too long.
    """
    from mergeguard.integrity.guard_proof import prove_guard  # noqa: PLC0415 - imports SQLAlchemy

    with opened(target, profile, options) as (source, chosen):
        return prove_guard(source, chosen)


def make_demo(folder: str | Path) -> DemoResult:
    """Create a small SQLite database with real merges in a folder: the reference schema and the tz history.

    Raises:
        UsageError: it is there already; nothing is ever overwritten.
        PermissionDenied: the folder may not be written.
        WriteFailed: the disk is full.
    """
    from mergeguard.integrity.demo import make_demo as make  # noqa: PLC0415 - imports SQLAlchemy

    return make(Path(folder))
