"""Looks an unknown database over and proposes a profile, with the evidence for each choice. Reads only, and little.

The proposal is a start for a person to read, not a verdict: names, column types and bounded samples are all it knows.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from mergeguard.core import guids
from mergeguard.core.budget import Spent
from mergeguard.errors import CannotCheck
from mergeguard.integrity import candidates, naming
from mergeguard.integrity.candidates import Identity, Pair, Weighed
from mergeguard.integrity.reference_candidates import ReferenceCandidate, reference_candidates
from mergeguard.integrity.sampling import ColumnSample, GuidSet, Survey, TableSample, members, survey
from mergeguard.storage.profile import Live, Merge, Profile, Types
from mergeguard.storage.source import Progress, Source, silent

SAMPLE_ROWS = 1_000
MEMBER_ROWS = 1_000_000
SECONDS = 60.0
PAIRS, IDENTITIES = 4, 6
"""How many tables that could be the one of merges, or of resources, are read further."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why something was chosen for a role of the profile, or was not."""

    role: str
    """``merge table``, ``live``, ``types``, ``keys`` and so on."""
    choice: str
    reasons: tuple[str, ...]
    chosen: bool = True
    score: float | None = None
    """From 0 to 1 where there was something to weigh."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What discovery says: a profile or none, why, every candidate for a reference, and what was looked at."""

    profile: Profile | None
    evidence: tuple[Evidence, ...]
    candidates: tuple[ReferenceCandidate, ...]
    notes: tuple[str, ...]


def discover(
    source: Source, *, sample_rows: int = SAMPLE_ROWS, seconds: float = SECONDS, progress: Progress = silent
) -> Proposal:
    """Propose a profile for a database that nobody described.

    Reads the first ``sample_rows`` rows of every column that may hold guids, and up to ``MEMBER_ROWS`` rows of the few
    tables that may be the merges or the resources; stops looking after about ``seconds``. Nothing is written.

    Raises:
        CannotCheck: the target cannot be opened or its tables cannot be listed; see ``errors``.
    """
    end = time.monotonic() + seconds

    def spent() -> bool:
        return time.monotonic() >= end

    found = survey(source, sample_rows, spent, progress)
    return _Discovery(source, found, spent, progress).proposal(sample_rows)


