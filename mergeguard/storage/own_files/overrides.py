"""The override file: a person decides what the evidence leaves open, a line of CSV for each component."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from mergeguard.core import guids
from mergeguard.core.repair.evidence import Override
from mergeguard.errors import UsageError

COLUMNS = ("component", "survivor", "who", "why")
HEADER = ",".join(COLUMNS)
PLACEHOLDER = "?"
"""Stands for who and why in the line that a plan proposes; it has to be replaced."""
MAX_BYTES = 16 * 1024 * 1024
_EXAMPLE = f"the first line is {HEADER}, and each line after it decides one component"


def override_line(component: str, survivor: uuid.UUID) -> str:
    """Return the line that decides a component, with who and why left to be said."""
    written = io.StringIO()
    csv.writer(written).writerow([component, survivor, PLACEHOLDER, PLACEHOLDER])
    return written.getvalue().removesuffix("\r\n")


def load_overrides(path: str | Path) -> dict[str, Override]:
    """Read an override file: by component, what a person decided.

    Raises:
        UsageError: there is no such file, or a line of it makes no sense; the message has its number.
    """
    return _Reader(str(path)).read(_text(Path(path)))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"override file {path} does not exist", hint="check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"override file {path} cannot be read: {reason}", hint="check the path, and that this account may read it"
        ) from None
    if len(raw) > MAX_BYTES:
        raise UsageError(f"override file {path} is larger than {MAX_BYTES >> 20} MB", hint="check the path")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"override file {path}, line {line}: this is not UTF-8 text"
        raise UsageError(message, hint="save it as UTF-8; PowerShell's > writes UTF-16") from None


class _Reader:
    """Reads line by line; every refusal says which."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.line = 1

    def read(self, text: str) -> dict[str, Override]:
        """Return the overrides in the order of their lines."""
        lines = self._lines(text)
        header = [name.strip().casefold() for name in next(lines, [])]
        if sorted(header) != sorted(COLUMNS):
            self._refuse(f"the columns are {', '.join(header) or 'missing'}, not {', '.join(COLUMNS)}", _EXAMPLE)
        found: dict[str, Override] = {}
        for cells in lines:
            if len(cells) != len(header):
                self._refuse(
                    f"it has {len(cells)} values, not {len(header)}", 'a value with a comma stands in quotes: "a, b"'
                )
            override = self._override(dict(zip(header, (cell.strip() for cell in cells), strict=True)))
            if override.component in found:
                self._refuse(f"component {override.component} is decided a second time", "keep one of the two lines")
            found[override.component] = override
        return found

    def _lines(self, text: str) -> Iterator[list[str]]:
        """Yield the lines that are not empty, with ``self.line`` at the first of each."""
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        while True:
            before = reader.line_num
            try:
                cells = next(reader, None)
            except csv.Error as error:
                self.line = before + 1
                self._refuse(f"this is no CSV: {error}", "quotes stand around a whole value and are doubled inside it")
            if cells is None:
                return
            self.line = before + 1
            if any(cell.strip() for cell in cells):
                yield cells

    def _override(self, values: dict[str, str]) -> Override:
        if not values["component"]:
            self._refuse("component is empty", "copy the whole line from the plan")
        survivor = guids.parse(values["survivor"])
        if survivor is None:
            self._refuse(f"the survivor {values['survivor'][:80]!r} is no guid", "name the one guid that is to survive")
        for name in ("who", "why"):
            if values[name] in {"", PLACEHOLDER}:
                self._refuse(
                    f"{name} is missing: say who and why", "the journal keeps both; replace each ? by some words"
                )
        return Override(values["component"], survivor, values["who"], values["why"])

    def _refuse(self, what: str, hint: str) -> NoReturn:
        raise UsageError(f"override file {self.origin}, line {self.line}: {what}", hint=hint)
