"""The unit of work of a batch: statements of handlers, with a ``?`` for each value, on their way to a driver."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

_PARTS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|[?%]", re.DOTALL)


@lru_cache(maxsize=256)
def with_percents(statement: str) -> str:
    """Return a statement with ``%s`` in place of each ``?`` that stands for a value, as psycopg has it."""
    return _PARTS.sub(lambda found: "%s" if found[0] == "?" else found[0].replace("%", "%%"), statement)


_ROW = re.compile(
    r"(\s*INSERT\s+INTO\s[^?'()]+(?:\([^?'()]*\)\s*)?VALUES\s*)(\(\s*\?(?:\s*,\s*\?)*\s*\))\s*;?\s*", re.IGNORECASE
)


@lru_cache(maxsize=256)
def of_rows(statement: str, count: int) -> tuple[str, int] | None:
    """Return an INSERT of one row as one of several, and how many values a row has; ``None`` for anything else.

    Nothing but values may stand in the row, and nothing behind it: then both write the same.
    """
    found = _ROW.fullmatch(statement)
    return None if found is None else (found[1] + ", ".join([found[2]] * count), found[2].count("?"))


Group: TypeAlias = tuple[str, Sequence[Sequence[Any]]]
"""A statement, and the rows for which it is sent."""


class UnitOfWork:
    """Statements in the order in which they were added.

    Args:
        send: sends statements, each for several rows, in as few round trips as the driver can.
    """

    def __init__(self, send: Callable[[Sequence[Group]], None]) -> None:
        self._send = send
        self._statements: list[tuple[str, Sequence[Any]]] = []
        self._sent = 0

    @property
    def position(self) -> int:
        """How many statements were added and not dropped."""
        return self._sent + len(self._statements)

    def add(self, statement: str, row: Sequence[Any]) -> None:
        """Add a statement."""
        self._statements.append((statement, row))

    def flush(self, end: int | None = None) -> None:
        """Send what stands before a position, by default everything; equal statements in a row go together."""
        count = len(self._statements) if end is None else max(0, end - self._sent)
        statements, self._statements = self._statements[:count], self._statements[count:]
        self._sent += len(statements)
        if statements:
            alike = groupby(statements, key=itemgetter(0))
            self._send([(statement, [row for _, row in same]) for statement, same in alike])

    def drop(self, start: int) -> None:
        """Forget what stands behind a position and was not sent."""
        del self._statements[max(0, start - self._sent) :]
