"""A block of delimited text cut into cells by NumPy: no Python step a row for guids.

Only for text where a delimiter is a delimiter and a line end is a line end, because quotes stand around whole cells or
not at all; everything else goes to the csv module (``storage.csv_reader``). The tests hold both to the same cells.
"""

from __future__ import annotations

import csv

import numpy as np
import numpy.typing as npt

from mergeguard.storage.cells.text_guids import Places, guids_at
from mergeguard.storage.files.text_blocks import Block
from mergeguard.storage.source import GuidCells

_LF, _CR, _QUOTE = ord("\n"), ord("\r"), ord('"')


class PlainBlock:
    """The cells of a block: cell ``(row, column)`` is ``data[starts[row, column]:ends[row, column]]``."""

    def __init__(self, data: bytes, starts: Places, ends: Places) -> None:
        self._data = data
        self._bytes = np.frombuffer(data, np.uint8)
        self._starts = starts
        self._ends = ends

    def __len__(self) -> int:
        return len(self._starts)

    def texts(self, column: int) -> list[str]:
        """Return a column as texts."""
        return self._cut(self._starts[:, column], self._ends[:, column])

    def guid_cells(self, column: int) -> GuidCells:
        """Return a column as guids."""
        starts, ends = self._starts[:, column], self._ends[:, column]
        return guids_at(self._bytes, starts, ends, lambda rows: self._cut(starts[rows], ends[rows]))

    def _cut(self, starts: Places, ends: Places) -> list[str]:
        data = self._data
        return [data[start:end].decode() for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def plain_block(block: Block, width: int, delimiter: str) -> PlainBlock | None:
    """Cut a block into cells; ``None`` where a line is not simply ``width`` cells between delimiters.

    Raises:
        UnreadableFile: the block is not UTF-8.
    """
    data = block.data if block.data.endswith(b"\n") else block.data + b"\n"
    if not data.isascii():
        block.text()
    text = np.frombuffer(data, np.uint8)
    marks = np.flatnonzero((text == ord(delimiter)) | (text == _LF))
    rows, left = divmod(len(marks), width)
    if left:
        return None
    ends_line = text[marks].reshape(rows, width) == _LF
    if not ends_line[:, -1].all() or ends_line[:, :-1].any():
        return None
    starts = np.empty_like(marks)
    starts[0], starts[1:] = 0, marks[:-1] + 1
    return _cells(data, text, starts.reshape(rows, width), marks.reshape(rows, width))


def _cells(data: bytes, text: npt.NDArray[np.uint8], starts: Places, ends: Places) -> PlainBlock | None:
    returns = data.count(b"\r")
    if returns:
        before = text[ends[:, -1] - 1] == _CR
        if np.count_nonzero(before) != returns:
            return None
        ends[:, -1] -= before
    lengths = ends - starts
    # A blank line is no row, and a cell beyond the csv module's limit is for it to refuse.
    if lengths.max() > csv.field_size_limit() or (lengths.shape[1] == 1 and not lengths.all()):
        return None
    if b'"' in data and not _unquoted(text, starts, ends):
        return None
    return PlainBlock(data, starts, ends)


def _unquoted(text: npt.NDArray[np.uint8], starts: Places, ends: Places) -> bool:
    """Leave out the quotes around cells, in place; ``False`` where there are others.

    If every quote is the first or last character of a cell that has both, none of them hides a delimiter, a line end
    or another quote.
    """
    quoted = (ends - starts > 1) & (text[starts] == _QUOTE) & (text[ends - 1] == _QUOTE)
    if 2 * np.count_nonzero(quoted) != np.count_nonzero(text == _QUOTE):
        return False
    starts += quoted
    ends -= quoted
    return True
