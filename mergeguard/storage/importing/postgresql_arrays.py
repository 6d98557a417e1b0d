"""Lists on their way to PostgreSQL, spelled here: the driver looks at each value by itself, and takes longer.

Guids and numbers travel as the server keeps them, so that neither side spells or reads a text. Texts do not, for what
bytes they are is a matter of the connection.
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy as sa

_ESCAPED: Final = re.compile(r'(["\\])')
_ESCAPE: Final = r"\\\1"
_TAUGHT: Final = "mergeguard: arrays"
_HEAD: Final = struct.Struct("!iiIii")
"""One dimension, whether there is a NULL, the type of the elements, how many they are, the number of the first."""
_UUID, _UUIDS = 2950, 2951
_BIGINT, _BIGINTS = 20, 1016


class Guids(bytes):
    """An array of guids, as the server takes it."""


class Numbers(bytes):
    """An array of 64-bit numbers, as the server takes it."""


def taught(connection: sa.Connection) -> psycopg.Connection[Any]:
    """Return the driver's connection, which knows what these arrays are from now on."""
    driver: Any = connection.connection.driver_connection
    if _TAUGHT not in connection.info:
        for kind, dumper in _dumpers().items():
            driver.adapters.register_dumper(kind, dumper)
        connection.info[_TAUGHT] = True
    return driver  # type: ignore[no-any-return]


@cache
def _dumpers() -> dict[type, Any]:
    """Return what gives the driver each kind of array as it is."""
    from psycopg import adapt, pq  # noqa: PLC0415 - imported by now

    class OfGuids(adapt.Dumper):
        format = pq.Format.BINARY
        oid = _UUIDS

        def dump(self, obj: bytes) -> bytes:
            return obj

    class OfNumbers(OfGuids):
        oid = _BIGINTS

    return {Guids: OfGuids, Numbers: OfNumbers}


def guid_elements(values: Iterable[uuid.UUID]) -> bytes:
    """Spell guids as a part of an array."""
    return b"".join([b"\0\0\0\x10" + guid.int.to_bytes(16, "big") for guid in values])


def number_elements(value: int, count: int = 1) -> bytes:
    """Spell a number, so many times over, as a part of an array."""
    return (b"\0\0\0\x08" + value.to_bytes(8, "big", signed=True)) * count


def text_elements(values: Sequence[str]) -> str:
    """Spell texts as a part of an array."""
    return _texts(values)[1:-1] if values else ""


def of_guids(parts: Iterable[bytes]) -> Guids:
    """Put parts of an array of guids together."""
    spelled = b"".join(parts)
    return Guids(_HEAD.pack(1, 0, _UUID, len(spelled) // 20, 1) + spelled)


def of_numbers(parts: Iterable[bytes]) -> Numbers:
    """Put parts of an array of numbers together."""
    spelled = b"".join(parts)
    return Numbers(_HEAD.pack(1, 0, _BIGINT, len(spelled) // 12, 1) + spelled)


def of_texts(parts: Iterable[str]) -> str:
    """Put parts of an array of texts together."""
    return "{" + ",".join([part for part in parts if part]) + "}"


def columns(rows: Sequence[Sequence[Any]]) -> list[Any]:
    """Turn rows into an array each column."""
    return [array(column) for column in zip(*rows, strict=True)]


def array(values: Sequence[Any]) -> Any:  # noqa: ANN401 - bytes, a text, or a list
    """Return values as they are sent for an array; ``taught`` makes a connection ready for it."""
    kinds = set(map(type, values))
    if kinds == {uuid.UUID}:
        return guids(values)
    if kinds == {int}:
        return numbers(values)
    if kinds == {str}:
        return _texts(values)
    return list(values)


def guids(values: Sequence[uuid.UUID]) -> Guids:
    """Spell an array of guids."""
    spelled = [guid.int.to_bytes(16, "big") for guid in values]
    return Guids(_HEAD.pack(1, 0, _UUID, len(values), 1) + b"\0\0\0\x10".join([b"", *spelled]))


def numbers(values: Sequence[int]) -> Numbers:
    """Spell an array of 64-bit numbers."""
    spelled = [number.to_bytes(8, "big", signed=True) for number in values]
    return Numbers(_HEAD.pack(1, 0, _BIGINT, len(values), 1) + b"\0\0\0\x08".join([b"", *spelled]))


def _texts(values: Sequence[str]) -> str:
    every = "\0".join(values)  # no text of a database has it
    if '"' in every or "\\" in every:
        values = [_ESCAPED.sub(_ESCAPE, text) for text in values]
    return '{"' + '","'.join(values) + '"}'
