"""ODBC connection strings: reading, writing and making one of a SQLAlchemy URL.

SQLAlchemy makes them too, but its 2.0 series decodes ``odbc_connect`` twice, which breaks a password that holds ``+``
or ``%``, and arrow-odbc needs the same string as pyodbc. Nothing here imports a driver.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from mergeguard.errors import UsageError

if TYPE_CHECKING:
    import sqlalchemy as sa

Pairs: TypeAlias = list[tuple[str, str]]
"""Keys and values of a connection string in their order, values without braces."""

_PAIR = re.compile(r"[\s;]*(?P<key>[^=;]+?)\s*=\s*(?P<value>\{(?:[^}]|\}\})*\}|[^;]*)\s*(?:;|\Z)", re.DOTALL)
_PLAIN = re.compile(r"[^\s\[\]{}(),;?*=!@]+(?: [^\s\[\]{}(),;?*=!@]+)*")
_PASSWORDS = frozenset({"pwd", "password"})
# What SQLAlchemy takes from the query of a URL for itself: no business of the driver.
_NOT_FOR_ODBC = frozenset({"ansi", "unicode_results", "autocommit", "driver", "odbc_autotranslate", "dsn"})
_MICROSOFT = re.compile(r"ODBC Driver (\d+) for SQL Server")


def pairs(text: str) -> Pairs:
    """Take a connection string apart; what is no ``key=value`` is left out."""
    found: Pairs = []
    for match in _PAIR.finditer(text):
        value = match["value"]
        braced = value.startswith("{") and value.endswith("}") and len(value) > 1
        found.append((match["key"], value[1:-1].replace("}}", "}") if braced else value.strip()))
    return found


def joined(parts: Pairs) -> str:
    """Write a connection string; values are put in braces where they need it."""
    return ";".join(f"{key}={quoted(value)}" for key, value in parts)


def quoted(value: str) -> str:
    """Write one value as ODBC reads it back."""
    return value if not value or _PLAIN.fullmatch(value) else "{" + value.replace("}", "}}") + "}"


def with_password(text: str, password: str) -> str:
    """Return a connection string with this password in place of any other."""
    return joined([*(pair for pair in pairs(text) if pair[0].lower() not in _PASSWORDS), ("PWD", password)])


def connection_string(url: sa.URL, installed: Sequence[str], application: str) -> str:
    """Make the connection string of a ``mssql+pyodbc`` URL.

    Args:
        url: with ``odbc_connect``, with a data source name as its host, or with host and database.
        installed: the names of the installed ODBC drivers; the newest one is taken where the URL names none.
        application: what the server's session list shows.

    Raises:
        UsageError: the URL names no driver and none for SQL Server is installed.
    """
    whole = url.query.get("odbc_connect")
    parts = pairs(_single(whole)) if whole is not None else _url_pairs(url, installed)
    if not {key.lower() for key, _ in parts} & {"app", "application name"}:
        parts.append(("APP", application))
    return joined(parts)


def _url_pairs(url: sa.URL, installed: Sequence[str]) -> Pairs:
    query = {key: _single(value) for key, value in url.query.items()}
    parts: Pairs
    dsn = query.get("dsn") or ("" if url.database or "driver" in query else url.host)
    if dsn:
        parts = [("DSN", dsn)]
    else:
        port = f",{url.port}" if url.port else ""
        driver = query.get("driver") or newest(installed)
        parts = [("DRIVER", driver), ("SERVER", f"{url.host or 'localhost'}{port}"), ("DATABASE", url.database or "")]
    if url.username:
        parts += [("UID", url.username), ("PWD", str(url.password or ""))]
    elif not {key.lower() for key in query} & {"authentication", "uid", "trusted_connection"}:
        parts.append(("Trusted_Connection", "Yes"))
    return parts + [(key, value) for key, value in query.items() if key.lower() not in _NOT_FOR_ODBC]


def newest(installed: Sequence[str]) -> str:
    """Choose the driver for SQL Server: Microsoft's newest, else FreeTDS.

    Raises:
        UsageError: none of them is installed.
    """
    microsoft = [(int(match[1]), match[0]) for name in installed if (match := _MICROSOFT.fullmatch(name))]
    if microsoft:
        return max(microsoft)[1]
    others = [name for name in installed if name.lower() in {"freetds", "tds"}]
    if others:
        return others[0]
    raise UsageError(
        "no ODBC driver for SQL Server is installed" + (f", only {', '.join(installed)}" if installed else ""),
        hint="install Microsoft ODBC Driver 18 for SQL Server, or FreeTDS, or name one: ?driver=...",
    )


def _single(value: str | tuple[str, ...]) -> str:
    """Return the value of a query key; the last one where it stands more than once."""
    return value if isinstance(value, str) else value[-1]
