"""What the rules compare the merges with, as columns: types, reference counts, the stored lookup.

Plain values of NumPy columns; whoever reads a target fills them (``storage.assemble``), the rules only look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mergeguard.core.guids import Bools, Guids


@dataclass(frozen=True, slots=True)
class TypeTable:
    """The type of each guid: ``names[codes[i]]`` is the type of ``guids[i]``.

    ``guids`` has shape ``(n, 16)``, ``codes`` is ``int32`` of length ``n``. A guid without a type is left out; a guid
    may stand more than once where the table says so. ``skipped`` counts rows whose guid is missing or malformed.
    """

    guids: Guids
    codes: npt.NDArray[np.int32]
    names: Sequence[str]
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class ReferenceCounts:
    """How many rows of a reference column hold each guid.

    ``guids`` has shape ``(n, 16)``, ``counts`` is ``int64`` of length ``n``. A guid that the table spells in several
    ways stands once a spelling: its counts add up. ``skipped`` counts the rows whose value is missing or malformed.
    """

    reference: str
    """The column as people call it: ``table.column``."""
    guids: Guids
    counts: npt.NDArray[np.int64]
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class StoredLookup:
    """The lookup as the target holds it, to be compared with the closure.

    All columns have one length. ``currents`` is zero where ``has_current`` is false and ``depths`` is -1 for NULL.
    ``statuses`` holds an index into ``status_names``; a NULL status is the empty text. ``skipped`` counts rows whose
    old is missing or malformed.
    """

    olds: Guids
    currents: Guids
    has_current: Bools
    depths: npt.NDArray[np.int64]
    statuses: npt.NDArray[np.uint8]
    status_names: Sequence[str]
    skipped: int = 0
