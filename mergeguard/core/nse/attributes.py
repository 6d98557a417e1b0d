"""The attributes of one element, asked for one after the other; what is wrong with them is told without the place."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from mergeguard.core import guids
from mergeguard.core.nse.message import Target
from mergeguard.core.nse.parsing import Amiss

_TRUE: Final = frozenset({"true", "1", "yes"})
_FALSE: Final = frozenset({"false", "0", "no", ""})
_guid: Final = lru_cache(maxsize=4096)(guids.parse)
"""Types and data classes come in every event again."""


class Attributes:
    """By name, in any case of letters."""

    __slots__ = ("_values",)

    def __init__(self, given: Sequence[str]) -> None:
        """Take names and values by turns, as expat gives them.

        Raises:
            Amiss: one stands there twice, in letters of another case.
        """
        self._values = dict(zip(map(str.casefold, given[::2]), given[1::2], strict=True))
        if len(self._values) * 2 != len(given):
            raise Amiss("an attribute stands there twice, in letters of another case")

    def text(self, name: str) -> str | None:
        """Return a text as it stands; ``None`` where it is not given."""
        return self._values.get(name.casefold())

    def guid(self, name: str) -> uuid.UUID | None:
        """Return a guid; ``None`` where it is not given, empty, or the one that stands for none.

        Raises:
            Amiss: it is no guid.
        """
        text = self._values.get(name.casefold())
        if text is None or not text.strip():
            return None
        found = _guid(text) if len(text) <= 100 else None
        if found is None:
            raise Amiss(f"{name} {text[:80]!r} is no guid")
        return found if found.int else None

    def needed(self, name: str) -> uuid.UUID:
        """Return a guid that has to be there.

        Raises:
            Amiss: it is not, or is no guid.
        """
        found = self.guid(name)
        if found is None:
            raise Amiss(f"it has no {name}")
        return found

    def target(self, ref: str, guid: str) -> Target:
        """Return which resource is meant, by the attributes that say it as a label and as a guid.

        Raises:
            Amiss: neither says it, or both do.
        """
        label, found = self.text(ref), self.guid(guid)
        if not label and found is None:
            raise Amiss(f"it names no resource: it has neither {ref} nor {guid}")
        if label and found is not None:
            raise Amiss(f"it has both {ref} and {guid}; one of them says which resource is meant")
        return Target(ref=label or None, guid=found)

    def switch(self, name: str) -> bool:
        """Return whether something is switched on; it is off where it is not given.

        Raises:
            Amiss: it says neither yes nor no.
        """
        text = (self.text(name) or "").strip().casefold()
        if text not in _TRUE | _FALSE:
            raise Amiss(f"{name} is {text[:80]!r}; it can be true or false")
        return text in _TRUE
