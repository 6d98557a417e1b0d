"""Lists of plain rows: as a table for people, as JSON, JSON lines, CSV or TSV, with the same columns in each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mergeguard.render.plain import Json, plain
from mergeguard.render.table import aligned
from mergeguard.render.text import sound, visible

SCHEMA_VERSION: Final = 1
"""Version of the JSON form of all lists."""
LIST_FORMATS: Final = ("table", "json", "jsonl", "csv", "tsv")


@dataclass(frozen=True, slots=True)
class Listing:
    """What is listed."""

    name: str
    """What the rows are called in JSON."""
    heads: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]
    """Cells by head; a tuple is a list."""
    total: int
    """How many there are, listed or not."""
    nothing: str
    """What a table says where there is none."""
    more: Mapping[str, int] | None = None
    """Further counts, for JSON."""


def render_listing(listing: Listing, form: str) -> str:
    """Write a list in one of ``LIST_FORMATS``."""
    if form == "table":
        return _table(listing)
    if form == "csv":
        return "".join(",".join(map(_quoted, cells)) + "\n" for cells in (listing.heads, *_texts(listing)))
    if form == "tsv":
        return "".join("\t".join(map(visible, cells)) + "\n" for cells in (listing.heads, *_texts(listing)))
    rows = [_document(listing.heads, row) for row in listing.rows]
    if form == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows)
    head: dict[str, Json] = {"schema_version": SCHEMA_VERSION, "total": listing.total, **(listing.more or {})}
    return json.dumps({**head, listing.name: rows}, indent=2) + "\n"


def _table(listing: Listing) -> str:
    if not listing.rows:
        return f"{listing.nothing}\n"
    text = aligned([tuple(visible(cell) or "-" for cell in cells) for cells in _texts(listing)], listing.heads)
    left = listing.total - len(listing.rows)
    return text + (f"and {left:,} more\n" if left > 0 else "")


def _texts(listing: Listing) -> list[tuple[str, ...]]:
    return [tuple(map(_text, row)) for row in listing.rows]


def _text(cell: object) -> str:
    if isinstance(cell, tuple):
        return " ".join(filter(None, map(_text, cell)))
    told = plain(cell)
    return "" if told is None else sound(told)


def _document(heads: Sequence[str], row: Sequence[object]) -> Json:
    return {
        head: [plain(each) for each in cell] if isinstance(cell, tuple) else plain(cell)
        for head, cell in zip(heads, row, strict=True)
    }


def _quoted(cell: str) -> str:
    # By RFC 4180, as the answers of a bulk resolve are.
    return '"' + cell.replace('"', '""') + '"' if any(char in cell for char in ',"\r\n') else cell
