"""Weighs names, types and samples: which table could be the one of merges, of live resources, of types, of keys.

Pure: everything here works on what ``sampling`` has read. Each choice comes with its reasons in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from mergeguard.core.guids import Guids, swap_sql_server
from mergeguard.integrity import naming
from mergeguard.integrity.sampling import ColumnSample, GuidSet, TableSample
from mergeguard.storage.profile import ByteOrder, Keys

_INTEGERS = ("int", "serial", "numeric", "decimal", "number")
_TIMES = ("date", "time")
_TEXTS = ("char", "text", "clob", "string")


@dataclass(frozen=True, slots=True)
class Identity:
    """A column that may name the row's own resource, with what was read of it."""

    table: TableSample
    column: ColumnSample
    members: GuidSet

    def __str__(self) -> str:
        return f"{self.table.name}.{self.column.name}"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two columns of one table that may be old and new. ``table_name`` and ``column_names`` are from 0 to 1."""

    table: TableSample
    old: ColumnSample
    new: ColumnSample
    table_name: float
    column_names: float

    @property
    def promise(self) -> float:
        """How much the names alone speak for it."""
        return self.table_name + self.column_names

    def __str__(self) -> str:
        return f"{self.table.name} ({self.old.name} -> {self.new.name})"


def pairs(tables: Sequence[TableSample]) -> list[Pair]:
    """List pairs of guid columns of a table, the most promising names first.

    Two columns stand there in the order that their names say; where the names say nothing, in both.
    """
    found = [
        Pair(table, old, new, naming.merge_table(table.name), _column_names(old.name, new.name))
        for table in tables
        if not naming.view_like(table.name)
        for old, new in permutations(table.guid_columns, 2)
        if _column_names(old.name, new.name) >= _column_names(new.name, old.name)
    ]
    return sorted((pair for pair in found if pair.promise), key=lambda pair: -pair.promise)


def _column_names(old: str, new: str) -> float:
    said = naming.old_column(old), naming.new_column(new)
    return sum(said) / 2 if all(said) else 0.0


def identities(tables: Sequence[TableSample]) -> list[tuple[TableSample, ColumnSample]]:
    """List the columns that may name the row's own resource, the likeliest first."""
    pointed = {(key.table.lower(), key.target.lower()) for table in tables for key in table.foreign_keys}

    def declared(table: TableSample, column: ColumnSample) -> bool:
        return (table.name.lower(), column.name.lower()) in pointed

    def likely(entry: tuple[TableSample, ColumnSample]) -> float:
        table, column = entry
        return naming.resource_table(table.name) + 0.5 * declared(table, column) + 0.3 * naming.bare(column.name)

    found = [
        (table, column)
        for table in tables
        if not naming.view_like(table.name) and not naming.data_class(table.name)
        for column in table.guid_columns
        if column.unique and (naming.identity_column(column.name, table.name) or declared(table, column))
    ]
    return sorted(found, key=lambda entry: -likely(entry))


@dataclass(frozen=True, slots=True)
class Weighed:
    """A pair held against the resources: ``gap`` is how much more often a new is a resource than an old is."""

    pair: Pair
    olds: Guids
    terminals: Guids
    """News that are no olds; shape ``(n, 16)``."""
    gap: float
    where: Identity | None

    @property
    def score(self) -> float:
        """From 0 to 1: names count for two thirds, the gap for one."""
        return (self.pair.promise + max(0.0, self.gap)) / 3

    @property
    def accepted(self) -> bool:
        """Whether it may be proposed: names of both kinds, or the data and names of one kind."""
        table, columns = self.pair.table_name, self.pair.column_names
        by_names = table > 0 and columns >= 0.4
        by_data = self.gap >= 0.5 and (columns >= 0.5 or table >= 0.7)
        return by_names or by_data

    @property
    def reasons(self) -> Iterator[str]:
        """What speaks for it, in words."""
        if self.pair.table_name:
            yield f"the table's name speaks of merges ({self.pair.table_name:.0%})"
        if self.pair.column_names:
            yield f"the columns' names speak of old and new ({self.pair.column_names:.0%})"
        yield f"{self.pair.old.name} is {self.pair.old.type}, {self.pair.new.name} is {self.pair.new.type}"
        if self.where is not None and self.gap > 0:
            yield f"news stand in {self.where} more often than olds do (by {self.gap:.0%})"
        elif self.where is not None:
            yield f"olds stand in {self.where} as often as news do"


def weigh(pair: Pair, olds: Guids, news: Guids, known: Sequence[Identity]) -> Weighed:
    """Hold a pair's guids against the columns that may be the resources."""
    terminals = np.ascontiguousarray(news[~GuidSet(olds).holds(news)])
    others = [identity for identity in known if identity.table is not pair.table and len(identity.members)]
    gaps = [(gap(identity, olds, terminals), identity) for identity in others]
    best, where = max(gaps, key=lambda entry: entry[0], default=(0.0, None))
    return Weighed(pair, olds, terminals, best, where)


def gap(identity: Identity, olds: Guids, terminals: Guids) -> float:
    """Return how much more of the terminals than of the olds stands in a column; -1 to 1."""
    return identity.members.share(terminals) - identity.members.share(olds)


