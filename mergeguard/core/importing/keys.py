"""Which keys of a resource say who it is: those of its type, without the names and values that say nothing."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from mergeguard.core.importing.catalogue import Catalogue
from mergeguard.core.nse.message import Key
from mergeguard.errors import MalformedEvent

COMPUTER: Final = uuid.UUID("493435f7-3b17-4c4c-b07f-c23e7ab7781f")
"""The type of computers; settings about computers hold for the types derived from it, too."""
MAC: Final = "macaddress"
Folded: TypeAlias = tuple[str, str]
_SHOWN: Final = 5
_NOT_HEX: Final = re.compile(r"[^0-9a-f]")
_NO_GUIDS: Final = frozenset({"0" * 32, "f" * 32})


@dataclass(frozen=True, slots=True)
class KeyRules:
    """What an administrator has set about keys; every text is folded as ``plain`` does, or ``digits`` for a MAC."""

    filtered: frozenset[str] = frozenset()
    """Names that no computer is found by; they are kept all the same."""
    junk: frozenset[str] = frozenset()
    """Values that many resources have because nobody filled them in: neither matched nor kept."""
    macs: frozenset[str] = frozenset()
    """Hardware addresses that are not one machine's own: neither matched nor kept."""
    merges_computers: bool = True
    """Whether computers that share a key become one."""


def folded(key: Key) -> Folded:
    """Return a key as it is compared: without case, without blanks around it."""
    return key.name.strip().lower(), key.value.strip().lower()


def plain(text: str) -> str:
    """Return the letters and digits of a text: ``To Be Filled By O.E.M.`` is spelled in many ways."""
    return "".join(each for each in text.casefold() if each.isalnum())


def digits(mac: str) -> str:
    """Return the hexadecimal digits of a hardware address."""
    return _NOT_HEX.sub("", mac.lower())


def usable(keys: Iterable[Key], rules: KeyRules) -> tuple[Key, ...]:
    """Return the keys that tell anything, each once, in the order in which they came."""
    found: dict[Folded, Key] = {}
    for key in keys:
        stripped = replace(key, name=key.name.strip(), value=key.value.strip())
        if stripped.name and not _is_junk(stripped, rules):
            found.setdefault(folded(stripped), stripped)
    return tuple(found.values())


def is_computer(kind: uuid.UUID | None, catalogue: Catalogue) -> bool:
    """Say whether a type is that of computers, or derived from it."""
    return kind is not None and COMPUTER in (kind, *catalogue.bases.get(kind, ()))


def matching(keys: Iterable[Key], kind: uuid.UUID | None, catalogue: Catalogue, rules: KeyRules) -> tuple[Key, ...]:
    """Return those of some usable keys that a resource of a type is found by: the enforcement keys of the type."""
    if kind is None:
        return ()
    lines = (kind, *catalogue.bases.get(kind, ()))
    names = {name.lower() for line in lines for name in catalogue.merge_keys.get(line, ())}
    if is_computer(kind, catalogue):
        names -= rules.filtered
    return tuple(key for key in keys if key.name.lower() in names)


def require_matching(place: str, keys: Iterable[Key], kind: uuid.UUID, catalogue: Catalogue, rules: KeyRules) -> None:
    """Require that a resource without a guid can be found by one of its usable keys.

    Raises:
        MalformedEvent: each message about it would make another one.
    """
    usable_keys = tuple(keys)
    if matching(usable_keys, kind, catalogue, rules):
        return
    names = sorted({key.name for key in usable_keys})
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    others = f" but {shown}, by which its type is not found" if names else ""
    raise MalformedEvent(
        f"{place}: it has neither a guid nor a key that tells which resource it is{others}",
        hint="send its guid, or a key that ResourceTypeMergeKey lists for its type, with a value of its own",
    )


def _is_junk(key: Key, rules: KeyRules) -> bool:
    said = plain(key.value)
    if not said or said in rules.junk or said in _NO_GUIDS:
        return True
    return key.name.lower() == MAC and digits(key.value) in rules.macs
