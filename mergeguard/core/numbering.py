"""The distinct guids of a merge table, numbered, so that a graph of them can live in arrays.

Numbers follow the rows: the old of the first row is 0, its new is 1, and so on for every guid not met before. That is
the order in which ``networkx.DiGraph().add_edge(old, new)``, row by row, would meet them.
"""

from __future__ import annotations

import sys
import uuid
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mergeguard.core import guids
from mergeguard.core.guids import Guids
from mergeguard.core.index import GuidIndex, mix
from mergeguard.core.table import MergeTable

Numbers: TypeAlias = npt.NDArray[np.int32]

MAX_ROWS = 2**30 - 1
"""Two guids a row, numbered in 31 bits."""
_CHUNK = 4096  # guids turned into objects at a time: few enough for an early end, many enough for NumPy
_WORD = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Numbering:
    """Guids to numbers and back.

    ``guids[i]`` is the guid of number ``i``; ``old[r]`` and ``new[r]`` are the numbers of row ``r``'s two guids.
    """

    guids: Guids
    old: Numbers
    new: Numbers
    _probes: memoryview
    """Ascending 64-bit words: high bits of the hash of a guid, its number in the low ``_bits`` bits."""
    _bits: int

    def __len__(self) -> int:
        return len(self.guids)

    def find(self, guid: uuid.UUID) -> int | None:
        """Return the number of a guid, or ``None`` where no row holds it; a binary search."""
        packed, bits, probes = guid.bytes, self._bits, self._probes
        hashed = mix_one(packed) >> bits
        at = bisect_left(probes, hashed << bits)
        # Guids may share their hash bits: only all 128 bits decide.
        while at < len(probes) and probes[at] >> bits == hashed:
            number = int(probes[at]) & ((1 << bits) - 1)
            if self.guids[number].tobytes() == packed:
                return number
            at += 1
        return None

    def guid(self, number: int) -> uuid.UUID:
        """Return the guid of a number as an object."""
        return guids.to_uuid(self.guids, number)

    def some(self, numbers: Numbers) -> Iterator[uuid.UUID]:
        """Yield the guids of some numbers, in their order."""
        for at in range(0, len(numbers), _CHUNK):
            yield from guids.to_uuids(self.guids[numbers[at : at + _CHUNK]])

    def __iter__(self) -> Iterator[uuid.UUID]:
        for at in range(0, len(self.guids), _CHUNK):
            yield from guids.to_uuids(self.guids[at : at + _CHUNK])


def number(table: MergeTable) -> Numbering:
    """Number the distinct guids of a table: hashing and a sort, no Python step a row.

    Raises:
        ValueError: more than 2**30 - 1 rows.
    """
    rows = len(table)
    if rows > MAX_ROWS:
        raise ValueError(f"{rows} rows: a graph holds at most {MAX_ROWS}")
    met = np.stack((table.old, table.new), axis=1).reshape(-1, 16)
    lead = GuidIndex(met).lead
    first = lead == np.arange(2 * rows, dtype=np.int32)
    numbers = (np.cumsum(first, dtype=np.int32) - np.int32(1))[lead].reshape(-1, 2)
    distinct = met[first]
    probes, bits = _probes(distinct)
    return Numbering(
        distinct, np.ascontiguousarray(numbers[:, 0]), np.ascontiguousarray(numbers[:, 1]), probes.data, bits
    )


def _probes(distinct: Guids) -> tuple[npt.NDArray[np.uint64], int]:
    """Pack hash and number of each guid into one sorted word; also say how many low bits are the number."""
    bits = max(1, len(distinct).bit_length())
    probes = mix(distinct)
    probes &= np.uint64(_WORD >> bits << bits)
    probes |= np.arange(len(distinct), dtype=np.uint64)
    probes.sort()
    return probes, bits


def mix_one(packed: bytes) -> int:
    """Hash the 16 bytes of one guid as ``index.mix`` hashes a column, five times faster than NumPy can for one."""
    value = int.from_bytes(packed[:8], sys.byteorder) * 0x9E3779B97F4A7C15
    value += int.from_bytes(packed[8:], sys.byteorder) * 0xC2B2AE3D27D4EB4F
    value &= _WORD
    value ^= value >> 32
    value = value * 0xD6E8FEB86659FD93 & _WORD
    return value ^ value >> 32
