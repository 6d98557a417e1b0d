"""The catalogue of data classes as text: the list, and what was added to it."""

from __future__ import annotations

import json

from mergeguard.core.importing.catalogue import DataClass
from mergeguard.render.table import aligned
from mergeguard.render.text import visible
from mergeguard.storage.importing.catalogue_file import CatalogueFile, catalogue_text
from mergeguard.storage.importing.making import CatalogueAdded
from mergeguard.storage.profile import Reference

_HEADS = ("guid", "name", "table", "rows", "columns", "kept")


def classes_text(found: CatalogueFile) -> str:
    """List data classes, then types and links."""
    if not (found.classes or found.types or found.associations):
        return "The catalogue is empty.\n"
    parts = []
    if found.classes:
        parts.append(aligned([_class(one) for one in found.classes], _HEADS))
    if found.types:
        types = [(str(one.guid), visible(one.name), visible(", ".join(one.merge_keys) or "-")) for one in found.types]
        parts.append(aligned(types, ("guid", "resource type", "merged by")))
    if found.associations:
        links = [
            (str(one.guid), visible(one.name), f"{one.minimum} to {one.maximum or 'any'}") for one in found.associations
        ]
        parts.append(aligned(links, ("guid", "association type", "children of a parent")))
    return "\n".join(parts)


def _class(one: DataClass) -> tuple[str, ...]:
    rows = "events" if one.event else "many" if one.multi_row else "one"
    columns = ", ".join(f"{column.name}{'*' * column.key}{' ->' * column.resource}" for column in one.columns)
    limits = ((one.keep_days, "days"), (one.keep_rows, "rows"))
    kept = ", ".join(f"{most:,} {what}" for most, what in limits if most is not None) or "for ever"
    return str(one.guid), visible(one.name), visible(one.table), rows, visible(columns), kept


def catalogue_document(found: CatalogueFile) -> str:
    """Write the catalogue as a file that 'mergeguard catalogue add' reads."""
    return catalogue_text(found)


def added_text(added: CatalogueAdded) -> str:
    """Say what was added, and what a profile other than the built-in one has to declare."""
    if added.nothing:
        return "Nothing was added: all of it stands in the catalogue.\n"
    lines = [f"added the resource type {visible(one.name)}" for one in added.types]
    lines += [f"added the association type {visible(one.name)}" for one in added.associations]
    lines += [f"added the data class {visible(one.name)}, with the table {visible(one.table)}" for one in added.classes]
    lines += [f"the data class {visible(one.name)} is purged otherwise from now on" for one in added.changed]
    if added.references:
        lines += [
            "",
            "# The built-in profile 'reference' knows this by itself; a profile of your own needs:",
            *(line for one in added.references for line in ("", *_reference(one))),
        ]
    return "\n".join(lines) + "\n"


def _reference(one: Reference) -> list[str]:
    lines = ["[[references]]", f"table = {_quoted(one.table)}", f"column = {_quoted(one.column)}"]
    if one.unique:
        lines.append(f"unique = [{', '.join(map(_quoted, one.unique))}]")
    if one.sets:
        lines.append(f"sets = {_quoted(one.sets)}")
    return lines


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
