"""The attributes of one element: asked for one after the other, and what is wrong with them told without the place."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from mergeguard.core import guids
from mergeguard.core.nse.parsing import Amiss

Attributes: TypeAlias = Mapping[str, str]
"""By name, as ``spelled`` gives it."""

NAMES: Final = frozenset(
    {
        *("guid", "typeGuid", "ref", "name", "value", "resourceRef", "resourceGuid", "partialUpdate"),
        *("parentResourceRef", "parentResourceGuid", "childResourceRef", "childResourceGuid"),
    }
)
"""As they are written."""
_SPELLED: Final = {name.casefold(): name for name in NAMES}
_TRUE: Final = frozenset({"true", "1", "yes"})
_FALSE: Final = frozenset({"false", "0", "no", ""})
_LONGEST_GUID: Final = 100
"""Characters, blanks around it included: a text that is kept in mind must not be of any length."""


def spelled(given: dict[str, str]) -> Attributes:
    """Return attributes under the names that are asked for, whatever case they were sent in.

    Raises:
        Amiss: one stands there twice, in letters of another case.
    """
    found: dict[str, str] = {}
    for name, value in given.items():
        known = _SPELLED.get(name.casefold(), name)
        if known in found:
            raise Amiss(f"the attribute {known[:80]} stands there twice, in letters of another case")
        found[known] = value
    return found


def guid(attributes: Attributes, name: str) -> uuid.UUID | None:
    """Return a guid; ``None`` where it is not given, empty, or the one that stands for none.

    Raises:
        Amiss: it is no guid.
    """
    text = attributes.get(name)
    return None if text is None else _guid(name, text)


@lru_cache(maxsize=4096)  # types and data classes come in every event again
def needed(name: str, text: str | None) -> uuid.UUID:
    """Return the guid that a text is and that has to be there.

    Raises:
        Amiss: it is not, or is no guid.
    """
    found = None if text is None else _guid(name, text)
    if found is None:
        raise Amiss(f"it has no {name}")
    return found


def _guid(name: str, text: str) -> uuid.UUID | None:
    found = plain(text)
    if found is None and len(text) <= _LONGEST_GUID:
        found = guids.parse(text)
    if found is not None:
        return found if found.int else None
    if text.strip():
        raise Amiss(f"{name} {text[:80]!r} is no guid")
    return None


@lru_cache(maxsize=16_384)  # what many refer to comes in many events; one object is compared and kept once
def plain(text: str) -> uuid.UUID | None:
    """Read a guid in the usual spelling, with braces or without, four times as fast as any other is read.

    ``None`` for any other text, and for the guid that stands for none.
    """
    if text[:1] == "{" and text[-1] == "}":
        text = text[1:-1]
    digits = text.replace("-", "")
    if len(text) != 36 or len(digits) != 32 or text[8:24:5] != "----":
        return None
    try:
        found = uuid.UUID(bytes=bytes.fromhex(digits))
    except ValueError:  # no digits, or blanks between them
        return None
    return found if found.int else None


def switch(attributes: Attributes, name: str) -> bool:
    """Return whether something is switched on; it is off where it is not given.

    Raises:
        Amiss: it says neither yes nor no.
    """
    text = attributes.get(name, "").strip().casefold()
    if text not in _TRUE and text not in _FALSE:
        raise Amiss(f"{name} is {text[:80]!r}; it can be true or false")
    return text in _TRUE
