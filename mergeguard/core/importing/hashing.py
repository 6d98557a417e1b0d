"""The hash of what a message gives for one resource in one data class: equal hashes, equal data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TypeAlias

from mergeguard.core.importing.catalogue import DataClass

Texts: TypeAlias = tuple[str | None, ...]
"""The cells of a row, ``None`` for one that is not given; at its end they may be left out."""
_BYTES = 16


def data_hash(data_class: DataClass, rows: Iterable[Texts]) -> str:
    """Return 32 hexadecimal characters over the rows as sent, in any order, and over the columns of their class.

    What is spelled otherwise has another hash, and is loaded again: nothing has to be read to see that it is the same.
    Guids are hashed as they came, before they are mapped: data that comes again unchanged has the same hash after a
    merge, and the merge itself has seen to the rows that stand.
    """
    # Python writes texts so that unequal ones differ, and in ASCII so that all versions of it write alike.
    columns = ascii([(column.name, column.type.value) for column in data_class.columns])
    whole = "\n".join((columns, *sorted(map(_row, rows))))
    return hashlib.blake2b(whole.encode("ascii"), digest_size=_BYTES).hexdigest()


def _row(cells: Texts) -> str:
    while cells and cells[-1] is None:
        cells = cells[:-1]
    return ascii(cells)
