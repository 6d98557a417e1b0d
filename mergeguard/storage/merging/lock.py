"""The merge lock: merges hold it shared, repairs, undos and full builds of the lookup hold it alone.

Programs that know nothing of it are kept from the merge table by a table lock that the holder takes as well. The names
below are the lock: two versions of MergeGuard, and the procedures in a database, exclude one another only as long as
they agree on them. They must never change.
"""

from __future__ import annotations

from mergeguard.storage.rows.database import DatabaseRows

NAME = "mergeguard merges {schema}.{table}"
"""The lock's name, with schema and table as the catalogue spells them.

PostgreSQL: the advisory lock of the key ``hashtextextended(name, 0)``. SQL Server: the application lock of that
resource; a name of more than 255 characters is cut off there. SQLite has the one lock that ``BEGIN IMMEDIATE`` takes.
"""


def hold_shared(rows: DatabaseRows) -> None:
    """Take the merge lock as a merge does, until the transaction of ``rows`` ends; its own row locks come after it.

    Raises:
        Locked: a repair holds it for longer than the lock timeout.
    """
    with rows.source.translated(writing=True):
        rows.lock_merges(exclusively=False)
