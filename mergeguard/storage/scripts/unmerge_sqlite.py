# ruff: noqa: S608 - quoted names and literals make up texts that people read; values never come here
"""What SQLite's scripts are told of taking a merge back: how a row of each table is read, written and spoken of.

A trigger cannot name a table that it does not know when it is made. So each table that a merge may change has
statements of its own here, and ``sql/sqlite/40_unmerge.sql`` goes through the journal with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mergeguard.storage.scripts.survival_sqlite import listed_cells, literal, statements, values

if TYPE_CHECKING:
    from mergeguard.storage.database.stored_table import StoredTable
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.rows.database import DatabaseRows
    from mergeguard.storage.scripts.files import Repointed

_REFUSALS: Final = {
    "changed": "stale: a row of {} is gone, or is not as the merge left it, and nothing was taken back",
    "stands": "stale: another row stands where one of {} is to be put back, and nothing was taken back",
    "altered": "stale: {} has other columns than when the merge was made, or than when these scripts were",
    "unknown": "references: the profile does not declare all columns of {} that the merge changed; "
    "''mergeguard undo'' takes it back",
    "write": "write: the database stored something else than it was told of {}; look for triggers on it",
}
_TABLES: Final = 3
"""Columns of ``mergeguard_back_tables``, and below of ``mergeguard_back_columns``."""
_COLUMNS: Final = 4


def unmerging(rows: DatabaseRows, profile: Profile, repointed: Sequence[Repointed]) -> Mapping[str, str]:
    """Return the marks of ``00_names.sql`` that speak of taking merges back.

    Raises:
        UnknownSchema: a table or a column of the profile does not exist.
    """
    every = [*_changed(rows, profile, repointed)]
    return {
        "back_tables": values([(one.number, one.name, int(one.grows)) for one in every], _TABLES),
        "back_columns": values([row for one in every for row in one.columns], _COLUMNS),
        "read_back": statements(one.read for one in every),
        "write_back": statements(text for one in every for text in one.write),
        "refuse_back": statements(text for one in every for text in one.refusals),
    }


@dataclass(frozen=True, slots=True)
class _Changed:
    """One table that merges change, under the number by which the triggers know it."""

    number: int
    table: StoredTable
    written: frozenset[str]
    """The columns that a merge writes in rows that stay."""
    grows: bool
    """Whether a merge adds rows to it."""

    @property
    def name(self) -> str:
        """The name under which the journal has it."""
        return self.table.shape.table

    @property
    def columns(self) -> Iterable[Sequence[object]]:
        """Yield the rows of ``mergeguard_back_columns``."""
        for name in self.table.columns:
            yield self.number, name, int(name in self.table.address), int(name in self.written)

    @property
    def read(self) -> str:
        """Read the cells of the one row that is looked at."""
        cells, named = listed_cells(self.table)
        return (
            "INSERT INTO mergeguard_held_cells (number, place, name, label, value)\n"
            f"    SELECT 1, c.column1, c.column2, c.column3, CASE c.column1 {cells} END\n"
            f"    FROM {self.table.name} AS t CROSS JOIN (VALUES {named}) AS c\n"
            f"    WHERE NEW.table_no = {self.number} AND {self._at('t.')}"
        )

    @property
    def write(self) -> Iterator[str]:
        """Put the row back, set back what was written in it, or delete it."""
        name, quotes = self.table.name, self.table.quotes
        told = ", ".join(_cell("then", column) for column in self.table.columns)
        yield (
            f"INSERT INTO {name} ({', '.join(quotes[column] for column in self.table.columns)})\n"
            f"    SELECT {told}\n    WHERE NEW.table_no = {self.number} AND NEW.action = 'put back'"
        )
        if self.written:
            sets = (
                f"{quotes[name]} = {_kept(name, quotes[name])}" for name in self.table.columns if name in self.written
            )
            yield (
                f"UPDATE {name} SET {', '.join(sets)}\n"
                f"    WHERE NEW.table_no = {self.number} AND NEW.action = 'set back' AND {self._at()}"
            )
        if self.grows:
            yield f"DELETE FROM {name} WHERE NEW.table_no = {self.number} AND NEW.action = 'take out' AND {self._at()}"

    @property
    def refusals(self) -> Iterator[str]:
        """Name the table: the message of a refusal is a text that stands fast."""
        said = literal(self.name)[1:-1]
        for why, text in _REFUSALS.items():
            where = f"NEW.table_no = {self.number} AND NEW.why = '{why}'"
            yield f"SELECT RAISE(ABORT, 'mergeguard: {text.format(said)}') WHERE {where}"

    def _at(self, alias: str = "") -> str:
        """Say that a row is the one that is looked at."""
        return " AND ".join(f"{alias}{self.table.quotes[name]} = {_cell('at', name)}" for name in self.table.address)


def _changed(rows: DatabaseRows, profile: Profile, repointed: Sequence[Repointed]) -> Iterator[_Changed]:
    """Yield the tables in which a merge changes rows, each once, where something tells their rows apart."""
    written: dict[str, set[str]] = {profile.merge.table: set()}
    grows = {profile.merge.table}
    if profile.live is not None and profile.live.table is not None:
        written.setdefault(profile.live.table, set())
    if profile.blacklist is not None and rows.snapshot.find(profile.blacklist.table) is not None:
        written.setdefault(profile.blacklist.table, set())
        grows.add(profile.blacklist.table)
    for each in repointed:
        written.setdefault(each.table, set()).update(each.columns, each.rules["cleared"])
    if profile.hashes is not None:
        hashes = profile.hashes
        written.setdefault(hashes.table, set()).add(rows.column(hashes.table, hashes.hash))
    for number, (name, columns) in enumerate(written.items(), 1):
        table = rows.table(name)
        if table.address:
            yield _Changed(number, table, frozenset(columns), name in grows)


def _cell(side: str, column: str) -> str:
    return f"(SELECT value FROM mergeguard_back_cells WHERE side = '{side}' AND name = {literal(column)})"


def _kept(column: str, quoted: str) -> str:
    there = f"EXISTS (SELECT 1 FROM mergeguard_back_cells WHERE side = 'then' AND name = {literal(column)})"
    return f"CASE WHEN {there} THEN {_cell('then', column)} ELSE {quoted} END"
