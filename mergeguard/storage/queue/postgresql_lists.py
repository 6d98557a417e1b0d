"""Lists on their way to PostgreSQL, written as the server reads them: the driver takes several times as long."""

from __future__ import annotations

from collections.abc import Iterable


def numbers(values: Iterable[int]) -> str:
    """Write an array of numbers."""
    return f"{{{','.join(map(str, values))}}}"


def guids(values: Iterable[int]) -> str:
    """Write an array of guids, which are given as numbers; 0, the empty source, is none."""
    return f"{{{','.join([f'{value:032x}' if value else 'NULL' for value in values])}}}"
