"""A message as a person writes it down, in TOML, checked piece by piece: a refusal names the piece that is to blame."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from mergeguard.core import guids
from mergeguard.core.nse.message import Association, ClassData, Key, Message, Resource, Row, Target
from mergeguard.core.nse.shapes import COLUMNS
from mergeguard.errors import UsageError

_TOP: Final = ("to", "resources", "associations", "data")
_RESOURCE: Final = ("ref", "guid", "type", "name", "keys")
_KEY: Final = ("name", "value")
_ASSOCIATION: Final = ("type", "parent", "child")
_DATA: Final = ("class", "resource", "partial", "rows")
_EXAMPLE: Final = "'mergeguard nse make --example' prints one to begin with"

EXAMPLE: Final = """\
# One event, as 'mergeguard nse make' turns it into a file that the server takes.

# Who handles it: a guid or an alias. This one handles inventory.
to = "1592b913-72f3-4c36-91d2-d4eda21d2f96"

# Whom it is about. 'ref' is a label for the rest of this file; 'guid' is left out where only the keys are known.
[[resources]]
ref = "pc"
type = "493435f7-3b17-4c4c-b07f-c23e7ab7781f"
name = "EXAMPLE-PC"
keys = [
  { name = "name.domain", value = "example-pc.example" },
  { name = "uniqueid", value = "EXAMPLE-0001" },
]

# A link from a parent to a child, each a ref of this file or a guid; for instance where the computer stands. Its type
# has to be in the catalogue of the server, and both ends have to be known there or described here.
# [[associations]]
# type = "05de450f-39ea-4aae-8c5f-77817889c27c"
# parent = "pc"
# child = "8d0a9a2e-52f4-4b6e-9d4c-0c9a3b1f7e55"

