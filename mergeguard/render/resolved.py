"""Answers of a bulk resolve: asked text, guid, current, depth, status."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import TypeAlias

from mergeguard.render import plain
from mergeguard.render.plain import Json
from mergeguard.render.table import aligned
from mergeguard.render.text import sound, visible

SCHEMA_VERSION = 1
"""Version of the JSON form of answers."""
Answer: TypeAlias = tuple[str, uuid.UUID | None, uuid.UUID | None, int | None, str]
"""(asked text, guid, current, depth, status); a ``None`` is a guid, current or depth that there is not."""
HEADS = ("asked", "guid", "current", "depth", "status")


def render_resolved(rows: Iterable[Answer], form: str) -> str:
    """Write answers as ``table``, ``json``, ``jsonl``, ``csv`` or ``tsv``."""
    if form == "table":
        return aligned([tuple(visible(cell) or "-" for cell in _cells(row)) for row in rows], HEADS)
    if form == "json":
        answers = [_answer(row) for row in rows]
        return json.dumps({"schema_version": SCHEMA_VERSION, "answers": answers}, indent=2) + "\n"
    if form == "jsonl":
        return "".join(json.dumps(_answer(row)) + "\n" for row in rows)
    return _csv(rows) if form == "csv" else _tsv(rows)


def _cells(row: Answer) -> tuple[str, ...]:
    asked, guid, current, depth, status = row
    return (sound(asked), *("" if cell is None else str(cell) for cell in (guid, current, depth)), sound(status))


def _answer(row: Answer) -> Json:
    asked, guid, current, depth, status = row
    texts = (sound(asked), plain.guid(guid), plain.guid(current), None if depth is None else int(depth), sound(status))
    return dict(zip(HEADS, texts, strict=True))


def _csv(rows: Iterable[Answer]) -> str:
    return "".join(",".join(map(_quoted, cells)) + "\n" for cells in (HEADS, *(_cells(row) for row in rows)))


def _quoted(cell: str) -> str:
    # By RFC 4180. Python's csv writer leaves a lone carriage return bare, where its own reader then ends the line.
    return '"' + cell.replace('"', '""') + '"' if any(char in cell for char in ',"\r\n') else cell


def _tsv(rows: Iterable[Answer]) -> str:
    """Write tab-separated lines without quoting: a tab or line break in an id is spelt out instead."""
    return "".join("\t".join(map(visible, cells)) + "\n" for cells in (HEADS, *(_cells(row) for row in rows)))
