"""Turns Arrow record batches into batches of cells, and says beforehand whether a schema can be turned.

pyarrow itself is never imported here: batches and schemas bring all that is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from mergeguard.storage.cells import arrow_cells
from mergeguard.storage.profile import ByteOrder
from mergeguard.storage.source import Batch, Kind

RecordBatch: TypeAlias = Any
"""A ``pyarrow.RecordBatch``."""
Schema: TypeAlias = Any
"""A ``pyarrow.Schema``."""

_TEXTS = frozenset({"string", "large_string"})
_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"})
_TIMES = ("timestamp[", "date")
_FITTING = {
    Kind.GUID: _TEXTS | {"binary", "large_binary", "fixed_size_binary[16]", "extension<arrow.uuid>"},
    Kind.ROW_ID: _TEXTS | _INTEGERS,
    Kind.INTEGER: _INTEGERS,
    Kind.TEXT: _TEXTS,
    Kind.TIME: _TEXTS,
}


def cells(batch: RecordBatch, kinds: Sequence[Kind], byte_order: ByteOrder = "text") -> Batch:
    """Return the columns of a record batch, one of each kind, as cells."""
    columns = zip(kinds, batch.columns, strict=True)
    return tuple(arrow_cells.cells(kind, column, byte_order) for kind, column in columns)


def fits(schema: Schema, kinds: Sequence[Kind]) -> bool:
    """Say whether columns of these types give the same cells through Arrow as through Python values.

    A type that is left out here is no mistake: the caller reads such a column in its slower way.
    """
    types = [str(column.type) for column in schema]
    return len(types) == len(kinds) and all(map(_fits, types, kinds))


def _fits(name: str, kind: Kind) -> bool:
    return name in _FITTING[kind] or (kind is Kind.TIME and name.startswith(_TIMES))
