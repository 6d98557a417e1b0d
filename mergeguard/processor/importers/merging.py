"""Merges by key, within the transaction of a batch."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from mergeguard.processor.handlers import EventBatch

if TYPE_CHECKING:
    from mergeguard.resources.merge import ReadyMerges

LONGEST_KEY: Final = 250
"""Characters of the column that holds the key."""


class KeyMerging:
    """Merges in a database whose journal and own tables stand; see ``resources.merge.prepare_merges``."""

    def __init__(self, ready: ReadyMerges) -> None:
        self._ready = ready

    def merge(self, batch: EventBatch, old: uuid.UUID, new: uuid.UUID, key: str) -> None:
        """Merge ``old`` into ``new``.

        Raises:
            MergeRefused: it must not be made; the batch goes on without it.
            Locked: somebody else merges the same; the batch is rolled back and tried again.
        """
        from mergeguard.storage.rows_within import rows_in  # noqa: PLC0415 - workers start without SQLAlchemy

        with batch.savepoint():
            rows = rows_in(self._ready.source, batch.connection)
            self._ready.merge_within(rows, old, new, key=key[:LONGEST_KEY])
