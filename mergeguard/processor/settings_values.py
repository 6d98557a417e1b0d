"""How a value of a setting is read from a text or from TOML, and what is said about one that does not fit."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PureWindowsPath
from typing import Final

from mergeguard.errors import UsageError
from mergeguard.processor.settings_entry import Entry, Kind
from mergeguard.storage.shown import shown

RELATIVE_TO_QUEUE: Final = frozenset({"event_failure_backup_folder", "event_copy_folder"})
"""Folders that a relative path puts under the folder of the queue, wherever the file of settings lies."""


class Wrong(Exception):
    """A value does not fit; the text says what would."""


def parsed(entry: Entry, value: object, folder: Path, origin: str, name: str | None = None) -> object:
    """Return the typed value of a setting.

    Args:
        entry: which setting.
        value: a text, or what TOML holds.
        folder: what a relative path starts from.
        origin: where it stands, for the error.
        name: what it is called there; by default as administrators know it.

    Raises:
        UsageError: the value does not fit.
    """
    try:
        typed = _READERS[entry.kind](entry, value, folder)
        if isinstance(typed, int | float | str):
            _fit(entry, typed)
    except Wrong as wrong:
        raise UsageError(f"{origin}: {name or entry.names[1]} cannot be {shown(value)}", hint=f"give {wrong}") from None
    return typed


def _fit(entry: Entry, value: float | str) -> None:
    words = entry.outside(value)
    if words:
        raise Wrong(words)


def _whole(_entry: Entry, value: object, _folder: Path) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value):
        return int(value)
    raise Wrong("a whole number")


def _number(_entry: Entry, value: object, _folder: Path) -> float:
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}(\.[0-9]{1,9})?\s*", value):
        return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):  # an integer that no float holds
            if math.isfinite(value):
                return float(value)
    raise Wrong("a number")


def _path(entry: Entry, value: object, folder: Path) -> Path | None:
    if not isinstance(value, str) or "\0" in value:
        raise Wrong("a path")
    text = value.strip()
    if not text:
        if entry.default is None:
            return None  # empty means off, as administrators know it
        raise Wrong("the path of a folder")
    if os.name != "nt" and PureWindowsPath(text).drive:
        raise Wrong("a path of this system; this one has a Windows drive or server")
    path = Path(text)
    return path if entry.name in RELATIVE_TO_QUEUE else folder / path


def _text(entry: Entry, value: object, _folder: Path) -> str:
    if isinstance(value, list) and not entry.choices and all(isinstance(each, str) for each in value):
        return "; ".join(value)
    if isinstance(value, str):
        return value.strip().lower() if entry.choices else value
    raise Wrong(" or ".join(entry.choices) or "a text")


_READERS: Final[Mapping[Kind, Callable[[Entry, object, Path], object]]] = {
    "whole number": _whole,
    "number": _number,
    "path": _path,
    "text": _text,
}
