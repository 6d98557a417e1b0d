"""Reads columns of ISO 8601 texts; the usual case, all texts of one shape, without a Python step a value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mergeguard.core.table import Times
from mergeguard.storage.cells import database_cells

_SHAPES = {
    len(shape): shape
    for shape in ("dddd-dd-dd", "dddd-dd-ddTdd:dd:dd", "dddd-dd-ddTdd:dd:dd.ddd", "dddd-dd-ddTdd:dd:dd.dddddd")
}
_FIRST = np.datetime64("0001-01-01", "us")


def times(texts: Sequence[str | None]) -> Times:
    """Read points in time as ``datetime64[us]`` in UTC; NaT for NULL and for what is no time.

    Dates, dates with a time, ``Z`` and offsets; without a zone a text is taken as UTC.
    """
    fast = _uniform(texts)
    return database_cells.times(texts) if fast is None else fast


def _uniform(texts: Sequence[str | None]) -> Times | None:
    """Read texts of one usual shape; ``None`` where they are not, or where one of them is no time."""
    matrix = _matrix(texts)
    if matrix is None:
        return None
    if (matrix[:, -1] == ord("Z")).all():
        matrix = matrix[:, :-1]
    if not _shaped(matrix):
        return None
    try:
        found = np.ascontiguousarray(matrix).view(f"S{matrix.shape[1]}").reshape(-1).astype("datetime64[us]")
    except ValueError:
        return None
    # NumPy knows a year 0, the calendar of datetime does not.
    return found if (found >= _FIRST).all() else None


def _matrix(texts: Sequence[str | None]) -> npt.NDArray[np.uint8] | None:
    """Return texts of equal length as ``(n, length)`` characters."""
    try:
        text: str = "".join(texts)  # type: ignore[arg-type]
    except TypeError:
        return None
    lengths = set(map(len, texts))  # type: ignore[arg-type]
    if len(lengths) != 1 or not text or not text.isascii():
        return None
    return np.frombuffer(text.encode("ascii"), np.uint8).reshape(len(texts), -1)


def _shaped(matrix: npt.NDArray[np.uint8]) -> bool:
    shape = _SHAPES.get(matrix.shape[1])
    if shape is None:
        return False
    pattern = np.frombuffer(shape.encode("ascii"), np.uint8)
    digits = pattern == ord("d")
    fixed = ~digits & (pattern != ord("T"))
    between = matrix[:, pattern == ord("T")]
    found = matrix[:, digits]
    return bool(
        ((found >= ord("0")) & (found <= ord("9"))).all()
        and (matrix[:, fixed] == pattern[fixed]).all()
        and ((between == ord("T")) | (between == ord(" "))).all()
    )
