"""A target opened for one call, with the profile that fits it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from mergeguard.errors import CannotCheck, UsageError
from mergeguard.integrity.profiles import choose_profile
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options, Source
from mergeguard.storage.targets import open_target

ProfileLike: TypeAlias = Profile | str | Path | None
DEFAULT = Options()
_REFERENCE = "reference"


@contextmanager
def opened(target: str | Path, profile: ProfileLike, options: Options) -> Iterator[tuple[Source, Profile]]:
    """Open a target, brought back in order first where the options say so; close it at the end.

    The profile of the reference schema knows the data classes that are catalogued in the database.
    """
    chosen = choose_profile(str(target), profile)
    source = open_target(str(target), chosen, options)
    try:
        if options.recover:
            source.recover()
        fitting = _fitting(source, chosen)
        if fitting is not chosen:
            source.close()
            chosen, source = fitting, open_target(str(target), fitting, options)
        yield source, chosen
    finally:
        source.close()


def _fitting(source: Source, chosen: Profile) -> Profile:
    """Return the profile with the references of catalogued classes; what cannot be read, the caller will find out."""
    if chosen.name != _REFERENCE:
        return chosen
    from mergeguard.storage.importing.references import reference_profile  # noqa: PLC0415 - one schema of many

    try:
        return reference_profile(source, chosen)
    except CannotCheck:
        return chosen


def as_guid(asked: uuid.UUID | str) -> uuid.UUID:
    """Read a guid in any usual spelling.

    Raises:
        UsageError: it is none.
    """
    from mergeguard.core.guids import parse  # noqa: PLC0415 - imports NumPy

    found = parse(str(asked))
    if found is None:
        raise UsageError(f"{str(asked)[:80]!r} is not a guid", hint="a guid has 32 hex digits, in any usual spelling")
    return found
