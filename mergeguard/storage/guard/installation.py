"""The guard of an open database: looked up, installed, taken away. What it consists of is in ``parts``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from mergeguard.errors import Unsupported
from mergeguard.storage.guard import mssql as guard_mssql
from mergeguard.storage.guard import postgresql as guard_postgresql
from mergeguard.storage.guard import sqlite as guard_sqlite
from mergeguard.storage.guard.parts import HEADER

if TYPE_CHECKING:
    from mergeguard.storage.guard.keys import Spelling
    from mergeguard.storage.guard.parts import Found, GuardScript
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows

_HEADER = re.compile(
    re.escape(HEADER)
    .replace(r"\{version\}", r"(?P<version>\d+)")
    .replace(r"\{table\}", r"(?P<table>.*)")
    .replace(r"\{spelling\}", r"(?P<spelling>plain|usual|any)")
)


_SCRIPTS: Mapping[str, Callable[[DatabaseRows, Profile, Spelling | None], GuardScript]] = {
    "sqlite": guard_sqlite.script,
    "postgresql": guard_postgresql.script,
    "mssql": guard_mssql.script,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """A guard as it stands, and as this version would make it."""

    script: GuardScript
    found: Found
    table: bool
    """Whether the guard's table is there."""
    row: bool | None
    """Whether its row is there; ``None`` where this login may not look."""

    @property
    def version(self) -> int | None:
        """The version of the text that is there; ``None`` where none is, or none of ours."""
        header = self._header()
        return None if header is None else int(header["version"])

    @property
    def missing(self) -> tuple[str, ...]:
        """The triggers and functions that are not there."""
        return tuple(name for name in self.script.triggers() if name not in self.found.triggers)

    @property
    def altered(self) -> tuple[str, ...]:
        """Those that are there with another text than this version would give them."""
        there = self.found.triggers
        wanted = self.script.triggers()
        return tuple(name for name, text in wanted.items() if name in there and _lines(there[name]) != _lines(text))

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps the guard from its work, in words; empty where it stands and does it."""
        found = self.found
        if not found.triggers and not found.elsewhere:
            return ("there is no guard",)
        words = [f"a guard of this name stands on {table}" for table in found.elsewhere]
        words += [f"{name} is missing" for name in self.missing]
        words += [f"{name} is disabled" for name in found.disabled]
        words += [f"{name} is not as this version would make it" for name in self.altered]
        if not self.table:
            words.append(f"its table {self.script.place.guard} is missing")
        elif self.row is False:
            words.append(f"its table {self.script.place.guard} has lost its row")
        return tuple(words)

    def _header(self) -> re.Match[str] | None:
        return _header(self.found.triggers.values())


def script_of(rows: DatabaseRows, profile: Profile, spelling: Spelling | None = None) -> GuardScript:
    """Return the texts of the guard of a database.

    Args:
        rows: of an open transaction; nothing is written.
        profile: names the tables.
        spelling: how guids are compared; without it the rows are looked at.

    Raises:
        UnknownSchema: the merge table or a column of it does not exist.
        Unsupported: it cannot be guarded; the message says why.
    """
    if profile.merge.ids == "text":
        raise Unsupported(
            f"{profile.merge.table}: ids that are no guids are not guarded",
            hint='[merge] ids = "text" is for tables that are read alone',
        )
    with rows.source.translated():
        return _SCRIPTS[rows.source.kind](rows, profile, spelling)


def look(rows: DatabaseRows, profile: Profile) -> Standing:
    """Look the guard of a database up in its catalogue.

    Raises:
        as ``script_of``.
    """
    script = script_of(rows, profile, "usual")
    with rows.source.translated():
        found = script.found(rows)
    header = _header(found.triggers.values())
    if header is not None:
        script = script_of(rows, profile, cast("Spelling", header["spelling"]))
    table = rows.snapshot.find(profile.merging.guard) is not None
    with rows.source.translated():
        return Standing(script, found, table, script.has_row(rows) if table else False)


def send(rows: DatabaseRows, statements: Iterable[str]) -> None:
    """Send statements that have no parameters: nothing in their text stands for one."""
    with rows.source.translated(writing=True):
        cursor = rows.connection.connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()


def _header(texts: Iterable[str]) -> re.Match[str] | None:
    return next((found for text in texts if (found := _HEADER.search(text))), None)


def _lines(text: str) -> list[str]:
    """Return the lines of a text: some tools store others' line ends."""
    return [line.rstrip() for line in text.strip().splitlines()]
