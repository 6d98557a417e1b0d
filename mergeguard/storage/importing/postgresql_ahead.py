"""Reads ahead on PostgreSQL: all that events are going to ask travels to the server and back at once.

A way to the server costs as much as a dozen of these statements. The guids as they were sent are held first, so what is
read behind is still so when it is asked for; where one of them leads elsewhere, that is held and read as ever. One
transaction may serve many events: then what they confirm and link travels at once, too.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from mergeguard.core.importing.answers import Answers
from mergeguard.core.importing.claims import Claimed
from mergeguard.core.importing.standing import KeyOwner, Linked, Standing, Summary
from mergeguard.core.nse.message import Key
from mergeguard.storage.importing.database_store import Pair, folded
from mergeguard.storage.importing.postgresql import (
    CONFIRM,
    LINKED,
    OWNERS,
    PARENTS,
    RELINK,
    SUMMARIES,
    WALK,
    PostgresqlImportStore,
    PostgresqlTransaction,
    locking,
    summaries_of,
)
from mergeguard.storage.importing.postgresql_agreeing import (
    AGREE,
    DOUBT,
    agreed,
    all_links_stood,
    doubted,
    others_wrote,
    standing,
)
from mergeguard.storage.importing.postgresql_arrays import array, columns, taught
from mergeguard.storage.importing.walks import standings_of
from mergeguard.storage.queue.statements import with_percents

if TYPE_CHECKING:
    from mergeguard.core.importing.catalogue import DataClass
    from mergeguard.storage.importing.store import Expected, OpenBatch

Statement = tuple[str, Sequence[Any]]
Ends: TypeAlias = tuple[uuid.UUID, uuid.UUID, uuid.UUID]
_NUMBER = attrgetter("int")
_EVENT = itemgetter(0)


class AheadTransaction(PostgresqlTransaction):
    """Reads and writes of some events, the reads all at once where they were expected."""

    def __init__(self, store: PostgresqlImportStore, batch: OpenBatch) -> None:
        super().__init__(store, batch)
        self._known = Answers()
        self._held: set[uuid.UUID] = set()
        self._holds_back = False
        self._confirmed: list[tuple[int, Collection[Pair]]] = []
        self._links: list[Linked] = []
        self._agreed: list[Claimed] = []
        self._subjects: set[uuid.UUID] = set()
        """The resources of the data in them."""

    @property
    def answers(self) -> Answers:
        """What is known by now."""
        return self._known

    # Reading

    def expect(self, expected: Expected) -> Collection[uuid.UUID]:
        """Hold guids, and read what is going to be asked, all on one way to the server."""
        if not (expected.guids or expected.claimed):
            self._known = Answers()
            return ()
        asked = _Questions.of(expected)
        if not asked.claimed and self._known.answers(asked.guids, asked.keys):
            return expected.guids
        shared, told = self._told(asked, make=False)
        if shared < len(asked.held):  # one of them was never held: what holds it is made, and all is read behind it
            _, told = self._told(asked, make=True)
        self._held.update(asked.held)
        self._learn(asked, told)
        return expected.guids

    def _learn(self, asked: _Questions, told: Mapping[str, Sequence[Sequence[Any]]]) -> None:
        known, pairs, ends = self._known, asked.pairs, asked.ends
        if asked.claimed:
            known.standing = standing(asked.claimed, asked.steady, told[DOUBT])
        if asked.guids:
            known.learn_standings(standings_of(asked.guids, told[WALK]), self._held)
        known.learn_owners(asked.keys, told.get(OWNERS, ()))
        known.summaries |= summaries_of(pairs, told.get(SUMMARIES, ()))
        links = told.get(LINKED, ())
        known.learn_links(ends, [Linked(ends[at - 1][0], ends[at - 1][1], child, event) for at, child, event in links])

    def _told(self, asked: _Questions, *, make: bool) -> tuple[int, Mapping[str, Sequence[Sequence[Any]]]]:
        """Send the statements, those that lock before those that read what is locked.

        Returns:
            How many of the guids are held, and the rows of each statement.
        """
        from mergeguard.storage.rows.within import rows_in  # noqa: PLC0415 - most of storage

        source, connection = self.store.source, self._batch.connection
        rows_in(source, connection)
        locks = locking(connection, source.profile, asked.held, make=make)
        share, statements = len(locks) - 1, [*locks, *asked.statements()]
        driver = taught(connection)
        with source.translated(writing=True):
            with driver.pipeline():
                sent = [driver.execute(with_percents(sql).encode(), tuple(values)) for sql, values in statements]
            behind = zip(statements[share + 1 :], sent[share + 1 :], strict=True)
            return sent[share].rowcount, {sql: each.fetchall() for (sql, _), each in behind if each.description}

    def owners(self, keys: Collection[Key]) -> Sequence[KeyOwner]:
        """Return who has any of these keys."""
        ahead = self._known.owners_of(folded(keys))
        return super().owners(keys) if ahead is None else ahead

    def standings(self, guids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Standing]:
        """Say of each guid where it leads now and what stands there."""
        ahead = self._known.standings
        if not ahead.keys() >= set(guids):
            return super().standings(guids)
        self._asked = frozenset(guids)
        return {guid: ahead[guid] for guid in guids}

    def hold(self, guids: Collection[uuid.UUID]) -> None:
        """Keep merges of these guids waiting; what leads to them may have been moved before they were held."""
        missing = set(guids) - self._held
        if not missing:
            return
        super().hold(missing)
        self._held |= missing
        self._known.forget_leading_to(missing)
        if self._ahead is not None:
            self._known.learn_standings(standings_of(*self._ahead), self._held)

    def hold_keys(self, keys: Collection[Key]) -> None:
        """Keep other events from giving these keys to a resource; who has them is asked again behind it."""
        self._known.forget_owners()
        super().hold_keys(keys)

    def summaries(self, pairs: Collection[Pair]) -> Mapping[Pair, Summary]:
        """Return what was loaded last, by (data class, resource)."""
        known = self._known.summaries
        missing = [pair for pair in pairs if pair not in known]
        if missing:
            found = super().summaries(missing)
            for pair in missing:
                there = found.get(pair)
                known[pair] = None if there is None else (there.hash, there.event)
        return {pair: summary for pair in pairs if (summary := self._known.summary_of(pair)) is not None}

    def linked(self, ends: Collection[Pair]) -> Sequence[Linked]:
        """Return all associations of some (type, parent)."""
        known = self._known.links
        missing = frozenset(end for end in ends if end not in known)
        if missing:
            self._known.learn_links(missing, super().linked(missing))
        return [link for end in ends for link in known[end].values()]

    # Writing

    def create(self, guid: uuid.UUID, kind: uuid.UUID, name: str, *, managed: bool = False) -> None:
        """Write a new resource."""
        super().create(guid, kind, name, managed=managed)
        self._known.forget_leading_to({guid, None})

    def activate(self, guid: uuid.UUID) -> None:
        """Make a retired resource active again."""
        super().activate(guid)
        self._known.forget_leading_to({guid})

    def add_keys(self, guid: uuid.UUID, keys: Collection[Key]) -> None:
        """Give a resource keys that it does not have yet."""
        super().add_keys(guid, keys)
        self._known.forget_owners()

    def summarise(
        self, data_class: DataClass, guid: uuid.UUID, rows: int | None, hash_: str | None, event: int
    ) -> None:
        """Write down what is loaded now."""
        if guid in self._subjects:
            self.settle()  # what stood before was confirmed before
        super().summarise(data_class, guid, rows, hash_, event)
        self._known.loaded((data_class.guid, guid), event, hash_)

    def confirm(self, pairs: Collection[Pair], event: int) -> None:
        """Write down that newer events said the same."""
        if pairs:
            self._known.confirmed(pairs, event)
            self._confirmed.append((event, pairs))
        if not self._holds_back:
            self.settle()

    def agree(self, event: int) -> bool:
        """Confirm all that an expected event claims, if all of it stands; say whether it does."""
        claimed = self._known.stands(event)
        if claimed is None:
            return False
        self._known.agreed(claimed)
        self._agreed.append(claimed)
        self._subjects |= claimed.claims.subjects
        if not self._holds_back:
            self.settle()
        return True

    def link(self, links: Collection[Linked]) -> None:
        """Write associations; one that stands gets the newer event."""
        if self._holds_back:
            self._links += links
        else:
            super().link(links)
        self._known.linked(links)

    def unlink(self, links: Collection[Linked]) -> None:
        """Remove associations."""
        self.settle()
        super().unlink(links)
        self._known.unlinked(links)

    # What is held back

    def hold_back(self) -> None:
        """Keep what confirms data and links until ``settle``."""
        self._holds_back = True

    def settle(self) -> None:
        """Add what was held back to the unit of work; what is confirmed is locked since it was read."""
        claimed, self._agreed = self._agreed, []
        if claimed:
            self._subjects = set()
            self._agree_on(claimed)
        confirmed, self._confirmed = self._confirmed, []
        if confirmed:
            newest: dict[Pair, int] = {}
            for event, pairs in sorted(confirmed, key=_EVENT):
                newest.update(dict.fromkeys(pairs, event))
            self.add(CONFIRM, *columns(list(newest)), array(list(newest.values())))
        links, self._links = self._links, []
        if links:
            self._link_all(links)

    def _agree_on(self, claimed: Sequence[Claimed]) -> None:
        (told,) = self.ask(AGREE, agreed(claimed))
        if not all_links_stood(claimed, told):
            ends = frozenset(end for each in claimed for end, *_ in each.claims.limited)
            self._link_all([Linked(*link, each.event) for each in claimed for link in each.claims.links], ends)

    def _link_all(self, links: Collection[Linked], limited: AbstractSet[Pair] = frozenset()) -> None:
        """Give associations that stand the newer event, and make the others; nearly all stand.

        Raises:
            Locked: one does not that is ``limited``, so that another one might have to give way to it.
        """
        told = [(one.event or 0, (one.type, one.parent, one.child)) for one in links]
        newest = {ends: event for event, ends in sorted(told, key=_EVENT)}
        rows = sorted(newest.items(), key=_by_ends)
        values = [*columns([ends for ends, _ in rows]), array([event for _, event in rows]), len(rows)]
        missing = sorted(at - 1 for (at,) in self.ask(RELINK, values))
        new = [rows[at] for at in missing]
        if any((kind, parent) in limited for (kind, parent, _), _ in new):
            raise others_wrote()
        super().link([Linked(kind, parent, child, event) for (kind, parent, child), event in new])


@dataclass(frozen=True, slots=True)
class _Questions:
    """What is asked at once, each list in the order in which it is sent."""

    held: Sequence[uuid.UUID]
    """All guids."""
    guids: Sequence[uuid.UUID]
    """Those that are asked where they lead."""
    keys: Sequence[tuple[str, str]]
    pairs: Sequence[Pair]
    ends: Sequence[Pair]
    claimed: Sequence[Claimed]
    steady: Sequence[uuid.UUID]
    """The guids of those."""

    @classmethod
    def of(cls, expected: Expected) -> _Questions:
        """Put what is expected in order."""
        steady = frozenset().union(*(each.guids for each in expected.claimed))
        return cls(
            in_order(expected.guids | steady),
            in_order(expected.guids),
            list(dict.fromkeys([(key.name, key.value) for key in expected.keys])),
            list(expected.pairs),
            list(expected.ends),
            expected.claimed,
            list(steady),
        )

    def statements(self) -> Iterator[Statement]:
        """Yield the statements that read, those that lock what they read among them."""
        if self.claimed:
            yield DOUBT, doubted(self.claimed, self.steady)
        if self.guids:
            yield WALK, [array(self.guids)]
        if self.keys:
            yield OWNERS, columns(self.keys)
        if self.pairs:
            yield SUMMARIES, columns(self.pairs)
        if self.ends:
            yield PARENTS, [array(in_order({parent for _, parent in self.ends}))]
            yield LINKED, columns(self.ends)


def _by_ends(link: tuple[Ends, int]) -> tuple[int, int, int]:
    (kind, parent, child), _ = link
    return kind.int, parent.int, child.int


def in_order(guids: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    """Return guids in the order of their text, which is that of their numbers."""
    return sorted(guids, key=_NUMBER)
