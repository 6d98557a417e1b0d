"""How tables spell guids as text: the spellings that an index is asked for, and one guid in the manner of another."""

from __future__ import annotations

import re
import uuid
from functools import lru_cache

BLANKS = " \t\n\r\v\f\x1c\x1d\x1e\x1f"
"""The blanks that a thorough search takes off; ``core.guids.parse`` takes off those and those beyond ASCII."""
BEYOND_ASCII = "\x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""The blanks that only a thorough search of SQLite takes off; the encoding of a server may not have them."""
NOISE = ("urn:uuid:", "-", "{", "}", "(", ")")
"""What a thorough search takes out of a lower-case text, in this order, so that 32 digits remain."""
_SPELLED = re.compile(
    r"(\s*(?:urn:uuid:)?[{(]?)([0-9a-f]{8}(-?)[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})([)}]?\s*)",
    re.IGNORECASE,
)


@lru_cache(maxsize=1024)  # one transaction asks for the same few guids again and again
def usual(guid: uuid.UUID) -> tuple[str, ...]:
    """Return the eight spellings that tables use: either case, with hyphens and braces or without."""
    bare = (str(guid), guid.hex)
    lower = (*bare, *(f"{{{text}}}" for text in bare))
    return (*lower, *(text.upper() for text in lower))


def without_noise(text: str) -> str:
    """Take ``NOISE`` out of a lower-case text."""
    for noise in NOISE:
        text = text.replace(noise, "")
    return text


def alike(guid: uuid.UUID, text: str | None) -> str:
    """Spell ``guid`` in the manner of ``text``: case, braces, hyphens and blanks; plainly where that is no guid."""
    match = _SPELLED.fullmatch(text or "")
    if match is None:
        return str(guid)
    before, digits, hyphen, after = match.groups()
    spelled = str(guid) if hyphen else guid.hex
    return before + (spelled.upper() if digits.upper() == digits != digits.lower() else spelled) + after
