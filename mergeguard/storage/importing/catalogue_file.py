"""Reads what is to be catalogued from a TOML file: resource types, association types and data classes.

docs/reference/catalogue-file.md shows one.
"""

from __future__ import annotations

import json
import re
import tomllib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from mergeguard.core.importing.catalogue import AssociationType, CellType, DataClass, DataColumn
from mergeguard.errors import UsageError
from mergeguard.storage.importing.class_statements import RESOURCE, TIME
from mergeguard.storage.shown import shown

LONGEST_NAME, LONGEST_TABLE, LONGEST_COLUMN, LONGEST_TEXT = 250, 50, 60, 4000
RESERVED = frozenset({"_id", RESOURCE.lower(), TIME.lower()})
"""Columns that every table has, or every table of events."""
_TABLE = re.compile(r"(Inv|Evt)_[A-Za-z0-9_]+")
_HINT = "'mergeguard catalogue show TARGET' prints what a database has, as such a file"


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A kind of resource: what it is derived from, and the enforcement keys that make two of it one."""

    guid: uuid.UUID
    name: str
    bases: tuple[uuid.UUID, ...] = ()
    merge_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """The resource types, association types and data classes of a catalogue, or what is to be added to one."""

    types: tuple[ResourceType, ...] = ()
    associations: tuple[AssociationType, ...] = ()
    classes: tuple[DataClass, ...] = ()


@dataclass(frozen=True, slots=True)
class _Table:
    """One table of the file, and where it stands."""

    where: str
    values: Mapping[str, Any]
    asked: set[str] = field(default_factory=set)
    whole: bool = False

    def fail(self, words: str) -> NoReturn:
        raise UsageError(f"{self.where}{words}", hint=_HINT)

    def value(self, name: str, kind: type, default: Any = None, *, needed: bool = False) -> Any:  # noqa: ANN401 - of that kind
        """Return a value of a kind."""
        self.asked.add(name)
        if name not in self.values:
            if needed:
                self.fail(f" has no {name}")
            return default
        value = self.values[name]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.fail(f"{self._dot}{name} is no {_WORDS[kind]}")
        return value

    def text(self, name: str, longest: int) -> str:
        """Return a text that has to be there."""
        found: str = self.value(name, str, needed=True)
        if not found.strip() or len(found) > longest or "\0" in found:
            self.fail(f".{name} has to have 1 to {longest} characters")
        return found

    def count(self, name: str, least: int = 0) -> int | None:
        """Return a number."""
        found: int | None = self.value(name, int)
        if found is not None and not least <= found < 2**31:
            self.fail(f".{name} is {shown(found)}, and has to be {least} or more")
        return found

    def guid(self, name: str = "guid") -> uuid.UUID:
        """Return a guid that has to be there."""
        return self.as_guid(name, self.value(name, str, needed=True))

    def as_guid(self, name: str, value: object) -> uuid.UUID:
        """Read a guid."""
        try:
            return uuid.UUID(value if isinstance(value, str) else "")
        except ValueError:
            self.fail(f".{name} is {shown(value)}, which is no guid")

    def tables(self, name: str) -> Sequence[_Table]:
        """Return the tables of an array."""
        found = self.value(name, list, [])
        if not all(isinstance(each, dict) for each in found):
            self.fail(f"{self._dot}{name} is no array of tables: write [[{name}]]")
        return [_Table(f"{self.where}{self._dot}{name}[{at}]", each) for at, each in enumerate(found, 1)]

    @property
    def _dot(self) -> str:
        return ": " if self.whole else "."

    def end(self) -> None:
        """Refuse keys that nobody asked for."""
        unknown = sorted(set(self.values) - self.asked)
        if unknown:
            self.fail(f" has a key {unknown[0]!r}, and knows {', '.join(sorted(self.asked))}")


_WORDS = {str: "text", int: "number", bool: "true or false", list: "array"}


def read_catalogue_file(path: str | Path) -> CatalogueFile:
    """Read a file.

    Raises:
        UsageError: it cannot be read, is no TOML, or says what makes no sense; the message tells where.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"{path} cannot be read: {reason}") from None
    return parse_catalogue(text, str(path))


def parse_catalogue(text: str, origin: str) -> CatalogueFile:
    """Read the text of a file; ``origin`` is its name for messages.

    Raises:
        UsageError: as ``read_catalogue_file``.
    """
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise UsageError(f"{origin} is not valid TOML: it is nested too deeply") from None
    except ValueError as error:
        raise UsageError(f"{origin} is not valid TOML: {error}", hint='texts stand in quotes: key = "value"') from None
    whole = _Table(origin, document, whole=True)
    found = CatalogueFile(
        tuple(map(_type, whole.tables("resource_types"))),
        tuple(map(_association, whole.tables("association_types"))),
        tuple(map(_class, whole.tables("data_classes"))),
    )
    whole.end()
    _require_distinct(whole, [each.guid for each in found.types], "resource types", "guid")
    _require_distinct(whole, [each.guid for each in found.associations], "association types", "guid")
    _require_distinct(whole, [each.guid for each in found.classes], "data classes", "guid")
    _require_distinct(whole, [each.table.lower() for each in found.classes], "data classes", "table")
    return found


