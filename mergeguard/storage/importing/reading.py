"""Reads the catalogue: data classes with their columns, types of resources and of associations, enforcement keys."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mergeguard.core.importing.catalogue import AssociationType, Catalogue, CellType, DataClass, DataColumn
from mergeguard.storage.importing.catalogue_file import CatalogueFile, ResourceType
from mergeguard.storage.importing.spelling import Spelling, read_guid

Ask = Callable[[str], Sequence[Sequence[Any]]]
_CLASSES = """
    SELECT {Guid}, {Name}, {TableName}, {IsMultiRow}, {IsEvent}, {PurgeKeepDays}, {PurgeMaxRows} FROM {DataClass}
"""
_COLUMNS = """
    SELECT {DataClassGuid}, {ColumnName}, {DataType}, {MaxLength}, {IsNullable}, {IsKey}, {IsResource}
    FROM {DataClassColumn} ORDER BY {DataClassGuid}, {Ordinal}
"""
_ASSOCIATIONS = "SELECT {Guid}, {Name}, {MinimumCardinality}, {MaximumCardinality} FROM {ResourceAssociationType}"
_KEYS = "SELECT {ResourceTypeGuid}, {KeyName} FROM {ResourceTypeMergeKey}"
_TYPES = "SELECT {Guid}, {Name} FROM {ResourceType}"
_BASES = "SELECT {ResourceTypeGuid}, {BaseResourceTypeGuid} FROM {ResourceTypeHierarchy}"
_TABLES = frozenset(
    {
        "DataClass",
        "DataClassColumn",
        "ResourceAssociationType",
        "ResourceType",
        "ResourceTypeHierarchy",
        "ResourceTypeMergeKey",
    }
)


class _Names(dict[str, str]):
    """Quotes the names that stand in braces."""

    def __init__(self, spelling: Spelling) -> None:
        super().__init__()
        self._spelling = spelling

    def __missing__(self, name: str) -> str:
        return self._spelling.table(name) if name in _TABLES else self._spelling.name(name)


def read_catalogue(ask: Ask, spelling: Spelling) -> Catalogue:
    """Read all of it, as importers need it.

    Args:
        ask: sends a statement and returns its rows.
        spelling: of the dialect.
    """
    entries = read_entries(ask, spelling)
    direct = {one.guid: one.bases for one in entries.types}
    return Catalogue(
        classes={one.guid: one for one in entries.classes},
        associations={one.guid: one for one in entries.associations},
        merge_keys={one.guid: frozenset(one.merge_keys) for one in entries.types if one.merge_keys},
        types=frozenset(direct),
        bases={kind: _bases(kind, direct) for kind in direct},
    )


def read_entries(ask: Ask, spelling: Spelling) -> CatalogueFile:
    """Read all of it, as people write it down.

    Args:
        ask: sends a statement and returns its rows.
        spelling: of the dialect.
    """
    names = _Names(spelling)
    asked = (_TYPES, _BASES, _KEYS, _ASSOCIATIONS, _CLASSES, _COLUMNS)
    types, bases, keys, associations, classes, columns = (ask(sql.format_map(names)) for sql in asked)
    by_type = _grouped(bases)
    named = _grouped(keys)
    return CatalogueFile(
        tuple(
            ResourceType(guid, name, tuple(sorted(map(read_guid, by_type[guid]))), tuple(sorted(named[guid])))
            for guid, name in sorted((read_guid(raw), name) for raw, name in types)
        ),
        tuple(sorted((AssociationType(read_guid(row[0]), *row[1:]) for row in associations), key=_guid)),
        tuple(sorted(_classes(classes, columns), key=_guid)),
    )


def _classes(classes: Iterable[Sequence[Any]], columns: Iterable[Sequence[Any]]) -> Iterator[DataClass]:
    by_class: dict[uuid.UUID, list[DataColumn]] = defaultdict(list)
    for guid, name, kind, length, nullable, key, resource in columns:
        column = DataColumn(name, CellType(kind), length, bool(nullable), bool(key), bool(resource))
        by_class[read_guid(guid)].append(column)
    for raw, name, table, multi_row, event, days, rows in classes:
        guid = read_guid(raw)
        yield DataClass(guid, name, table, bool(multi_row), bool(event), tuple(by_class[guid]), days, rows)


def _grouped(rows: Iterable[Sequence[Any]]) -> Mapping[uuid.UUID, list[Any]]:
    """Bring together what rows of two columns say of the guid in the first."""
    found: dict[uuid.UUID, list[Any]] = defaultdict(list)
    for guid, value in rows:
        found[read_guid(guid)].append(value)
    return found


def _guid(one: DataClass | AssociationType) -> uuid.UUID:
    return one.guid


def _bases(kind: uuid.UUID, direct: Mapping[uuid.UUID, Sequence[uuid.UUID]]) -> frozenset[uuid.UUID]:
    """Return a type itself and all that it is derived from; a circle of types ends."""
    seen, todo = {kind}, [kind]
    while todo:
        for base in direct.get(todo.pop(), ()):
            if base not in seen:
                seen.add(base)
                todo.append(base)
    return frozenset(seen)
