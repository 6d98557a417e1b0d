"""The three places where a setting of the event processor may stand, each read into values with their origin."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mergeguard.errors import UsageError
from mergeguard.processor.settings import ENTRIES
from mergeguard.processor.settings_entry import PREFIX, Entry
from mergeguard.processor.settings_values import parsed
from mergeguard.processor.settings_xml import Element, read_elements

TABLE: Final = "event_queue"
"""The table of ``mergeguard.toml`` that holds these settings."""
_BY_NAME: Final[Mapping[str, Entry]] = {name.lower(): entry for entry in ENTRIES for name in entry.names}
_SPELLED: Final[Mapping[str, str]] = {name.lower(): name for entry in ENTRIES for name in entry.names}
_ALIKE: Final = 0.85


@dataclass(slots=True)
class Given:
    """Values of one place, by field of ``Settings``, typed; with where each stands, and remarks."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def take(self, entry: Entry, value: object, folder: Path, origin: str, name: str | None = None) -> None:
        """Keep a value; ``name`` is what it is called there.

        Raises:
            UsageError: it does not fit, or the place gives the setting twice.
        """
        if entry.name in self.values:
            raise UsageError(
                f"{origin}: {name or entry.names[1]} stands there for the second time",
                hint=f"the first is {self.origins[entry.name]}; keep one",
            )
        self.values[entry.name] = parsed(entry, value, folder, origin, name)
        self.origins[entry.name] = origin


def from_environment(environ: Mapping[str, str], cwd: Path) -> Given:
    """Read ``MERGEGUARD_*``; an empty variable is none.

    Raises:
        UsageError: a value does not fit.
    """
    given = Given()
    variables = {entry.variable: entry for entry in ENTRIES}
    for variable, entry in variables.items():
        if environ.get(variable):
            given.take(entry, environ[variable], cwd, f"environment {variable}")
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in variables:
            near = _nearest(name, variables, _ALIKE)
            given.notes += [f"the environment variable {name} is not known; did you mean {near}?"] if near else []
    return given


def from_toml(path: Path) -> Given:
    """Read the table ``event_queue`` of a TOML file.

    Raises:
        UsageError: the file cannot be read or is no TOML, a name in the table is unknown, or a value does not fit.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        table = tomllib.loads(text).get(TABLE, {})
    except OSError as failure:
        raise UsageError(
            f"{path} cannot be read: {failure.strerror}", hint="check the path, and that this account may read it"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}", hint='texts stand in quotes: key = "value"') from None
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {TABLE} must be a table", hint=f"write [{TABLE}] on its own line")
    given = Given()
    for name, value in table.items():
        place = f"{path}:{_line(text, name)}"
        entry = _BY_NAME.get(name.lower())
        if entry is None:
            near = _nearest(name, _SPELLED.values(), 0.0)
            raise UsageError(f"{place}: unknown setting {name!r}", hint=f"did you mean {near!r}?")
        given.take(entry, value, path.absolute().parent, place, name)
    return given


def from_core_settings(path: Path) -> Given:
    """Read a ``CoreSettings.config``: every element with a ``key`` that is ours; hundreds of others may stand there.

    Raises:
        UsageError: the file cannot be read or is no plain XML, or a value does not fit.
    """
    given = Given()
    for element in read_elements(path):
        name = element.attributes.get("key")
        if name is None:
            continue
        place = f"{path}:{element.line}"
        entry = _BY_NAME.get(name.strip().lower())
        if entry is None:
            near = _nearest(name, _SPELLED.values(), _ALIKE)
            given.notes += [f"{place}: {name!r} is not a setting known here; did you mean {near!r}?"] if near else []
        else:
            _take_element(given, entry, element, path, place)
    return given


def _take_element(given: Given, entry: Entry, element: Element, path: Path, place: str) -> None:
    kind = element.attributes.get("type", "local")
    value = element.attributes.get("value", element.attributes.get("defaultValue"))
    if kind.lower() != "local":
        given.notes.append(
            f'{place}: {entry.names[1]} is of type {kind!r}, kept elsewhere and not read here; write type="local"'
        )
    elif value is None:
        raise UsageError(f"{place}: {entry.names[1]} has no value", hint='give it value="…"')
    else:
        given.take(entry, value, path.absolute().parent, place)


def _nearest(name: str, names: Iterable[str], cutoff: float) -> str | None:
    spelled = {one.lower(): one for one in names}
    near = difflib.get_close_matches(name.lower(), spelled, n=1, cutoff=cutoff)
    return spelled[near[0]] if near else None


def _line(text: str, key: str) -> int:
    """Return the line of a key of the table, from 1; 1 where it is spelled unusually."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("["):
            inside = re.match(rf"\s*\[\s*{TABLE}\s*\]", line) is not None
        if inside and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", line):
            return number
    return 1
