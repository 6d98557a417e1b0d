"""Keeps the stored lookup right while components change: after each, the rows of its olds and of all that lead to them.

Where an old leads is worked out by the same code as the whole lookup, from the few rows that its walks meet.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from mergeguard.core import guids
from mergeguard.core.closure import STATUS_TEXTS
from mergeguard.core.facts import Facts
from mergeguard.core.lookup import lookup_of
from mergeguard.storage.database_lookup import LookupWriter
from mergeguard.storage.source import LookupChange, silent

if TYPE_CHECKING:
    from mergeguard.storage.database import DatabaseSource
    from mergeguard.storage.database_rows import DatabaseRows
    from mergeguard.storage.profile import Profile


class LookupPart:
    """The stored lookup of an open database, rewritten a part at a time inside the caller's transactions."""

    def __init__(self, source: DatabaseSource, profile: Profile) -> None:
        self._source = source
        self._lookup = profile.lookup
        self._writer: LookupWriter | None = None

    def rebuild(self, rows: DatabaseRows, olds: Collection[uuid.UUID], facts: Facts) -> int:
        """Write the rows of some olds anew; return how many were written. The caller commits.

        ``facts`` are all rows on all walks from them; an old without any is taken out of the lookup.
        """
        change = _change(facts, olds)
        asked = guids.from_uuids(sorted(olds))
        with self._source.translated(writing=True):
            writer = self._prepared(rows)
            # Row by row, whatever the dialect: its bulk way costs more to begin than such a part has rows.
            LookupWriter.delete(writer, asked)
            if len(change.olds):
                LookupWriter.insert(writer, change, silent)
        return len(change.olds)

    def _prepared(self, rows: DatabaseRows) -> LookupWriter:
        if self._writer is None or self._writer.connection is not rows.connection:
            self._writer = self._source.writer_class(self._source, rows.connection, self._lookup)
            LookupWriter.prepare(self._writer)
        return self._writer


def _change(facts: Facts, olds: Collection[uuid.UUID]) -> LookupChange:
    wanted = frozenset(olds)
    chosen = np.array([lead for lead in facts.leads.tolist() if facts.old(lead) in wanted], np.int32)
    new = lookup_of(facts, chosen)
    return LookupChange(
        new.olds, new.currents, new.has_current, new.depths, new.statuses, STATUS_TEXTS, guids.empty(), full=False
    )
