"""What a merge script does that does not look first, for the demonstration: a circle in which nobody is live."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from mergeguard.storage import failures

_WHEN: Final = "2024-07-04 0{}:00:00"
_MERGE: Final = 'INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid", "MergedAt", "MergeKey") VALUES (?, ?, ?, ?)'
_NOT_LIVE: Final = 'DELETE FROM "ItemResource" WHERE "Guid" = ?'


def close_circle(database: Path, ring: Sequence[uuid.UUID]) -> None:
    """Merge each guid into the next one, and the last into the first, in the reference schema; none stays live.

    Raises:
        WriteFailed: a guard refused it, or something else did; nothing was written.
    """
    following = [*ring[1:], ring[0]]
    translated = failures.translated(str(database), writing=True)
    with translated, closing(sqlite3.connect(database)) as connection, connection:  # the last one commits or rolls back
        for hour, (old, new) in enumerate(zip(ring, following, strict=True)):
            connection.execute(_MERGE, (str(old), str(new), _WHEN.format(hour), "No Match"))
            connection.execute(_NOT_LIVE, (str(old),))
