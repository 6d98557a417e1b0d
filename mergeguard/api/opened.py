"""A target opened for one call, with the profile that fits it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from mergeguard.errors import UsageError
from mergeguard.integrity.profiles import choose_profile
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Options, Source
from mergeguard.storage.targets import open_target

ProfileLike: TypeAlias = Profile | str | Path | None
DEFAULT = Options()


@contextmanager
def opened(target: str | Path, profile: ProfileLike, options: Options) -> Iterator[tuple[Source, Profile]]:
    """Open a target, brought back in order first where the options say so; close it at the end."""
    chosen = choose_profile(str(target), profile)
    source = open_target(str(target), chosen, options)
    try:
        if options.recover:
            source.recover()
        yield source, chosen
    finally:
        source.close()


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
