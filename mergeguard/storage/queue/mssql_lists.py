"""Lists of values in a statement of SQL Server: a table of parameters, each with its type, in pieces that it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

Row: TypeAlias = Sequence[Any]
PARAMETERS = 1800
"""At once; the server takes 2,100."""
GIVEN = "{given}"
"""Where the table of parameters stands in a statement."""


def pieces(
    statement: str, types: Sequence[str], rows: Sequence[Row], before: Row = (), after: Row = ()
) -> Iterator[tuple[str, list[Any]]]:
    """Yield a statement with its values for as many rows at a time as the server takes.

    Args:
        statement: with ``GIVEN`` for the table of the rows.
        types: of the columns.
        rows: at least one.
        before: values of parameters that stand before the table.
        after: values of parameters that stand behind it.
    """
    row = "({})".format(", ".join(f"CAST(? AS {kind})" for kind in types))
    most = PARAMETERS // len(types)
    for start in range(0, len(rows), most):
        some = rows[start : start + most]
        given = "(VALUES {})".format(", ".join([row] * len(some)))
        yield statement.replace(GIVEN, given), [*before, *(value for one in some for value in one), *after]
