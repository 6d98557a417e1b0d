"""A small database with every kind of reference, and what a dictionary makes of it once stale guids are re-pointed."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import sqlalchemy as sa
from hypothesis import strategies as st
from merge_model import Pair, answers, guid, merge_pairs

from mergeguard.storage.profile import Association, Classes, Hashes, Live, Merge, Profile, Reference

Spell: TypeAlias = Callable[[uuid.UUID], object]
Row: TypeAlias = tuple[object, ...]
"""Guids as ``uuid.UUID``, whatever the database has for them."""
COLUMNS = {
    "Merges": ("Id", "OldGuid", "NewGuid"),
    "Alive": ("Guid",),
    "Links": ("Kind", "Parent", "Child", "Made"),
    "Inv": ("Id", "Guid", "Other", "Value"),
    "Evt": ("Id", "Guid", "Value"),
    "Summary": ("Class", "Guid", "Hash"),
    "Classes": ("Guid", "Name"),
}
GUID_COLUMNS = {"OldGuid", "NewGuid", "Guid", "Parent", "Child", "Other", "Class", "Kind"}
NUMBERS = {"Id"}
INV_CLASS, EVT_CLASS = guid(1001), guid(1002)
KINDS = (guid(1003), guid(1004))
PROFILE = Profile(
    "case",
    Merge("Merges", row_id="Id"),
    hashes=Hashes("Summary", "Guid", "Class", "Hash", Classes("Classes", "Guid", "Name")),
    associations=(Association("Links", "Parent", "Child", "Kind", "Made"),),
    references=(
        Reference("Inv", "Guid", ("Guid", "Other", "Value")),
        Reference("Inv", "Other", ("Guid", "Other", "Value")),
        Reference("Evt", "Guid", data_class=str(EVT_CLASS).upper()),
        Reference("Summary", "Guid"),
    ),
)


@dataclass(frozen=True)
class StaleCase:
    """The rows of each table."""

    pairs: Sequence[Pair] = ()
    live: frozenset[uuid.UUID] | None = None
    links: Sequence[Row] = ()
    inventory: Sequence[Row] = ()
    events: Sequence[Row] = ()
    summaries: Mapping[tuple[uuid.UUID, uuid.UUID], str | None] = field(default_factory=dict)

    @property
    def profile(self) -> Profile:
        live = None if self.live is None else Live("Alive", "Guid")
        return Profile(
            **{name: getattr(PROFILE, name) for name in ("name", "merge", "hashes")},
            live=live,
            associations=PROFILE.associations,
            references=PROFILE.references,
        )

    @property
    def tables(self) -> dict[str, list[Row]]:
        """All rows, those with an id numbered from 1."""
        return {
            "Merges": [(number, *pair) for number, pair in enumerate(self.pairs, 1)],
            "Alive": [(one,) for one in sorted(self.live or ())],
            "Links": list(self.links),
            "Inv": [(number, *row) for number, row in enumerate(self.inventory, 1)],
            "Evt": [(number, *row) for number, row in enumerate(self.events, 1)],
            "Summary": [(*pair, text) for pair, text in self.summaries.items()],
            "Classes": [(INV_CLASS, "Inv"), (guid(1005), "Other")],
        }


ANY = st.none() | st.integers(0, 12).map(guid)
CLASS = st.sampled_from([INV_CLASS, EVT_CLASS, guid(1006)])


@st.composite
def stale_cases(draw: st.DrawFn) -> StaleCase:
    """Merges of any kind, and tables full of their guids."""
    pairs = draw(merge_pairs())
    olds = sorted({old for old, _ in pairs})
    held = st.none() | st.integers(0, 12).map(guid) | (st.sampled_from(olds) if olds else st.nothing())
    links = st.tuples(st.sampled_from(KINDS), held, held, st.sampled_from([None, "2024-01-01", "2024-01-02 03:04:05"]))
    live = draw(st.none() | st.frozensets(st.integers(0, 12).map(guid)))
    inventory = draw(st.lists(st.tuples(held, held, st.sampled_from(["x", None])), max_size=8))
    events = draw(st.lists(st.tuples(held, st.just("e")), max_size=5))
    mentioned = {cell for row in (*inventory, *events) for cell in row if isinstance(cell, uuid.UUID)}
    # What a hash speaks of is what the other tables hold, and what that becomes.
    spoken = sorted({*mentioned, *(new for old, new in pairs if old in mentioned), guid(0)})
    holders = st.tuples(CLASS, st.sampled_from(spoken))
    hashes = st.dictionaries(holders, st.sampled_from(["0123", "4567", None]), min_size=min(4, len(spoken)), max_size=9)
    return StaleCase(pairs, live, draw(st.lists(links, max_size=8)), inventory, events, draw(hashes))


@dataclass(frozen=True)
class Expected:
    """What the tables hold afterwards: row counts by content, ids and the times of links aside."""

    links: Counter[Row]
    inventory: Counter[Row]
    events: Counter[Row]
    summaries: Mapping[tuple[uuid.UUID, uuid.UUID], str | None]


def currents(case: StaleCase) -> dict[uuid.UUID, uuid.UUID]:
    """What each merged-away guid is now, as a dictionary."""
    found = answers(case.pairs, case.live)
    return {
        old: now
        for old, (status, now, _) in found.items()
        if status == "ok" and now is not None and now != old and old.int
    }


def expected(case: StaleCase) -> Expected:
    """Re-point every row by the dictionary."""
    now = currents(case)

    def new(cell: object) -> object:
        return now.get(cell, cell)  # type: ignore[call-overload]

    said = [row[:3] for row in case.links]
    links = _settled(said, [(kind, new(parent), new(child)) for kind, parent, child in said], linking=True)
    inventory = _settled(case.inventory, [(new(one), new(other), value) for one, other, value in case.inventory])
    return Expected(links, inventory, Counter((new(one), value) for one, value in case.events), _summaries(case, now))


def _settled(rows: Sequence[Row], mapped: Sequence[Row], *, linking: bool = False) -> Counter[Row]:
    left = Counter(row for row, after in zip(rows, mapped, strict=True) if row == after)
    for row, after in zip(rows, mapped, strict=True):
        itself = linking and after[1] == after[2] and row[1] != row[2]
        if row != after and not itself and not left[after]:
            left[after] += 1
    return left


def _summaries(case: StaleCase, now: Mapping[uuid.UUID, uuid.UUID]) -> dict[tuple[uuid.UUID, uuid.UUID], str | None]:
    touched = set()
    for data_class, rows in (
        (INV_CLASS, [row[:2] for row in case.inventory]),
        (EVT_CLASS, [r[:1] for r in case.events]),
    ):
        for cells in rows:
            if any(cell in now for cell in cells):
                touched |= {(data_class, one) for cell in cells for one in (cell, now.get(cell, cell))}  # type: ignore[call-overload]
    found = {pair: text for pair, text in case.summaries.items() if pair[1] not in now}
    for data_class, holder in case.summaries:
        if holder in now:
            # Re-pointed without its hash, or collapsed into a row whose hash speaks of less than there is now.
            found[data_class, now[holder]] = None
    return {pair: None if pair in touched else text for pair, text in found.items()}


def create(engine: sa.Engine, guid_type: str) -> None:
    """Make the tables anew, guids in columns of one type; links have no key."""
    statements = []
    for table, columns in COLUMNS.items():
        kinds = [
            f'"{name}" {guid_type if name in GUID_COLUMNS else "integer" if name in NUMBERS else "varchar(40)"}'
            for name in columns
        ]
        if columns[0] == "Id":
            kinds.append('PRIMARY KEY ("Id")')
        if table == "Summary":
            kinds.append('PRIMARY KEY ("Class", "Guid")')
        statements += [f'DROP TABLE IF EXISTS "{table}"', f'CREATE TABLE "{table}" ({", ".join(kinds)})']
    statements.append('CREATE INDEX "IX_Inv" ON "Inv" ("Guid")')
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def fill(engine: sa.Engine, case: StaleCase, spell: Spell) -> None:
    """Put a case into the tables, in place of what was there."""
    with engine.begin() as connection:
        for table, columns in COLUMNS.items():
            connection.execute(sa.text(f'DELETE FROM "{table}"'))
            clause = sa.table(table, *map(sa.column, columns))
            rows = [
                {
                    name: spell(cell) if isinstance(cell, uuid.UUID) else cell
                    for name, cell in zip(columns, row, strict=True)
                }
                for row in case.tables[table]
            ]
            if rows:
                connection.execute(clause.insert(), rows)


def contents(engine: sa.Engine) -> dict[str, list[Row]]:
    """All rows of every table as the driver gives them, in an order of their own."""
    found = {}
    with engine.connect() as connection:
        for table, columns in COLUMNS.items():
            names = ", ".join(f'"{name}"' for name in columns)
            rows = connection.execute(sa.text(f'SELECT {names} FROM "{table}"'))
            found[table] = sorted((tuple(row) for row in rows), key=repr)
    return found
