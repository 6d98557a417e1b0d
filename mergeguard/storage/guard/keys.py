"""How the guard's SQL compares guids: as the database's own type, or as texts in any of several spellings.

A *key* is a guid in one form alone: the value itself where a column holds guids as such, 32 digits in lower case where
it holds texts. A row whose cells have no key is no merge, and the guard does not look at it.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from typing import ClassVar, Final, Literal

from mergeguard.core import guids
from mergeguard.storage.cells.guid_spelling import NOISE
from mergeguard.storage.profile import Merge

Spelling = Literal["plain", "usual", "any"]
"""``plain``: compared as they stand. ``usual``: eight spellings, found by an index. ``any``: no index finds them."""
_HYPHENS: Final = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))


class GuardKeys(ABC):
    """The expressions of one dialect for one merge table.

    Args:
        merge: what the profile says of the table.
        spelling: how its guids are compared.
        binary: whether it holds them as 16 bytes.
    """

    plus: ClassVar[str] = "||"
    cut: ClassVar[str] = "substr"

    def __init__(self, merge: Merge, spelling: Spelling, *, binary: bool = False) -> None:
        self.spelling = spelling
        self.binary = binary
        self._swapped = merge.byte_order == "sqlserver"
        texts = [value.strip() for value in merge.deleted_values]
        self._blank = "" in texts
        self._deleted = [guid for text in texts if (guid := guids.parse(text)) is not None]
        self._words = [text for text in texts if text and guids.parse(text) is None]

    # What a dialect says.

    @abstractmethod
    def literal(self, guid: uuid.UUID) -> str:
        """Return a guid as the columns hold it where they are compared ``plain``."""

    @abstractmethod
    def is_digits(self, text: str) -> str:
        """Return the condition that a text is 32 digits in lower case."""

    @abstractmethod
    def trimmed(self, text: str) -> str:
        """Return a text without the blanks around it."""

    def as_trimmed(self, word: str) -> str:
        """Return a word as ``trimmed`` leaves it of a cell that holds it."""
        return word

    def as_text(self, cell: str) -> str:
        """Return a cell as text."""
        return cell

    def as_key(self, digits: str) -> str:
        """Return 32 digits as a key."""
        return digits

    def plain_key(self, cell: str) -> str:
        """Return the key of a cell that is compared as it stands."""
        return cell

    # What all share.

    def old(self, cell: str) -> str:
        """Return the key of an old; NULL where it is no guid."""
        if self.spelling == "plain":
            return self.plain_key(cell)
        digits = self.digits(cell)
        return f"CASE WHEN {self.is_digits(digits)} THEN {self.as_key(digits)} END"

    def new(self, cell: str) -> str:
        """Return the key of a new, the same for all that the profile calls deleted; NULL where it is no guid."""
        gone = self._gone(cell)
        return self.old(cell) if gone is None else f"CASE WHEN {gone} THEN {self.tombstone} ELSE {self.old(cell)} END"

    def finds(self, cell: str, key: str) -> str:
        """Return the condition that a cell holds the guid of a key, by an index if there is one."""
        if self.spelling == "plain":
            return f"{cell} = {key}"
        if self.spelling == "any":
            return f"{self.old(cell)} = {key}"
        return f"{cell} IN ({', '.join(self.spellings(key))})"

    def unusual(self, cell: str) -> str | None:
        """Return the condition that a cell holds a guid that ``finds`` would not find; ``None`` where it finds all."""
        if self.spelling != "usual":
            return None
        digits = self.digits(cell)
        return f"{self.is_digits(digits)} AND {self.as_text(cell)} NOT IN ({', '.join(self.spellings(digits))})"

    def digits(self, cell: str) -> str:
        """Return a text in lower case without all that spellings of a guid have beside its digits."""
        bare = f"lower({self.trimmed(self.as_text(cell))})"
        for noise in NOISE:
            bare = f"replace({bare}, '{noise}', '')"
        return bare

    def spellings(self, digits: str) -> list[str]:
        """Return the eight usual spellings of 32 digits."""
        join = f" {self.plus} "
        parts = [f"{self.cut}({digits}, {at}, {size})" for at, size in _HYPHENS]
        hyphened = f"{join}'-'{join}".join(parts)
        lower = [digits, f"({hyphened})"]
        lower += [f"('{{'{join}{one}{join}'}}')" for one in lower]
        return [*lower, *(f"upper({one})" for one in lower)]

    @property
    def tombstone(self) -> str:
        """The key of all that the profile calls deleted."""
        if self.spelling == "plain":
            return self.literal(guids.TOMBSTONE)
        return self.as_key(f"'{guids.TOMBSTONE.hex}'")

    def packed(self, guid: uuid.UUID) -> str:
        """Return the hex of the 16 bytes that the profile's tables hold."""
        return (guid.bytes_le if self._swapped else guid.bytes).hex()

    def _gone(self, cell: str) -> str | None:
        """Return the condition that a new means *deleted*; ``None`` where the profile names no such values."""
        parts = []
        if self._blank:
            parts.append(f"{cell} IS NULL")
        if self.spelling == "plain":
            parts += [f"{cell} = {self.literal(guid)}" for guid in self._deleted]
        else:
            words = [*self._words, *([""] if self._blank else [])]
            quoted = ["'" + self.as_trimmed(word).replace("'", "''") + "'" for word in words]
            parts += [f"{self.trimmed(self.as_text(cell))} = {word}" for word in quoted]
            parts += [f"{self.digits(cell)} = '{guid.hex}'" for guid in self._deleted]
        return f"({' OR '.join(parts)})" if parts else None
