"""Merges by key, within the transaction of a batch."""

from __future__ import annotations

import copy
import uuid
from typing import TYPE_CHECKING, Final

from mergeguard.processor.handlers import EventBatch

if TYPE_CHECKING:
    from mergeguard.resources.merge import ReadyMerges
    from mergeguard.storage.importing.store import ImportStore
    from mergeguard.storage.profile import Profile

LONGEST_KEY: Final = 250
"""Characters of the column that holds the key."""


class KeyMerging:
    """Merges in a database whose journal and own tables stand; see ``resources.merge.prepare_merges``.

    Args:
        ready: of the database.
        store: says at each merge which data classes there are, for somebody may have added one, on another host
            perhaps: a merge has to know every table that refers to resources. ``None``: those of ``ready`` for ever.
    """

    def __init__(self, ready: ReadyMerges, store: ImportStore | None = None) -> None:
        self._ready = ready
        self._store = store

    def merge(self, batch: EventBatch, old: uuid.UUID, new: uuid.UUID, key: str) -> None:
        """Merge ``old`` into ``new``.

        Raises:
            MergeRefused: it must not be made; the batch goes on without it.
            Locked: somebody else merges the same; the batch is rolled back and tried again.
        """
        from mergeguard.storage.rows.within import rows_in  # noqa: PLC0415 - workers start without SQLAlchemy

        with batch.savepoint():
            ready = self._current(batch)
            rows = rows_in(ready.source, batch.connection)
            ready.merge_within(rows, old, new, key=key[:LONGEST_KEY])

    def _current(self, batch: EventBatch) -> ReadyMerges:
        """Return what merges go by, with the references of all classes that are in the catalogue now."""
        from mergeguard.storage.importing.references import with_catalogue  # noqa: PLC0415 - as above

        ready = self._ready
        if self._store is None:
            return ready
        self._store.forget()
        profile = with_catalogue(ready.profile, self._store.catalogue(batch.connection))
        if profile is not ready.profile:
            ready = self._ready = _by(ready, profile)
        return ready


def _by(ready: ReadyMerges, profile: Profile) -> ReadyMerges:
    """Return the same database by a profile that declares more references."""
    from mergeguard.resources.merge import ReadyMerges  # noqa: PLC0415 - as above
    from mergeguard.resources.one_merge import OneMerge  # noqa: PLC0415 - as above
    from mergeguard.storage.journal.writing import Journal  # noqa: PLC0415 - as above
    from mergeguard.storage.who import who  # noqa: PLC0415 - as above

    _ = ready.source.engine  # made before it is shared
    source = copy.copy(ready.source)
    source.profile = profile
    one = OneMerge(source, profile, Journal(source, profile), who(source), ready.guard)
    return ReadyMerges(source, profile, one, ready.guard)