def live_identity(weighed: Weighed, known: Sequence[Identity]) -> tuple[Identity | None, list[str]]:
    """Choose the column that holds what is live: the terminals, and not the olds. Also say why."""
    others = [identity for identity in known if identity.table is not weighed.pair.table]
    if not len(weighed.terminals):
        named = [identity for identity in others if _named(identity) > 0]
        return next(iter(named), None), ["by its name alone: there are no merges to compare with"]
    fits = [
        identity
        for identity in others
        if identity.members.share(weighed.terminals) >= 0.5 and gap(identity, weighed.olds, weighed.terminals) >= 0.1
    ]
    best = max(fits, key=lambda one: gap(one, weighed.olds, weighed.terminals) + 0.2 * _named(one), default=None)
    if best is None:
        return None, ["no table holds what the merges lead to and lacks what was merged away"]
    ends, merged = best.members.share(weighed.terminals), best.members.share(weighed.olds)
    return best, [f"it holds {ends:.0%} of the guids that merges lead to and {merged:.0%} of those merged away"]


def _named(identity: Identity) -> float:
    return naming.resource_table(identity.table.name)


def typed_identity(weighed: Weighed, known: Sequence[Identity]) -> tuple[tuple[Identity, str] | None, list[str]]:
    """Choose the table that knows the type of a guid, and its type column. Also say why."""
    typed = [(identity, kind) for identity in known if (kind := _type_column(identity)) is not None]
    if not len(weighed.olds):
        named = [entry for entry in typed if naming.bare(entry[0].column.name) and _named(entry[0]) > 0]
        return next(iter(named), None), ["by its name alone: there are no merges to compare with"]

    def covered(entry: tuple[Identity, str]) -> float:
        return entry[0].members.share(np.concatenate([weighed.olds, weighed.terminals]))

    best = max(typed, key=covered, default=None)
    if best is None or covered(best) < 0.5:
        return None, ["no table with a type column holds the guids of the merges"]
    return best, [f"it holds {covered(best):.0%} of the guids of the merges"]


def _type_column(identity: Identity) -> str | None:
    """Return the column that says the type of the row; a catalogue of types has none."""
    table = identity.table
    if naming.type_column(" ".join(naming.words(table.name)[-1:])) or naming.data_class(table.name):
        return None
    named = [(naming.type_column(name), name) for name, _ in table.columns if name != identity.column.name]
    score, best = max(named, key=lambda entry: entry[0], default=(0.0, ""))
    return best if score else None


def keys_of(tables: Sequence[TableSample], resources: GuidSet) -> Keys | None:
    """Choose a table of keys: a resource guid, a key name and a key value a row."""
    for table in tables:
        if not {"key", "keys", "identifier", "identifiers"} & set(naming.words(table.name)):
            continue
        texts = [name for name, kind in table.columns if _is(kind, _TEXTS) and name not in _guid_names(table)]
        name = next((text for text in texts if "name" in naming.words(text)), None)
        value = next((text for text in texts if "value" in naming.words(text)), None)
        guid = max(table.guid_columns, key=lambda sample: resources.share(sample.guids), default=None)
        if name and value and guid is not None:
            return Keys(table.name, guid.name, name, value)
    return None


def _guid_names(table: TableSample) -> set[str]:
    return {sample.name for sample in table.guid_columns}


def row_id_column(pair: Pair) -> str | None:
    """Choose the column that names a row of the merge table."""
    return _best(pair, lambda name, kind: naming.row_id_column(name) * (1.0 if _is(kind, _INTEGERS) else 0.4))


def time_column(pair: Pair) -> str | None:
    """Choose the column that says when a merge was made; a text column only where its name is plain."""

    def score(name: str, kind: str) -> float:
        said = naming.time_column(name)
        if _is(kind, _TIMES):
            return 0.5 + said
        return said if said >= 0.8 and _is(kind, (*_TEXTS, *_INTEGERS)) else 0.0

    return _best(pair, score)


def merge_key_column(pair: Pair) -> str | None:
    """Choose the column that says which key made two resources one."""
    return _best(pair, lambda name, kind: naming.reason_column(name) * _is(kind, _TEXTS))


def _best(pair: Pair, score: Callable[[str, str], float]) -> str | None:
    """Return the column beside old and new with the highest score of name and type; the first of equal ones."""
    taken = {pair.old.name, pair.new.name}
    scored = [(score(name, kind), name) for name, kind in pair.table.columns if name not in taken]
    best, chosen = max(scored, key=lambda entry: entry[0], default=(0.0, ""))
    return chosen if best else None


def _is(kind: str, names: Sequence[str]) -> bool:
    return any(name in kind.lower() for name in names)


def byte_order(pair: Pair) -> ByteOrder:
    """Tell in which order 16-byte values hold their bytes: in one of the two, the version digit is where it belongs."""
    if not any(name in pair.old.type.lower() for name in ("blob", "bytea", "binary")):
        return "text"
    column = np.concatenate([pair.old.guids, pair.new.guids])
    return "sqlserver" if _versioned(swap_sql_server(column)) > _versioned(column) + 0.5 else "text"


def _versioned(column: Guids) -> float:
    """Return how much of a column is of RFC 9562: a version from 1 to 8, and the variant's two bits."""
    if not len(column):
        return 0.0
    version, variant = column[:, 6] >> 4, column[:, 8] >> 6
    return float(((version >= 1) & (version <= 8) & (variant == 2)).mean())
