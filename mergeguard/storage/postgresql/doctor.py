"""What ``mergeguard doctor`` says about a PostgreSQL target beyond what holds for every database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mergeguard.storage.postgresql.columns import quoted

if TYPE_CHECKING:
    from mergeguard.storage.postgresql.source import PostgresqlSnapshot

Row = tuple[str, str, bool]
_RIGHTS = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
_RIGHT = sa.text("SELECT has_table_privilege(:name, :right)")
_READ_ONLY_TRANSACTION = "25006"


def checks(snapshot: PostgresqlSnapshot) -> Sequence[Row]:
    """Return (check, finding, fine?) rows about versions, the login's rights and the read-only transaction."""
    return [_fast_driver(snapshot), _encryption(snapshot), *_rights(snapshot), _read_only(snapshot)]


def _fast_driver(snapshot: PostgresqlSnapshot) -> Row:
    if not snapshot.source.options.fast:
        return ("fast driver", "not used, as asked", True)
    try:
        return ("fast driver", f"adbc-driver-postgresql {version('adbc-driver-postgresql')}", True)
    except PackageNotFoundError:
        words = "not installed; plain tables do not need it, views and queries are read about three times slower"
        return ("fast driver", words, True)


def _encryption(snapshot: PostgresqlSnapshot) -> Row:
    encrypted = snapshot.source.raw(snapshot.connection).pgconn.ssl_in_use
    return ("encryption", "TLS" if encrypted else "none: what is read crosses the network in clear", True)


def _rights(snapshot: PostgresqlSnapshot) -> list[Row]:
    """Say what the login may do with the merge table."""
    found = snapshot.find(snapshot.source.profile.merge.table)
    if found is None:
        return []
    name = quoted(*found)
    may_read = _has(snapshot, name, "SELECT")
    writes = [right for right in _RIGHTS if _has(snapshot, name, right)]
    could = f"could also {', '.join(writes)}; a read-only login is safer" if writes else "may not write it"
    return [
        ("read permission", "SELECT on the merge table" if may_read else "no SELECT on the merge table", may_read),
        ("write permission", f"this login {could}", True),
    ]


def _has(snapshot: PostgresqlSnapshot, name: str, right: str) -> bool:
    return bool(snapshot.connection.scalar(_RIGHT, {"name": name, "right": right}))


def _read_only(snapshot: PostgresqlSnapshot) -> Row:
    """Try a write that would change nothing even if it were allowed, and see it refused."""
    attempt = snapshot.connection.begin_nested()
    state = None
    try:
        snapshot.connection.execute(sa.text("CREATE TEMPORARY TABLE mergeguard_probe () ON COMMIT DROP"))
    except sa.exc.DBAPIError as refused:
        state = getattr(refused.orig, "sqlstate", None)
    with suppress(sa.exc.SQLAlchemyError):
        attempt.rollback()
    if state == _READ_ONLY_TRANSACTION:
        return ("read-only proof", "the server refuses a write in the transaction that reads", True)
    return ("read-only proof", "the server did not refuse a write in the transaction that reads", False)