# The rows of one resource in one data class, cells by position: of this one, name, domain and operating system.
# They take the place of what is there; with 'partial = true' they change the columns that they give.
[[data]]
class = "2b2a934a-b000-57f1-83f0-b840d59f1df2"
resource = "pc"
rows = [
  ["EXAMPLE-PC", "example", "Example OS 10"],
]
# Only some of the columns: rows = [{ c0 = "EXAMPLE-PC", c2 = "Example OS 10" }]
"""


def described(document: Mapping[str, Any], origin: str) -> Message:
    """Build the message that a parsed TOML document describes; ``origin`` names its file in errors.

    Raises:
        UsageError: a key is unknown or missing, or a value makes no sense.
    """
    return _Reader(origin).message(document)


class _Reader:
    """Reads one document; it knows the labels that it has met."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._labels: set[str] = set()

    def message(self, document: Mapping[str, Any]) -> Message:
        self._known(document, _TOP, "the top level")
        entries = {title: self._list(document.get(title, []), f"[[{title}]]") for title in _TOP[1:]}
        return Message(
            self._text(document.get("to", ""), "to"),
            tuple(self._resource(*entry) for entry in self._tables(entries["resources"], "resources", _RESOURCE)),
            tuple(
                self._association(*each) for each in self._tables(entries["associations"], "associations", _ASSOCIATION)
            ),
            tuple(self._data(*entry) for entry in self._tables(entries["data"], "data", _DATA)),
        )

    def _tables(
        self, entries: Sequence[object], title: str, keys: Sequence[str]
    ) -> list[tuple[Mapping[str, Any], str]]:
        """Return the entries of a list of tables, each with what names it in errors."""
        named = [(entry, f"[[{title}]] number {number}") for number, entry in enumerate(entries, 1)]
        return [(self._table(entry, keys, where), where) for entry, where in named]

    def _resource(self, entry: Mapping[str, Any], where: str) -> Resource:
        ref = self._text(entry.get("ref", ""), f"{where} ref")
        if ref in self._labels:
            self._refuse(f"{where} has the ref {ref!r} of another resource", "give each a ref of its own")
        self._labels |= {ref} - {""}
        guid = self._guid(entry["guid"], f"{where} guid") if "guid" in entry else None
        kind = self._guid(entry["type"], f"{where} type") if "type" in entry else None
        keys = self._list(entry.get("keys", []), f"{where} keys")
        found = tuple(self._key(key, f"{where} keys, number {number}") for number, key in enumerate(keys, 1))
        if guid is None and not found:
            self._refuse(f"{where} has neither a guid nor keys", "nothing says which resource it is; give one of them")
        return Resource(ref, guid, kind, self._text(entry.get("name", ""), f"{where} name"), found)

    def _key(self, entry: object, where: str) -> Key:
        table = self._table(entry, _KEY, where)
        name, value = (self._text(table.get(part, ""), f"{where} {part}").strip() for part in _KEY)
        if not name or not value:
            self._refuse(f"{where} has no {'value' if name else 'name'}", 'write { name = "fqdn", value = "..." }')
        return Key(name, value)

    def _association(self, entry: Mapping[str, Any], where: str) -> Association:
        kind = self._guid(entry.get("type"), f"{where} type")
        parent, child = (self._target(entry.get(side), f"{where} {side}") for side in ("parent", "child"))
        return Association(kind, parent, child)

    def _data(self, entry: Mapping[str, Any], where: str) -> ClassData:
        guid = self._guid(entry.get("class"), f"{where} class")
        target = self._target(entry.get("resource"), f"{where} resource")
        partial = entry.get("partial", False)
        if not isinstance(partial, bool):
            self._refuse(f"{where} partial is {partial!r}", "it is true or false, without quotes")
        rows = self._list(entry.get("rows", []), f"{where} rows")
        return ClassData(
            guid, target, tuple(self._row(row, f"{where} row {at}") for at, row in enumerate(rows, 1)), partial
        )

    def _row(self, entry: object, where: str) -> Row:
        if isinstance(entry, Mapping):
            self._known(entry, COLUMNS, where)
            width = max((COLUMNS.index(name) + 1 for name in entry), default=0)
            return Row(tuple(self._cell(entry[n], f"{where} {n}") if n in entry else None for n in COLUMNS[:width]))
        cells = self._list(entry, where)
        if len(cells) > len(COLUMNS):
            self._refuse(f"{where} has {len(cells):,} cells", f"an event has room for {len(COLUMNS):,}")
        return Row(tuple(self._cell(cell, f"{where}, cell {at}") for at, cell in enumerate(cells, 1)))

    def _cell(self, value: object, where: str) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, list | Mapping):
            self._refuse(f"{where} is a list or a table", "a cell is a text, a number, true or false, or a time")
        return str(value)

    def _target(self, value: object, where: str) -> Target:
        text = self._text(value if value is not None else "", where)
        if text in self._labels:
            return Target(ref=text)
        guid = guids.parse(text)
        if guid is None:
            hint = "name the ref of one of the [[resources]], or a guid"
            self._refuse(f"{where} {text[:80]!r} is neither a ref nor a guid" if text else f"{where} is missing", hint)
        return Target(guid=guid)

    def _guid(self, value: object, where: str) -> uuid.UUID:
        found = guids.parse(value) if isinstance(value, str) else None
        if found is None:
            shown = "is missing" if value is None else f"{str(value)[:80]!r} is no guid"
            self._refuse(f"{where} {shown}", "write it in quotes, with hyphens")
        return found

    def _text(self, value: object, where: str) -> str:
        if not isinstance(value, str):
            self._refuse(f"{where} is no text", 'texts stand in quotes: "..."')
        return value

    def _list(self, value: object, where: str) -> Sequence[object]:
        if not isinstance(value, list):
            self._refuse(f"{where} is no list", _EXAMPLE)
        return value

    def _table(self, value: object, keys: Sequence[str], where: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self._refuse(f"{where} is no table of keys", _EXAMPLE)
        self._known(value, keys, where)
        return value

    def _known(self, table: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
        for key in table:
            if key not in keys:
                known = "c0, c1 and so on" if keys is COLUMNS else ", ".join(keys)
                self._refuse(f"unknown key {key[:80]!r} in {where}", f"it knows {known}")

    def _refuse(self, what: str, hint: str) -> NoReturn:
        raise UsageError(f"{self._origin}: {what}", hint=hint)
