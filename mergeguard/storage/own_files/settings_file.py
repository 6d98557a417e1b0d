"""The settings file with the line of each key: ``mergeguard.toml`` or ``[tool.mergeguard]`` of ``pyproject.toml``."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from mergeguard.errors import UsageError

FILE_NAME: Final = "mergeguard.toml"
PYPROJECT: Final = "pyproject.toml"
EVENT_QUEUE: Final = "event_queue"
"""The table of the event processor's settings, which has readers of its own."""


@dataclass(frozen=True, slots=True)
class FileValue:
    """A value as the file gives it."""

    value: object
    place: str
    """``FILE:LINE``."""
    folder: Path
    """What a relative path in the file starts from."""


def read_file(cwd: Path, config: Path | None, names: Collection[str]) -> dict[str, FileValue]:
    """Read the file asked for, or the first of the two usual ones in ``cwd`` that has settings.

    Args:
        cwd: the current folder.
        config: the file asked for; it must exist.
        names: every setting there is.

    Raises:
        UsageError: a file that cannot be read, or an unknown key in it.
    """
    for path in (cwd / FILE_NAME, cwd / PYPROJECT) if config is None else (cwd / config,):
        if config is None and not _stands(path):
            continue
        text = _read(path)
        table = _table(path, text)
        if table is None:
            continue
        ours = {key: value for key, value in table.items() if key != EVENT_QUEUE}
        for key in ours:
            _check(path, key, names)
        return {
            key: FileValue(value, f"{path.name}:{_line(text, path, key)}", path.parent) for key, value in ours.items()
        }
    return {}


def _stands(path: Path) -> bool:
    """Say whether a file of settings stands there.

    Raises:
        UsageError: the folder does not let us look.
    """
    try:
        return path.is_file()
    except OSError as failure:
        raise UsageError(
            f"the current folder, {path.parent}, cannot be searched for settings: {failure.strerror}",
            hint="start from another folder, or name the settings file with --config",
        ) from None


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"settings file {path} does not exist", hint="check --config") from None
    except UnicodeDecodeError:
        raise UsageError(f"settings file {path} is not UTF-8 text", hint="save it as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", error)
        raise UsageError(
            f"settings file {path} cannot be read: {reason}", hint="check the path, and that this account may read it"
        ) from None


def _table(path: Path, text: str) -> Mapping[str, object] | None:
    """Return the table of settings; ``None`` where a pyproject.toml has none."""
    try:
        document: Any = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        hint = 'texts stand in quotes: key = "value"'
        raise UsageError(f"{path} is not valid TOML: {error}", hint=hint) from None
    if path.name == PYPROJECT:
        tools = document.get("tool")
        document = tools.get("mergeguard") if isinstance(tools, dict) else None
        if document is not None and not isinstance(document, dict):
            raise UsageError(f"{path}: tool.mergeguard must be a table", hint="write [tool.mergeguard] on its own line")
    return cast("Mapping[str, object] | None", document)


def _check(path: Path, key: str, names: Collection[str]) -> None:
    if key in names:
        return
    if key == "password":
        raise UsageError(
            f"{path}: a password is never a setting", hint="name its place with password_env or password_file"
        )
    near = difflib.get_close_matches(key.lower().replace("-", "_"), names, n=1, cutoff=0.0)[0]
    raise UsageError(f"{path}: unknown key {key!r}", hint=f"did you mean {near!r}? It knows {', '.join(names)}")


def _line(text: str, path: Path, key: str) -> int:
    """Return the line of a key, from 1; of the first line that could be it, or 1 where it is spelled unusually."""
    inside = path.name != PYPROJECT
    for number, line in enumerate(text.splitlines(), 1):
        if path.name == PYPROJECT and line.lstrip().startswith("["):
            inside = re.match(r"\s*\[\s*tool\s*\.\s*mergeguard\s*\]", line) is not None
        if inside and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", line):
            return number
    return 1
