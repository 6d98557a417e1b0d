"""What a database does for importers, within the transaction of a batch. Guids come as ``uuid.UUID``, texts as text."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mergeguard.core.importing.answers import Answers
from mergeguard.core.importing.catalogue import Catalogue, DataClass
from mergeguard.core.importing.claims import Claimed
from mergeguard.core.importing.standing import KeyOwner, Linked, Standing, Summary
from mergeguard.core.nse.message import Key


class OpenBatch(Protocol):
    """What importers need of a batch, the store's own or as a handler sees it; see ``queue.store.Batch``."""

    @property
    def connection(self) -> Any:  # noqa: ANN401 - a sqlalchemy.Connection
        """The connection in the open transaction, with all that was added before."""

    def add(self, statement: str, row: Sequence[Any] = ()) -> None:
        """Add a statement to the unit of work."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What events are about to hold and to ask, as far as their messages tell it."""

    guids: frozenset[uuid.UUID] = frozenset()
    keys: tuple[Key, ...] = ()
    """Perhaps some of them twice."""
    pairs: frozenset[tuple[uuid.UUID, uuid.UUID]] = frozenset()
    """Of (data class, resource)."""
    ends: frozenset[tuple[uuid.UUID, uuid.UUID]] = frozenset()
    """Of (association type, parent)."""
    claimed: tuple[Claimed, ...] = ()
    """Events that are only asked about as a whole: whether all that they claim stands. Their guids are held as well."""

    @classmethod
    def of(cls, each: Collection[Expected]) -> Expected:
        """Return what several events expect together."""
        return cls(
            frozenset().union(*(one.guids for one in each)),
            tuple([key for one in each for key in one.keys]),
            frozenset().union(*(one.pairs for one in each)),
            frozenset().union(*(one.ends for one in each)),
            tuple([claimed for one in each for claimed in one.claimed]),
        )


class ImportTransaction(Protocol):
    """Reads and writes of an event, or of several. Reads see what was written before; writes are sent later, in order.

    Whoever decides on something keeps others from changing it by the call that reads it: ``hold`` the guids that are
    written, ``hold_keys`` the keys that are new to a resource, then ask again; ``create`` resources before asking for
    ``summaries`` and ``linked``, which keep others waiting by themselves. Equal statements that stand together travel
    together: first the rows of all classes, then what is summarised, then links.
    """

    @property
    def answers(self) -> Answers:
        """What was read ahead, as it stands now; it may be nothing."""

    def expect(self, expected: Expected) -> Collection[uuid.UUID]:
        """Hold guids, and then read what is going to be asked of them, all on one way to the database.

        The next questions are answered from it, and what is written through this transaction changes the answers. To
        expect nothing forgets them: something else has written. What was expected before is not asked for again.

        Returns:
            The guids that are held now; none where a way to the database costs nothing, so that nothing was done.
        """

    def hold_back(self) -> None:
        """Keep what confirms data and links until ``settle``, to be sent for several events at once."""

    def settle(self) -> None:
        """Add what was held back to the unit of work; before anybody else reads or writes, and at the end."""

    def owners(self, keys: Collection[Key]) -> Sequence[KeyOwner]:
        """Return who has any of these keys, in one statement; names and values are compared without case."""

    def hold_keys(self, keys: Collection[Key]) -> None:
        """Keep other events from giving these keys to a resource until the batch ends; in an order that all keep.

        Asked for only where a key is about to get an owner: whoever has read ``owners`` reads them again behind it.

        Raises:
            Locked: another event holds one of them for too long, or for ever: a deadlock.
        """

    def standings(self, guids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Standing]:
        """Say of each guid where it leads now and what stands there, in one or two statements; it ends on any table.

        A guid that no table knows stands there as well, as its own current that is not live.
        """

    def hold(self, guids: Collection[uuid.UUID]) -> None:
        """Keep merges of these guids waiting until the batch ends; others may hold them too. In text order, at once.

        Raises:
            Locked: a merge of one of them holds it for too long, or for ever: a deadlock.
        """

    def summaries(
        self, pairs: Collection[tuple[uuid.UUID, uuid.UUID]]
    ) -> Mapping[tuple[uuid.UUID, uuid.UUID], Summary]:
        """Return what was loaded last, by (data class, resource); what was never loaded is left out.

        Until the batch ends other events wait that ask the same of one of the pairs, of those left out, too: what is
        the newest is decided by one event at a time.
        """

    def linked(self, ends: Collection[tuple[uuid.UUID, uuid.UUID]]) -> Sequence[Linked]:
        """Return all associations of some (type, parent); other events that ask for one of them wait, as above."""

    def create(self, guid: uuid.UUID, kind: uuid.UUID, name: str, *, managed: bool = False) -> None:
        """Write a new resource: its item and that it is live; what stands there already stays as it is."""

    def activate(self, guid: uuid.UUID) -> None:
        """Make a retired resource active again."""

    def add_keys(self, guid: uuid.UUID, keys: Collection[Key]) -> None:
        """Give a resource keys that it does not have yet."""

    def replace_rows(self, data_class: DataClass, guid: uuid.UUID, rows: Sequence[Sequence[Any]]) -> None:
        """Write the rows of a resource in place of those that stand there; cells in the order of the catalogue."""

    def update_rows(self, data_class: DataClass, guid: uuid.UUID, rows: Sequence[Mapping[str, Any]]) -> None:
        """Change the given columns of the rows with the same key columns; a row that is not there is inserted."""

    def append_rows(
        self, data_class: DataClass, guid: uuid.UUID, rows: Sequence[Sequence[Any]], time: dt.datetime
    ) -> None:
        """Add rows of an event class."""

    def summarise(
        self, data_class: DataClass, guid: uuid.UUID, rows: int | None, hash_: str | None, event: int
    ) -> None:
        """Write down what is loaded now; ``rows`` is ``None`` after a partial update: as many as stand there."""

    def confirm(self, pairs: Collection[tuple[uuid.UUID, uuid.UUID]], event: int) -> None:
        """Write down that newer events said the same of some (data class, resource)."""

    def agree(self, event: int) -> bool:
        """Confirm all that an expected event claims, if all of it stands; say whether it does.

        Raises:
            Locked: by now or at ``settle``: other sessions write to the same.
        """

    def link(self, links: Collection[Linked]) -> None:
        """Write associations; one that stands gets the newer event, and keeps its own where that is newer."""

    def unlink(self, links: Collection[Linked]) -> None:
        """Remove associations."""


class ImportStore(Protocol):
    """The reference schema of one database. Shared by threads."""

    def create(self) -> None:
        """Bring the schema up to date, and make the tables that merges lock.

        Raises:
            UnknownSchema: the database holds a schema that this version does not know.
            PermissionDenied, Locked, WriteFailed: the migrations before it stay.
        """

    def catalogue(self, connection: Any) -> Catalogue:  # noqa: ANN401 - a sqlalchemy.Connection
        """Read the catalogue; it is kept until ``forget``."""

    def forget(self) -> None:
        """Read the catalogue again next time: a class was not found in it, or somebody changed it."""

    def within(self, batch: OpenBatch) -> ImportTransaction:
        """Return the reads and writes of the transaction that is open in a batch."""

    def standings(self, connection: Any, guids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Standing]:  # noqa: ANN401 - as above
        """Say where guids lead, outside of a batch: for whoever wakes parked events."""

    def purge(self, connection: Any, rows: int = 10_000) -> int:  # noqa: ANN401 - as above
        """Delete rows of event classes that are too old or too many, at most so many; return how many.

        The caller commits, and asks again until it gets 0.
        """
