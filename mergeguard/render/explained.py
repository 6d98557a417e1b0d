"""The story of one guid in words, as JSON and as Markdown; its picture is drawn by ``svg`` and ``dot``."""

from __future__ import annotations

import json
from collections.abc import Callable

from mergeguard.core.findings import Explanation, RowRef
from mergeguard.render import plain, words
from mergeguard.render.markdown import code, prose
from mergeguard.render.plain import Json
from mergeguard.render.table import aligned
from mergeguard.render.text import fold, sound, visible

SCHEMA_VERSION = 1
"""Version of the JSON form of an explanation."""
MAX_ROWS = 50
_WIDTH = 100
_HEADS = ("row", "old", "new", "time")


def render_explanation(explanation: Explanation, form: str) -> str:
    """Write an explanation as ``table`` (words), ``json`` or ``markdown``."""
    forms: dict[str, Callable[[Explanation], str]] = {"table": _words, "json": _json, "markdown": _markdown}
    return forms[form](explanation)


def _words(explanation: Explanation) -> str:
    lines = fold([f"{_name(explanation)}:", visible(explanation.status), f"({_whereto(explanation)})"], _WIDTH, "")
    for sentence in explanation.story:
        lines += fold(visible(sentence).split(" "), _WIDTH, "  ")
    if explanation.path:
        lines += ["", *fold(_steps(explanation), _WIDTH, "  ", gap=" -> ")]
    told = "\n".join(lines) + "\n"
    if not explanation.rows:
        return told
    rows = aligned([_row(row, explanation) for row in explanation.rows[:MAX_ROWS]], _HEADS)
    left = len(explanation.rows) - MAX_ROWS
    return f"{told}\n{rows}" + (f"... and {words.counted(left, 'more row')}\n" if left > 0 else "")


def _name(explanation: Explanation) -> str:
    guid = str(explanation.guid)
    return guid if explanation.label == guid else f"{visible(explanation.label, 80)} ({guid})"


def _whereto(explanation: Explanation) -> str:
    if explanation.current is None:
        return "no current guid"
    current = words.names((explanation.current,), explanation.labels)[0]
    if explanation.depth is None:
        return f"current: {current}"
    return f"current: {current}, {words.counted(explanation.depth, 'merge')} away"


def _steps(explanation: Explanation) -> list[str]:
    return words.names(explanation.path, explanation.labels)


def _row(row: RowRef, explanation: Explanation) -> tuple[str, ...]:
    old, new = words.names((row.old, row.new), explanation.labels)
    return (visible(row.row_id, 80), old, new, plain.time(row.time) or "-")


def _json(explanation: Explanation) -> str:
    return json.dumps(_document(explanation), indent=2, allow_nan=False) + "\n"


def _document(explanation: Explanation) -> Json:
    label = explanation.labels.get
    return {
        "schema_version": SCHEMA_VERSION,
        "target": sound(explanation.target),
        "guid": str(explanation.guid),
        "label": sound(explanation.label),
        "status": sound(explanation.status),
        "current": plain.guid(explanation.current),
        "depth": None if explanation.depth is None else int(explanation.depth),
        "story": [sound(sentence) for sentence in explanation.story],
        "path": [str(step) for step in explanation.path],
        "path_labels": [sound(label(step, step)) for step in explanation.path],
        "rows": [plain.row(row) for row in explanation.rows],
        "picture": {
            "nodes": [
                {"guid": str(node.guid), "label": sound(node.label), "role": node.role.value, "focus": node.focus}
                for node in explanation.picture.nodes
            ],
            "edges": [[str(old), str(new)] for old, new in explanation.picture.edges],
            "omitted": int(explanation.picture.omitted),
        },
    }


def _markdown(explanation: Explanation) -> str:
    lines = [f"# {code(explanation.label)}", "", f"**{prose(explanation.status)}**: {prose(_whereto(explanation))}", ""]
    lines += [f"{prose(sentence)}\n" for sentence in explanation.story]
    if explanation.path:
        lines += [f"Path: {' → '.join(code(step) for step in _steps(explanation))}", ""]
    for row in explanation.rows[:MAX_ROWS]:
        number, old, new, time = _row(row, explanation)
        lines.append(f"- row {code(number)}: {code(old)} → {code(new)} ({prose(time)})")
    left = len(explanation.rows) - MAX_ROWS
    return "\n".join([*lines, f"- and {words.counted(left, 'more row')}"] if left > 0 else lines).rstrip("\n") + "\n"
