"""The hash of what a message gives for one resource in one data class: equal hashes, equal data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from mergeguard.core.importing.catalogue import DataClass
from mergeguard.core.importing.cells import Cells

_BYTES = 16


def data_hash(data_class: DataClass, rows: Iterable[Cells]) -> str:
    """Return 32 hexadecimal characters over the rows as sent, in any order, and over the columns of their class.

    Guids are hashed as they came, before they are mapped: data that comes again unchanged has the same hash after a
    merge, and the merge itself has seen to the rows that stand.
    """
    # Python writes values so that unequal ones differ, and in ASCII so that all versions of it write alike.
    columns = ascii([(column.name, column.type.value) for column in data_class.columns])
    whole = "\n".join((columns, *sorted(map(ascii, rows))))
    return hashlib.blake2b(whole.encode("ascii"), digest_size=_BYTES).hexdigest()