class _Discovery:
    """One run: what was sampled, and what was read further to compare with."""

    def __init__(self, source: Source, found: Survey, spent: Spent, progress: Progress) -> None:
        self.source, self.tables, self.notes = source, found.tables, found.notes
        self.spent, self.progress = spent, progress
        self.evidence: list[Evidence] = []

    def proposal(self, sample_rows: int) -> Proposal:
        """Choose role by role."""
        columns = sum(len(table.samples) for table in self.tables)
        looked = f"looked at {len(self.tables)} tables, {columns} columns, at most {sample_rows:,} rows of each"
        self.notes.insert(0, looked)
        known = self.identities()
        weighed = self.merges(known)
        if weighed is None:
            self.notes.append(_NO_MERGES)
            self._near_misses()
            return Proposal(None, tuple(self.evidence), (), tuple(self.notes))
        live, typed = self.live(weighed, known), self.typed(weighed, known)
        shown = [one for one in (live, typed[0] if typed else None) if one is not None]
        references = tuple(reference_candidates(self.tables, weighed, live, shown))
        profile = Profile(
            name="discovered",
            merge=self.merge(weighed.pair),
            live=None if live is None else Live(live.table.name, live.column.name),
            types=None if typed is None else Types(typed[0].table.name, typed[0].column.name, typed[1]),
            keys=candidates.keys_of(self.tables, GuidSet(weighed.olds, weighed.terminals)),
            references=tuple(one.reference for one in references if one.proposed),
        )
        self._tell_keys(profile)
        return Proposal(profile, tuple(self.evidence), references, tuple(self.notes))

    def identities(self) -> list[Identity]:
        """Read the columns that may be the resources, to look others up in them."""
        likely = candidates.identities(self.tables)
        return [Identity(table, column, GuidSet(*self._read(table, [column]))) for table, column in likely[:IDENTITIES]]

    def _read(self, table: TableSample, columns: Sequence[ColumnSample]) -> list[guids.Guids]:
        """Read columns further; what was sampled has to do where that fails or time is up."""
        sampled = [column.guids for column in columns]
        if self.spent():
            self.notes.append(f"the time budget ended: {table.name} was only sampled")
            return sampled
        self.progress("comparing", 0, None)
        try:
            read = members(self.source, table.name, [column.name for column in columns], MEMBER_ROWS, self.spent)
        except CannotCheck as error:
            self.notes.append(f"{table.name} was only sampled: {error.message}")
            return sampled
        most = max(map(len, read))
        noun = "guid" if most == 1 else "guids"
        part = " (not all)" if most >= MEMBER_ROWS else ""
        self.notes.append(f"read {most:,} {noun} of {table.name} to compare with{part}")
        return read

    def merges(self, known: Sequence[Identity]) -> Weighed | None:
        """Choose the table of merges; the runners-up are evidence too."""
        weighed = []
        for pair in candidates.pairs(self.tables)[:PAIRS]:
            olds, news = self._read(pair.table, [pair.old, pair.new])
            weighed.append(candidates.weigh(pair, olds, news, known))
        ranked = sorted(weighed, key=lambda one: (not one.accepted, -one.score))
        chosen = next((one for one in ranked if one.accepted), None)
        for one in ranked:
            reasons = tuple(one.reasons)
            self.evidence.append(Evidence("merge table", str(one.pair), reasons, one is chosen, round(one.score, 2)))
        return chosen

    def merge(self, pair: Pair) -> Merge:
        """Name the other columns of the merge table."""
        columns = {
            "row id": candidates.row_id_column(pair),
            "time": candidates.time_column(pair),
            "merge key": candidates.merge_key_column(pair),
        }
        types = dict(pair.table.columns)
        for role, name in columns.items():
            if name is not None:
                self.evidence.append(Evidence(role, name, (f"its name, and its type {types[name]}",)))
        order = candidates.byte_order(pair)
        if order != "text":
            why = "the version digits of the guids are where SQL Server's byte order puts them"
            self.evidence.append(Evidence("byte order", order, (why,)))
        if pair.new.texts:
            values = ", ".join(map(repr, pair.new.texts))
            self.notes.append(f"{pair.new.name} also holds {values}: if that means deleted, put it into deleted_values")
        row_id, stamp, key = columns.values()
        return Merge(pair.table.name, pair.old.name, pair.new.name, row_id, stamp, key, byte_order=order)

    def live(self, weighed: Weighed, known: Sequence[Identity]) -> Identity | None:
        """Choose the table that holds what is live."""
        chosen, reasons = candidates.live_identity(weighed, known)
        self.evidence.append(Evidence("live", str(chosen or "none"), tuple(reasons), chosen is not None))
        return chosen

    def typed(self, weighed: Weighed, known: Sequence[Identity]) -> tuple[Identity, str] | None:
        """Choose the table that knows types."""
        chosen, reasons = candidates.typed_identity(weighed, known)
        name = "none" if chosen is None else f"{chosen[0]}, type in {chosen[1]}"
        self.evidence.append(Evidence("types", name, tuple(reasons), chosen is not None))
        return chosen

    def _tell_keys(self, profile: Profile) -> None:
        if profile.keys is not None:
            keys = profile.keys
            choice = f"{keys.table} ({keys.guid}, {keys.name}, {keys.value})"
            self.evidence.append(Evidence("keys", choice, ("the names of the table and of its columns",)))

    def _near_misses(self) -> None:
        """Say where a table sounds like merges but leads to no guid."""
        for table in self.tables:
            others = [name for name, _ in table.columns if naming.new_column(name)]
            if naming.merge_table(table.name) >= 0.7 and len(table.guid_columns) == 1 and others:
                self.notes.append(
                    f"{table.name} sounds like merges, but {others[0]} holds no guids: "
                    "make a view with both guids in it and name that in a profile"
                )


_NO_MERGES = (
    "no table looks like one of merges: two guid columns whose names, or whose values against a table of resources, "
    "say that one became the other. If there is one, name it with --table, --old-column and --new-column"
)
