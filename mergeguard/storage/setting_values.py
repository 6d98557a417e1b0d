"""How the values of settings are read, whether they come as a flag, from the environment or from a file.

Each function takes (value, folder that a relative path starts from) and returns the typed value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mergeguard.errors import UsageError

MOST: Final = 10**9
"""The largest whole number that a setting takes: more findings, days or nights nobody means."""


class Wrong(Exception):
    """A value does not fit; the text says what would."""


def seconds(value: object) -> float:
    """Read a duration: a number of seconds, or a text such as ``90s``, ``20m``, ``1h30m``, ``1d``.

    Raises:
        UsageError: it is no duration, or not above zero.
    """
    try:
        return duration(value, Path())
    except Wrong as wrong:
        raise UsageError(f"{value!r} is no duration", hint=f"give {wrong}") from None


def duration(value: object, _folder: Path) -> float:
    """Read a duration into seconds."""
    wrong = Wrong("a duration such as 90s, 20m or 1h30m")
    if isinstance(value, str):
        value = value.strip().lower()
        parts = re.fullmatch(r"(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+(?:\.[0-9]+)?)s?)?", value)
        if not value or parts is None:
            raise wrong
        sizes = (86_400.0, 3600.0, 60.0, 1.0)
        total = sum(float(part) * size for part, size in zip(parts.groups("0"), sizes, strict=True))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        # Every number beyond this is as endless as the largest one, and every one below zero as wrong as zero.
        total = float(max(min(value, 10**18), 0))
    else:
        raise wrong
    if not 0 < total < math.inf:
        raise wrong
    return total


def text(value: object, _folder: Path) -> str:
    """Read a text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise Wrong("a text that is not empty")
    return value


def texts(value: object, _folder: Path) -> tuple[str, ...]:
    """Read a list; in one text the values stand between commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(","))
    if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
        raise Wrong("a list of texts (in one text: between commas)")
    return tuple(value)


def rules(value: object, folder: Path) -> tuple[str, ...]:
    """Read a list of rules, or of other names."""
    return tuple(rule for rule in texts(value, folder) if rule)


def whole(value: object, _folder: Path) -> int:
    """Read a whole number from 1."""
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,18}\s*", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST:
        raise Wrong(f"a whole number from 1 to {MOST:,}")
    return value


def yes_or_no(value: object, _folder: Path) -> bool:
    """Read a truth value in the spellings that shells and SQL use."""
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if isinstance(value, str):
        value = words.get(value.strip().lower())
    if not isinstance(value, bool):
        raise Wrong("true or false")
    return value


def one_of(*choices: str) -> Callable[[object, Path], str]:
    """Return the reader of a word that must be one of ``choices``."""

    def parse(value: object, _folder: Path) -> str:
        if value not in choices:
            raise Wrong(f"one of {', '.join(choices)}")
        return str(value)

    return parse


def path(value: object, folder: Path) -> Path:
    """Read a path; ``~`` is the home folder."""
    if not isinstance(value, str | Path) or not str(value).strip() or "\0" in str(value):
        raise Wrong("the path of a file")
    try:
        return folder / Path(value).expanduser()
    except RuntimeError:
        raise Wrong("the path of a file; this home folder does not exist") from None


def path_or_none(value: object, folder: Path) -> Path | None:
    """Read a path, or the word ``none``."""
    return None if value == "none" else path(value, folder)


def profile(value: object, folder: Path) -> str:
    """Read a path, or the bare name of a built-in profile, which stays as it is."""
    name = text(str(value) if isinstance(value, Path) else value, folder)
    is_path = name.endswith(".toml") or "/" in name or "\\" in name
    return str(path(name, folder)) if is_path else name