def _type(table: _Table) -> ResourceType:
    bases = tuple(table.as_guid("bases", each) for each in table.value("bases", list, []))
    keys = table.value("merge_keys", list, [])
    if not all(isinstance(key, str) and 0 < len(key) <= LONGEST_NAME for key in keys):
        table.fail(f".merge_keys has to hold texts of 1 to {LONGEST_NAME} characters")
    found = ResourceType(table.guid(), table.text("name", LONGEST_NAME), bases, tuple(keys))
    table.end()
    return found


def _association(table: _Table) -> AssociationType:
    least, most = table.count("minimum") or 0, table.count("maximum", 1)
    if most is not None and most < least:
        table.fail(f".maximum is {most}, less than the minimum of {least}")
    found = AssociationType(table.guid(), table.text("name", LONGEST_NAME), least, most)
    table.end()
    return found


def _class(table: _Table) -> DataClass:
    event: bool = table.value("event", bool, default=False)
    multi_row: bool = table.value("multi_row", bool, event)
    name = table.text("name", LONGEST_NAME)
    stored = table.value("table", str, ("Evt_" if event else "Inv_") + re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_"))
    if not _TABLE.fullmatch(stored) or len(stored) > LONGEST_TABLE:
        table.fail(f".table is {stored!r}, and has to be Inv_ or Evt_ and letters, digits, _: {LONGEST_TABLE} at most")
    columns = tuple(map(_column, table.tables("columns")))
    days, rows = table.count("keep_days"), table.count("keep_rows")
    if not columns:
        table.fail(" has no columns")
    if event and not multi_row:
        table.fail(".multi_row is false, and events are always added")
    if not event and (days is not None or rows is not None):
        table.fail(" is no class of events, so that nothing of it is purged: keep_days and keep_rows have no meaning")
    if len({column.name.lower() for column in columns}) < len(columns):
        table.fail(" has two columns of one name")
    found = DataClass(table.guid(), name, stored, multi_row, event, columns, days, rows)
    table.end()
    return found


def _column(table: _Table) -> DataColumn:
    name, said = table.text("name", LONGEST_COLUMN), table.value("type", str, "text")
    if name.lower() in RESERVED:
        table.fail(f".name is {name}, which every table has")
    if said not in {kind.value for kind in CellType}:
        table.fail(f".type is {said!r}, and has to be {', '.join(CellType)}")
    kind, length = CellType(said), table.count("length", 1)
    key, resource = table.value("key", bool, default=False), table.value("resource", bool, default=False)
    nullable: bool = table.value("nullable", bool, not key)
    if length is not None and (kind is not CellType.TEXT or length > LONGEST_TEXT):
        table.fail(f".length is for texts, of {LONGEST_TEXT} characters at most")
    if key and nullable:
        table.fail(".nullable is true, and the cells of a key column always have a value")
    if resource and kind is not CellType.GUID:
        table.fail(f".resource is true, and the type is {said}: a resource is named by its guid")
    table.end()
    return DataColumn(name, kind, length, nullable, key, resource)


def _require_distinct(whole: _Table, values: Sequence[object], what: str, name: str) -> None:
    twice = next((each for at, each in enumerate(values) if each in values[:at]), None)
    if twice is not None:
        whole.fail(f" has two {what} of the {name} {twice}")


def catalogue_text(found: CatalogueFile) -> str:
    """Write what a catalogue holds as a file that reads as the same."""
    parts = [*map(_type_text, found.types), *map(_association_text, found.associations)]
    parts += map(_class_text, found.classes)
    return "\n".join(parts)


def _type_text(one: ResourceType) -> str:
    lines = ["[[resource_types]]", f"guid = {_quoted(one.guid)}", f"name = {_quoted(one.name)}"]
    if one.bases:
        lines.append(f"bases = [{', '.join(map(_quoted, one.bases))}]")
    if one.merge_keys:
        lines.append(f"merge_keys = [{', '.join(map(_quoted, one.merge_keys))}]")
    return "\n".join(lines) + "\n"


def _association_text(one: AssociationType) -> str:
    lines = ["[[association_types]]", f"guid = {_quoted(one.guid)}", f"name = {_quoted(one.name)}"]
    lines += [f"minimum = {one.minimum}"] * bool(one.minimum)
    lines += [f"maximum = {one.maximum}"] * bool(one.maximum)
    return "\n".join(lines) + "\n"


def _class_text(one: DataClass) -> str:
    lines = ["[[data_classes]]", f"guid = {_quoted(one.guid)}", f"name = {_quoted(one.name)}"]
    lines.append(f"table = {_quoted(one.table)}")
    lines += ["event = true"] * one.event
    lines += ["multi_row = true"] * (one.multi_row and not one.event)
    lines += [f"keep_days = {one.keep_days}"] * (one.keep_days is not None)
    lines += [f"keep_rows = {one.keep_rows}"] * (one.keep_rows is not None)
    for column in one.columns:
        lines += ["", "[[data_classes.columns]]", f"name = {_quoted(column.name)}", f'type = "{column.type}"']
        lines += [f"length = {column.length}"] * (column.length is not None)
        lines += ["key = true"] * column.key
        lines += ["nullable = false"] * (not column.nullable and not column.key)
        lines += ["resource = true"] * column.resource
    return "\n".join(lines) + "\n"


def _quoted(value: object) -> str:
    """Return a text as TOML has it: as JSON, but for one character."""
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
