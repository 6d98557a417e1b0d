"""Columns of guids: 16 bytes each in the order of their text, so that comparing bytes compares the texts.

A column is a C-contiguous ``uint8`` array of shape ``(n, 16)``. Everything that reads a table ends in such a column;
``uuid.UUID`` objects are made only for the few guids that a person or networkx gets to see (they cost 10-40 times
more than the bytes).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Guids: TypeAlias = npt.NDArray[np.uint8]
"""Shape ``(n, 16)``, C-contiguous, bytes in the order of the 36-character text."""
Bools: TypeAlias = npt.NDArray[np.bool_]

EMPTY = uuid.UUID(int=0)
"""The all-zero guid: a value that tables hold where none was known."""
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "mergeguard")
TOMBSTONE = uuid.uuid5(uuid.NAMESPACE_DNS, "tombstone.mergeguard")
"""Stands in the ``new`` column for every value that the profile calls *deleted*; no text id can have it."""

_SPELLING = re.compile(
    r"\s*(?:urn:uuid:)?([{(]?)([0-9a-f]{8})(-?)([0-9a-f]{4})\3([0-9a-f]{4})\3([0-9a-f]{4})\3([0-9a-f]{12})([)}]?)\s*",
    re.IGNORECASE,
)
_BRACES = {"": "", "{": "}", "(": ")"}
# SQL Server and .NET store the first three groups little-endian.
_SQL_SERVER_ORDER = np.array([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15])

_HEX = np.full(256, 0xFF, np.uint8)
for _value, _digits in enumerate(
    ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "aA", "bB", "cC", "dD", "eE", "fF")
):
    for _digit in _digits:
        _HEX[ord(_digit)] = _value
_HYPHENS = np.array([8, 13, 18, 23])
_TEXT_DIGITS = np.array([i for i in range(36) if i not in (8, 13, 18, 23)])
_DIGIT_TEXT = np.frombuffer(b"0123456789abcdef", np.uint8)


def empty(rows: int = 0) -> Guids:
    """Return an uninitialised column of ``rows`` guids."""
    return np.empty((rows, 16), np.uint8)


def from_bytes(packed: bytes | bytearray | memoryview) -> Guids:
    """View ``16 * n`` packed bytes as a column of ``n`` guids, without a copy."""
    return np.frombuffer(packed, np.uint8).reshape(-1, 16)


def from_uuids(values: Sequence[uuid.UUID]) -> Guids:
    """Pack ``uuid.UUID`` objects; for tests and small inputs."""
    return from_bytes(b"".join(value.bytes for value in values)).copy()


def to_uuid(column: Guids, row: int) -> uuid.UUID:
    """Return the guid in ``row`` as an object."""
    return uuid.UUID(bytes=column[row].tobytes())


def to_uuids(column: Guids) -> list[uuid.UUID]:
    """Return the whole column as objects; for the guids people see, not for a hot path."""
    packed = column.tobytes()
    return [uuid.UUID(bytes=packed[at : at + 16]) for at in range(0, len(packed), 16)]


def pairs(old: Guids, new: Guids) -> frozenset[bytes]:
    """Return the distinct rows of two columns, 32 bytes each; for comparing some rows with others."""
    packed = np.hstack((old, new)).tobytes()
    return frozenset(packed[at : at + 32] for at in range(0, len(packed), 32))


def swap_sql_server(column: Guids) -> Guids:
    """Turn SQL Server's (and .NET's) byte order into text order, or back: the swap is its own inverse."""
    return np.ascontiguousarray(column[:, _SQL_SERVER_ORDER])


def keys(column: Guids) -> npt.NDArray[np.uint64]:
    """View a column as ``(n, 2)`` machine words: good for equality, not for order."""
    return column.view(np.uint64)


def order(column: Guids) -> npt.NDArray[np.intp]:
    """Return the row numbers sorted by guid text."""
    words = column.view(">u8")
    return np.lexsort((words[:, 1], words[:, 0]))


def to_texts(column: Guids) -> npt.NDArray[np.bytes_]:
    """Write a column as lower-case 36-character texts, dtype ``S36``."""
    texts = np.empty((len(column), 36), np.uint8)
    texts[:, _HYPHENS] = ord("-")
    digits = np.empty((len(column), 32), np.uint8)
    digits[:, 0::2] = _DIGIT_TEXT[column >> 4]
    digits[:, 1::2] = _DIGIT_TEXT[column & 15]
    texts[:, _TEXT_DIGITS] = digits
    return texts.reshape(-1).view("S36")


def from_texts(texts: npt.NDArray[np.uint8]) -> tuple[Guids, Bools]:
    """Read a ``(n, 36)`` matrix of hyphenated texts, any case; also say which rows are well formed."""
    digits = _HEX[texts[:, _TEXT_DIGITS]]
    good = (digits != 0xFF).all(axis=1) & (texts[:, _HYPHENS] == ord("-")).all(axis=1)
    column = (digits[:, 0::2] << 4) | (digits[:, 1::2] & 15)
    return np.ascontiguousarray(column), good


def parse(value: object) -> uuid.UUID | None:
    """Read one guid in any usual spelling; return ``None`` for what is not a guid.

    Texts of 32 or 36 digits in any case, with braces, parentheses, ``urn:uuid:`` or blanks around them; ``uuid.UUID``;
    16 raw bytes in text order; bytes that hold such a text.
    """
    if isinstance(value, uuid.UUID):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        if len(raw) == 16:
            return uuid.UUID(bytes=raw)
        value = raw.decode("ascii", "replace")
    if not isinstance(value, str):
        return None
    match = _SPELLING.fullmatch(value)
    if match is None or _BRACES[match[1]] != match[8]:
        return None
    return uuid.UUID(hex="".join(match.group(2, 4, 5, 6, 7)))


def text_id(value: str) -> uuid.UUID:
    """Give a text that is no guid its guid: uuid5 over the text in MergeGuard's name space."""
    return uuid.uuid5(NAMESPACE, value)


def parse_column(values: Sequence[object]) -> tuple[Guids, Bools]:
    """Read a column of mixed spellings: ``(guids, well formed)``; malformed rows hold zeros.

    Hyphenated texts of 36 characters and 16-byte values, the two usual cases, are read without a Python step a value.
    """
    fast = _parse_uniform(values)
    if fast is not None:
        return fast
    column = np.zeros((len(values), 16), np.uint8)
    good = np.zeros(len(values), np.bool_)
    for row, value in enumerate(values):
        guid = parse(value)
        if guid is not None:
            column[row] = np.frombuffer(guid.bytes, np.uint8)
            good[row] = True
    return column, good


def _parse_uniform(values: Sequence[object]) -> tuple[Guids, Bools] | None:
    """Read a column whose values all have one of the two usual shapes; ``None`` where they have not."""
    try:
        packed: bytes = b"".join(values)  # type: ignore[arg-type]
    except TypeError:
        pass
    else:
        if len(packed) == 16 * len(values) and set(map(len, values)) <= {16}:  # type: ignore[arg-type]
            return from_bytes(packed), np.ones(len(values), np.bool_)
        return None
    try:
        text: str = "".join(values)  # type: ignore[arg-type]
    except TypeError:
        return None
    if len(text) != 36 * len(values) or not text.isascii() or set(map(len, values)) != {36}:  # type: ignore[arg-type]
        return None
    column, good = from_texts(np.frombuffer(text.encode("ascii"), np.uint8).reshape(-1, 36))
    # A rare spelling of 36 characters (32 digits in braces and blanks, say) takes the slow way.
    return (column, good) if good.all() else None
