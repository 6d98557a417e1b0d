"""The hash of what a message gives for one resource in one data class: equal hashes, equal data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from mergeguard.core.importing.catalogue import DataClass
from mergeguard.core.importing.cells import Value, canonical

_BYTES = 16


def data_hash(data_class: DataClass, rows: Iterable[Sequence[Value]]) -> str:
    """Return 32 hexadecimal characters over the rows as sent, in any order, and over the columns of their class.

    Guids are hashed as they came, before they are mapped: data that comes again unchanged has the same hash after a
    merge, and the merge itself has seen to the rows that stand.
    """
    columns = "".join(_piece(f"{column.name} {column.type}") for column in data_class.columns)
    texts = sorted("".join(map(_cell, row)) for row in rows)
    whole = "".join(map(_piece, (columns, *texts)))
    return hashlib.blake2b(whole.encode(errors="surrogatepass"), digest_size=_BYTES).hexdigest()


def _cell(value: Value) -> str:
    return "-" if value is None else _piece(canonical(value))


def _piece(text: str) -> str:
    """Write a text so that no two sequences of texts are written alike."""
    return f"{len(text)}:{text}"
