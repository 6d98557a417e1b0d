"""Reads ahead on PostgreSQL: all that an event is going to ask travels to the server and back at once.

A way to the server costs as much as a dozen of these statements. The guids as they were sent are held first, so what is
read behind is still so when it is asked for; where one of them leads elsewhere, that is held and read as ever.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mergeguard.core.importing.standing import KeyOwner, Linked, Standing, Summary
from mergeguard.core.nse.message import Key
from mergeguard.storage.importing.database_store import Pair, folded
from mergeguard.storage.importing.postgresql import (
    LINKED,
    OWNERS,
    PARENTS,
    SUMMARIES,
    WALK,
    PostgresqlImportStore,
    PostgresqlTransaction,
    array,
    columns,
    locking,
)
from mergeguard.storage.importing.walks import standings_of
from mergeguard.storage.queue.statements import with_percents

if TYPE_CHECKING:
    from mergeguard.storage.importing.store import Expected, OpenBatch

Statement = tuple[str, Sequence[Any]]


@dataclass(slots=True)
class Ahead:
    """Answers to questions that are not asked yet; each is given once, for what is asked again may have changed."""

    held: frozenset[uuid.UUID] = frozenset()
    standings: Mapping[uuid.UUID, Standing] = field(default_factory=dict)
    keys: Sequence[tuple[str, str]] = ()
    owners: Sequence[KeyOwner] | None = None
    """Of just these keys."""
    summaries: dict[Pair, Summary | None] = field(default_factory=dict)
    """``None`` where a row was made to be locked, and nothing was loaded."""
    ends: frozenset[Pair] = frozenset()
    linked: Sequence[Linked] = ()


class AheadTransaction(PostgresqlTransaction):
    """One event's reads and writes, the reads all at once where they were expected."""

    def __init__(self, store: PostgresqlImportStore, batch: OpenBatch) -> None:
        super().__init__(store, batch)
        self._read = Ahead()

    def expect(self, expected: Expected) -> Collection[uuid.UUID]:
        """Hold guids, and read what is going to be asked, all on one way to the server."""
        if not expected.guids:
            self._read = Ahead(held=self._read.held)
            return ()
        guids, keys = sorted(expected.guids), folded(expected.keys)
        shared, told = self._told(guids, keys, expected, make=False)
        if shared < len(guids):  # one of them was never held: what holds it is made, and all is read behind it
            _, told = self._told(guids, keys, expected, make=True)
        found = (KeyOwner(*row) for row in told.get(OWNERS, ()))
        self._read = Ahead(
            held=expected.guids,
            standings=standings_of(guids, told[WALK]),
            keys=keys,
            owners=list(found),
            summaries=dict(map(_summary, told.get(SUMMARIES, ()))),
            ends=expected.ends,
            linked=[Linked(*row) for row in told.get(LINKED, ())],
        )
        return expected.guids

    def _told(
        self, guids: Sequence[uuid.UUID], keys: Sequence[tuple[str, str]], expected: Expected, *, make: bool
    ) -> tuple[int, Mapping[str, Sequence[Sequence[Any]]]]:
        """Send the statements, those that lock before those that read what is locked.

        Returns:
            How many of the guids are held, and the rows of each statement.
        """
        from mergeguard.storage.rows.within import rows_in  # noqa: PLC0415 - most of storage

        source, connection = self.store.source, self._batch.connection
        rows_in(source, connection)
        asked = locking(connection, source.profile, guids, make=make)
        share = asked[-1][0]
        asked.append((WALK, [array(guids)]))
        if keys:
            asked.append((OWNERS, columns(keys)))
        if expected.pairs:
            asked.append((SUMMARIES, columns(sorted(expected.pairs))))
        if expected.ends:
            asked.append((PARENTS, [array(sorted({parent for _, parent in expected.ends}))]))
            asked.append((LINKED, columns(sorted(expected.ends))))
        driver: Any = connection.connection.driver_connection
        with source.translated(writing=True):
            with driver.pipeline():
                sent = [driver.execute(with_percents(sql).encode(), tuple(values)) for sql, values in asked]
            told = {
                sql: each.fetchall() if each.description else [] for (sql, _), each in zip(asked, sent, strict=True)
            }
        return len(told[share]), told

    def owners(self, keys: Collection[Key]) -> Sequence[KeyOwner]:
        """Return who has any of these keys."""
        ahead, self._read.owners = self._read.owners, None
        return super().owners(keys) if ahead is None or folded(keys) != self._read.keys else ahead

    def standings(self, guids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Standing]:
        """Say of each guid where it leads now and what stands there."""
        ahead, self._read.standings = self._read.standings, {}
        if not guids or not ahead.keys() >= set(guids):
            return super().standings(guids)
        return {guid: ahead[guid] for guid in guids}

    def hold(self, guids: Collection[uuid.UUID]) -> None:
        """Keep merges of these guids waiting."""
        missing = set(guids) - self._read.held
        if missing:
            super().hold(missing)

    def summaries(self, pairs: Collection[Pair]) -> Mapping[Pair, Summary]:
        """Return what was loaded last, by (data class, resource)."""
        known = self._read.summaries
        ahead = {pair: known.pop(pair) for pair in pairs if pair in known}
        missing = [pair for pair in pairs if pair not in ahead]
        found = {pair: summary for pair, summary in ahead.items() if summary is not None}
        return {**found, **super().summaries(missing)} if missing else found

    def linked(self, ends: Collection[Pair]) -> Sequence[Linked]:
        """Return all associations of some (type, parent)."""
        known, self._read.ends = self._read.ends, frozenset()
        if not ends or not known.issuperset(ends):
            return super().linked(ends)
        return [each for each in self._read.linked if (each.type, each.parent) in ends]


def _summary(row: Sequence[Any]) -> tuple[Pair, Summary | None]:
    one, other, hash_, event, count = row
    loaded = bool(count) or hash_ is not None or event is not None
    return (one, other), Summary(one, other, hash_, event) if loaded else None
