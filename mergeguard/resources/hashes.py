"""Clears the hashes of data that were moved: data with an unchanged hash would never be loaded again."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mergeguard.core.repair.plan import Action, Image, RowChange
from mergeguard.core.repair.references import Age, Rewrite, age
from mergeguard.storage.cells import row_cells
from mergeguard.storage.cells.ids import parse_text
from mergeguard.storage.profile import ByteOrder, Classes, Profile
from mergeguard.storage.rows import ages as row_ages
from mergeguard.storage.source import Column, Kind, Selection

if TYPE_CHECKING:
    from mergeguard.storage.profile import Hashes
    from mergeguard.storage.rows.database import DatabaseRows

DataClass: TypeAlias = str
"""A guid in lower case, or whatever else names a class."""


@dataclass(frozen=True, slots=True)
class Load:
    """What was loaded last for one resource and data class."""

    order: int | None
    time: dt.datetime | None

    @property
    def age(self) -> Age:
        """How new the data are."""
        return age(self.order, self.time)


def no_hashes(_part: Sequence[Rewrite]) -> Iterable[RowChange]:
    """Clear nothing: no hashes are declared."""
    return ()


class StoredHashes:
    """The hashes of one database.

    Args:
        rows: of the snapshot.
        profile: must declare hashes.
        rewritten: guids whose rows in the table of hashes are rewritten themselves.
    """

    def __init__(self, rows: DatabaseRows, profile: Profile, rewritten: Collection[uuid.UUID]) -> None:
        assert profile.hashes is not None  # noqa: S101 - for the type checker: whoever calls has asked
        self._rows = rows
        self._hashes: Hashes = profile.hashes
        self._rewritten = rewritten
        names = (profile.hashes.guid, profile.hashes.data_class, profile.hashes.hash)
        self._guid, self._class, self._hash = (rows.column(self._hashes.table, name) for name in names)
        self._byte_order = profile.merge.byte_order
        self._classes = rows.known.fact(("data classes",), lambda: _classes(rows, profile))

    def __call__(self, part: Sequence[Rewrite]) -> list[RowChange]:
        """Return the clearing of each hash of data that some rewrites move, in an order that no database decides."""
        touched = self._touched(part)
        if not touched:
            return []
        found = []
        for image in self._rows.having(self._hashes.table, self._guid, sorted(touched)):
            guid = self._rows.guid(self._hashes.table, self._guid, image[self._guid])
            if guid is None or guid in self._rewritten or image[self._hash] is None:
                continue
            if self._class_of(image) in touched[guid]:
                found.append(RowChange(Action.CLEAR_HASH, self._hashes.table, image, {**image, self._hash: None}))
        return sorted(found, key=lambda change: json.dumps(sorted((change.before or {}).items())))

    def class_of_table(self, table: str) -> DataClass | None:
        """Return the class of the data in a table, where one is declared or catalogued."""
        return self._classes.get(table)

    def loads(self, guids: Sequence[uuid.UUID]) -> Mapping[tuple[DataClass, uuid.UUID], Load]:
        """Return what was loaded last for some guids, by data class; of several rows the newest.

        Raises:
            MergeRefused: their times or numbers have no order.
        """
        held: list[tuple[DataClass, uuid.UUID, Image]] = []
        for image in self._rows.having(self._hashes.table, self._guid, guids):
            guid = self._rows.guid(self._hashes.table, self._guid, image[self._guid])
            data_class = self._class_of(image)
            if guid is not None and data_class is not None:
                held.append((data_class, guid, image))
        images = [image for *_, image in held]
        found: dict[tuple[DataClass, uuid.UUID], Load] = {}
        for (data_class, guid, _), order, time in zip(held, self._orders(images), self._times(images), strict=True):
            load = Load(order, time)
            found[data_class, guid] = max(found.get((data_class, guid), load), load, key=lambda each: each.age)
        return found

    def _orders(self, images: Sequence[Image]) -> Sequence[int | None]:
        if self._hashes.order is None:
            return [None] * len(images)
        column = self._rows.column(self._hashes.table, self._hashes.order)
        return row_ages.orders(self._rows, self._hashes.table, column, [image[column] for image in images])

    def _times(self, images: Sequence[Image]) -> Sequence[dt.datetime | None]:
        if self._hashes.time is None:
            return [None] * len(images)
        column = self._rows.column(self._hashes.table, self._hashes.time)
        return row_ages.ages(self._rows, self._hashes.table, column, [image[column] for image in images])

    def _touched(self, part: Sequence[Rewrite]) -> Mapping[uuid.UUID, set[DataClass]]:
        found: dict[uuid.UUID, set[DataClass]] = defaultdict(set)
        for made in part:
            data_class = self._class_behind(made)
            if data_class is not None:
                for guid in made.guids:
                    found[guid].add(data_class)
        return found

    def _class_behind(self, made: Rewrite) -> DataClass | None:
        if self._rows.snapshot.same_name(made.change.table, self._hashes.table):
            return self._class_of(made.change.before or {})
        return self._classes.get(made.change.table)

    def _class_of(self, image: Image) -> DataClass | None:
        text = row_cells.text(self._rows, self._hashes.table, self._class, image[self._class])
        return _plain(text, self._byte_order)


def _classes(rows: DatabaseRows, profile: Profile) -> Mapping[str, DataClass]:
    """Return the data class of each reference's table, where one is declared or catalogued."""
    order = profile.merge.byte_order
    catalogue = {} if profile.hashes is None else _catalogue(rows, profile.hashes.classes, order)
    same = rows.snapshot.same_name
    found: dict[str, DataClass] = {}
    for reference in profile.references:
        bare = reference.table.rpartition(".")[2]
        listed = (known for name, known in catalogue.items() if same(name, reference.table) or same(name, bare))
        data_class = _plain(reference.data_class, order) or next(listed, None)
        if data_class is not None:
            found[reference.table] = data_class
    return found


def _catalogue(rows: DatabaseRows, classes: Classes | None, order: ByteOrder) -> Mapping[str, DataClass]:
    if classes is None:
        return {}
    selection = Selection((Column(classes.guid, Kind.TEXT), Column(classes.name, Kind.TEXT)), classes.table)
    pairs = (pair for batch in rows.snapshot.read(selection) for pair in zip(*batch, strict=True))
    return {str(name): known for guid, name in pairs if name is not None and (known := _plain(guid, order)) is not None}


def _plain(text: object, byte_order: ByteOrder) -> DataClass | None:
    """Return a class as it is compared, guids in one spelling."""
    if text is None or not str(text).strip():
        return None
    plain = str(text).strip()
    guid = parse_text(plain, byte_order)
    return plain if guid is None else str(guid)
