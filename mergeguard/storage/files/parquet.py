"""A Parquet file as a target: mapped into memory and read batch by batch, never as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mergeguard.errors import UnreadableFile
from mergeguard.storage import failures
from mergeguard.storage.cells import arrow_cells
from mergeguard.storage.files.source import FileSource
from mergeguard.storage.profile import ByteOrder
from mergeguard.storage.source import Batch, Kind

ParquetSource = FileSource
"""A Parquet file is a file like any other: ``FileSource`` opens it by its name's ending."""


class ParquetTable:
    """A Parquet file; its columns may be 16-byte values, Arrow's uuid type, texts, or dictionaries of these.

    Args:
        path: the file.
        batch_rows: how many rows to read at a time.
        byte_order: of plain 16-byte values.

    Raises:
        MissingExtra: pyarrow is not installed.
        UnreadableFile: it is a folder, not Parquet, or damaged.
        TargetNotFound: there is no such file.
        PermissionDenied: the operating system does not allow the read.
    """

    def __init__(self, path: Path, batch_rows: int, byte_order: ByteOrder = "text") -> None:
        self.path = path
        self._batch_rows = batch_rows
        self._byte_order = byte_order
        with self._file() as file:
            self.names: Sequence[str] = file.schema_arrow.names
            self.types: Sequence[str] = [str(kind) for kind in file.schema_arrow.types]
            self.rows: int = file.metadata.num_rows

    def batches(self, wanted: Sequence[tuple[int, Kind]]) -> Iterator[Batch]:
        """Yield the wanted columns, each given by its place and kind, in the order of the file."""
        names = list(dict.fromkeys(self.names[place] for place, _ in wanted))
        with self._file() as file:
            batches = file.iter_batches(self._batch_rows, columns=names)
            for batch in _drawn(self.path, batches):
                yield tuple(
                    arrow_cells.cells(kind, batch.column(self.names[place]), self._byte_order) for place, kind in wanted
                )

    @contextmanager
    def _file(self) -> Iterator[Any]:
        if self.path.is_dir():
            raise UnreadableFile(f"{self.path} is a folder, not a file", hint="name one of the files in it")
        with _translated(self.path):
            from pyarrow.parquet import ParquetFile  # noqa: PLC0415 - an optional package, and a slow import

            # Buffering ahead would hold the whole file's columns.
            opened = ParquetFile(self.path, memory_map=True, pre_buffer=False)
        with opened:
            yield opened


def _drawn(path: Path, batches: Iterator[Any]) -> Iterator[Any]:
    while True:
        with _translated(path):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Say in words what pyarrow and the operating system raise; a missing pyarrow too."""
    with failures.translated(str(path)):
        from pyarrow import ArrowException  # noqa: PLC0415 - as above

        try:
            yield
        except ArrowException as error:
            reason = str(error).splitlines()[0][:200]
            raise UnreadableFile(f"{path} is not a readable Parquet file: {reason}", hint="write it again") from None
