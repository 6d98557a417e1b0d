"""How the cells of an id column become guids: ids that are guids, and ids that are any text.

A text id gets a guid of its own (``core.guids.text_id``) and keeps its text as a label, so that one core serves both.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np

from mergeguard.core import guids
from mergeguard.core.guids import Bools
from mergeguard.storage.profile import ByteOrder, Merge
from mergeguard.storage.source import Cells, GuidCells, Kind

CUT = 80
"""A malformed value is reported up to this many characters."""


class Labels(Mapping[uuid.UUID, str]):
    """The original texts of text ids, by guid; kept by packed bytes because a ``uuid.UUID`` costs twice as much."""

    def __init__(self) -> None:
        self._texts: dict[bytes, str] = {}

    def add(self, packed: bytes, text: str) -> None:
        """Remember the text of a guid; the first one stays."""
        self._texts.setdefault(packed, text)

    def __getitem__(self, guid: uuid.UUID) -> str:
        return self._texts[guid.bytes]

    def __iter__(self) -> Iterator[uuid.UUID]:
        return (uuid.UUID(bytes=packed) for packed in self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __repr__(self) -> str:
        return f"Labels({len(self)} texts)"


class Deleted:
    """The values of ``new`` that the profile calls deleted, in the three forms in which they can be met."""

    def __init__(self, values: Sequence[str] = ()) -> None:
        texts = [value.strip() for value in values]
        self.blank = "" in texts
        """The empty text stands for NULL too."""
        self.texts = frozenset(text[:CUT] for text in texts if text)
        self.guids = frozenset(guid.bytes for text in texts if (guid := guids.parse(text)) is not None)

    def holds(self, value: str | None) -> bool:
        """Say whether a value that is no guid means *deleted*."""
        text = (value or "").strip()[:CUT]
        return text in self.texts if text else self.blank

    def bury(self, cells: GuidCells) -> GuidCells:
        """Put the tombstone where ``cells`` hold a deleted value; such rows are no longer bad."""
        rows = [row for row, value in cells.bad.items() if self.holds(value)]
        hits = np.zeros(len(cells.column), np.bool_)
        for packed in self.guids:
            hits |= (guids.keys(cells.column) == np.frombuffer(packed, np.uint64)).all(axis=1)
        hits[list(cells.bad)] = False
        hits[rows] = True
        if not hits.any():
            return cells
        column = cells.column.copy()
        column[hits] = np.frombuffer(guids.TOMBSTONE.bytes, np.uint8)
        return GuidCells(column, {row: value for row, value in cells.bad.items() if not hits[row]})


NOTHING_DELETED = Deleted()
_ZEROS = bytes(16)
_RAW = re.compile(r"0x([0-9a-f]{32})", re.IGNORECASE)


class GuidIds:
    """Ids that are guids, as nearly all are: the source has parsed them already."""

    kind = Kind.GUID

    def __init__(self) -> None:
        self.labels: Mapping[uuid.UUID, str] = {}

    def cells(self, raw: Cells, deleted: Deleted = NOTHING_DELETED) -> GuidCells:
        """Return the cells as they are, but for the deleted ones."""
        return deleted.bury(cast("GuidCells", raw))

    def stored(self, cells: GuidCells) -> GuidCells:
        """Return the cells of a column that was read as guids."""
        return cells


class TextIds:
    """Ids of any text: what is a guid in any spelling stays that guid, the rest is named by its text.

    Args:
        byte_order: of 16 raw bytes, which a source that is asked for text spells as ``0x`` and 32 digits.
    """

    kind = Kind.TEXT

    def __init__(self, byte_order: ByteOrder = "text") -> None:
        self._byte_order = byte_order
        self._texts = Labels()
        self._packed: dict[str | None, bytes] = {}
        self.labels: Mapping[uuid.UUID, str] = self._texts

    def cells(self, raw: Cells, deleted: Deleted = NOTHING_DELETED) -> GuidCells:
        """Convert a batch of texts; only NULL and blank ones stay bad."""
        values = cast("Sequence[str | None]", raw)
        if len(values) and guids.parse(values[0]) is not None:
            column, good = guids.parse_column(values)
            if good.all():
                return deleted.bury(GuidCells(column))
        # The same text may be an id in one column and mean deleted in the other.
        kept = [None if deleted.holds(value) else value for value in values] if deleted.texts else values
        known = self._packed.get
        packed = [known(value) or self._learn(value) for value in kept]
        bad = {row: values[row] for row, guid in enumerate(packed) if guid is None}
        return deleted.bury(GuidCells(guids.from_bytes(b"".join(guid or _ZEROS for guid in packed)), bad))

    def stored(self, cells: GuidCells) -> GuidCells:
        """Return the cells of a column that was read as guids, those that are text ids converted."""
        texts = {row: value for row, value in cells.bad.items() if value and value.strip() and len(value) < CUT}
        if not texts:
            return cells
        column = cells.column.copy()
        packed = b"".join(guids.text_id(value.strip()).bytes for value in texts.values())
        column[list(texts)] = guids.from_bytes(packed)
        return GuidCells(column, {row: value for row, value in cells.bad.items() if row not in texts})

    def _learn(self, value: str | None) -> bytes | None:
        text = (value or "").strip()
        if not text:
            return None
        guid = parse_text(text, self._byte_order)
        if guid is not None:
            # Not remembered: a table of guids would fill the memory with them.
            return guid.bytes
        packed = guids.text_id(text).bytes
        self._packed[value] = packed
        self._texts.add(packed, text)
        return packed


def parse_text(text: str, byte_order: ByteOrder = "text") -> uuid.UUID | None:
    """Read a guid from what a source that is asked for text spells it as: 16 raw bytes are ``0x`` and 32 digits."""
    raw = _RAW.fullmatch(text)
    if raw is None:
        return guids.parse(text)
    packed = bytes.fromhex(raw[1])
    return uuid.UUID(bytes_le=packed) if byte_order == "sqlserver" else uuid.UUID(bytes=packed)


def good_rows(cells: GuidCells) -> Bools | None:
    """Return which rows of a batch hold a guid; ``None`` for all."""
    if not cells.bad:
        return None
    good = np.ones(len(cells.column), np.bool_)
    good[list(cells.bad)] = False
    return good


def id_reader(merge: Merge) -> GuidIds | TextIds:
    """Return the reader for a profile's ``ids`` setting."""
    return TextIds(merge.byte_order) if merge.ids == "text" else GuidIds()
