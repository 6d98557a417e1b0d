"""Reads the catalogue: data classes with their columns, types of resources and of associations, enforcement keys."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mergeguard.core.importing.catalogue import AssociationType, Catalogue, CellType, DataClass, DataColumn
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
_TYPES = "SELECT {Guid} FROM {ResourceType}"
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
    """Read all of it.

    Args:
        ask: sends a statement and returns its rows.
        spelling: of the dialect.
    """
    names = _Names(spelling)
    asked = (_TYPES, _BASES, _KEYS, _ASSOCIATIONS, _CLASSES, _COLUMNS)
    types, bases, keys, associations, classes, columns = (ask(sql.format_map(names)) for sql in asked)
    known = frozenset(read_guid(row[0]) for row in types)
    return Catalogue(
        classes=_classes(classes, columns),
        associations={read_guid(row[0]): AssociationType(read_guid(row[0]), *row[1:]) for row in associations},
        merge_keys=_merge_keys(keys),
        types=known,
        bases=_bases(known, [(read_guid(one), read_guid(base)) for one, base in bases]),
    )


def _classes(classes: Iterable[Sequence[Any]], columns: Iterable[Sequence[Any]]) -> Mapping[uuid.UUID, DataClass]:
    by_class: dict[uuid.UUID, list[DataColumn]] = defaultdict(list)
    for guid, name, kind, length, nullable, key, resource in columns:
        column = DataColumn(name, CellType(kind), length, bool(nullable), bool(key), bool(resource))
        by_class[read_guid(guid)].append(column)
    found = {}
    for raw, name, table, multi_row, event, days, rows in classes:
        guid = read_guid(raw)
        found[guid] = DataClass(guid, name, table, bool(multi_row), bool(event), tuple(by_class[guid]), days, rows)
    return found


def _merge_keys(rows: Iterable[Sequence[Any]]) -> Mapping[uuid.UUID, frozenset[str]]:
    found: dict[uuid.UUID, set[str]] = defaultdict(set)
    for kind, name in rows:
        found[read_guid(kind)].add(name)
    return {kind: frozenset(names) for kind, names in found.items()}


def _bases(
    types: frozenset[uuid.UUID], pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]
) -> Mapping[uuid.UUID, frozenset[uuid.UUID]]:
    """Return of each type itself and all that it is derived from; a circle of types ends."""
    direct: dict[uuid.UUID, set[uuid.UUID]] = defaultdict(set)
    for one, base in pairs:
        direct[one].add(base)
    found = {}
    for kind in types:
        seen, todo = {kind}, [kind]
        while todo:
            for base in direct.get(todo.pop(), ()):
                if base not in seen:
                    seen.add(base)
                    todo.append(base)
        found[kind] = frozenset(seen)
    return found
