"""A file as a target: one pass over it, other files of its folder beside it as further tables.

The merge table is the target itself, whatever the profile calls it; every other table is the path of a file, relative
to the target's folder. A row without a row id of its own is named by its number among the data rows, from 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mergeguard.core import guids
from mergeguard.errors import UnknownSchema, Unsupported, UsageError
from mergeguard.storage import failures
from mergeguard.storage.files import rows as file_rows
from mergeguard.storage.profile import Lookup, Profile
from mergeguard.storage.source import Batch, Kind, Options, Progress, Selection, Snapshot, TargetInfo, silent

if TYPE_CHECKING:
    from mergeguard.storage.database.writing import DatabaseWriting
    from mergeguard.storage.lookup.building import LookupBuilding
    from mergeguard.storage.rows.database import DatabaseRows

TEXT_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
SUFFIXES = (*TEXT_SUFFIXES, ".parquet")
_State = tuple[int, int]


class DataFile(Protocol):
    """A file of rows and named columns, whatever its format."""

    @property
    def names(self) -> Sequence[str]:
        """Its columns."""
        ...

    @property
    def types(self) -> Sequence[str]:
        """Their types, as the format spells them."""
        ...

    @property
    def rows(self) -> int | None:
        """How many rows there are, where that is known without reading them."""
        ...

    def batches(self, wanted: Sequence[tuple[int, Kind]]) -> Iterator[Batch]:
        """Yield the wanted columns, each given by its place and kind, in the order of the file."""
        ...


class FileSnapshot:
    """Files as they are while they are read; a change in between is noted, for nothing can prevent it."""

    isolation = "one pass over the file"

    def __init__(self, path: Path, profile: Profile, options: Options) -> None:
        self.notes: list[str] = []
        self._path = path
        self._profile = profile
        self._options = options
        self._states: dict[Path, _State] = {}

    def read(self, selection: Selection, progress: Progress = silent, phase: str = "reading") -> Iterator[Batch]:
        """Yield batches of the selected columns; see ``source.Snapshot.read``.

        Raises:
            UsageError: a query was asked for.
            UnknownSchema: a file or column does not exist; the hint names the nearest ones.
            UnreadableFile: the file's text, compression or layout cannot be decoded.
        """
        if selection.query is not None:
            raise UsageError("a file has no queries", hint="name the other file and its columns instead")
        path = self._resolved(selection.table)
        file = self._opened(path)
        kinds = [column.kind for column in selection.columns]
        flags = self._flags() if path == self._path else {}
        wanted = [(_place(path, file.names, column.name, flags), column.kind) for column in selection.columns]
        wanted += [(_place(path, file.names, name, flags), Kind.TEXT) for name, _ in selection.where]
        batches = file_rows.filtered(file.batches(wanted), len(kinds), [value for _, value in selection.where])
        if selection.counted:
            batches = file_rows.counted(batches, kinds)
        total = None if selection.where or selection.counted else file.rows
        done = 0
        for batch in batches:
            done += file_rows.length(batch[0])
            progress(phase, done, total)
            yield batch
        self._check_unchanged(path)

    def has_table(self, table: str) -> bool:
        """Say whether a file exists."""
        return self._is_target(table) or (_is_data(table) and self._beside(table).is_file())

    def columns(self, table: str) -> Sequence[tuple[str, str]]:
        """Return (name, type) of each column."""
        file = self._opened(self._resolved(table))
        return list(zip(file.names, file.types, strict=True))

    def tables(self) -> Sequence[str]:
        """Return the names of the target and of the data files beside it."""
        with failures.translated(str(self._path)):
            others = sorted(entry.name for entry in os.scandir(self._path.parent) if _is_data(entry.name))
        return [self._path.name, *(name for name in others if name != self._path.name)]

    def _flags(self) -> Mapping[str, str]:
        """Return by which flag each column of the merges could be named."""
        merge = self._profile.merge
        named = {merge.old: "old", merge.new: "new", merge.row_id: "id", merge.time: "time", merge.merge_key: "key"}
        return {column: f"--{flag}-column" for column, flag in named.items() if column is not None}

    def _is_target(self, table: str | None) -> bool:
        return table is None or table in {self._profile.merge.table, self._path.name}

    def _beside(self, table: str) -> Path:
        return self._path.parent / table

    def _resolved(self, table: str | None) -> Path:
        if table is None or self._is_target(table):
            return self._path
        if not self.has_table(table):
            raise UnknownSchema(
                f"there is no file {self._beside(table)}", hint=_hint(table, self.tables(), "data files beside it")
            )
        return self._beside(table)

    def _opened(self, path: Path) -> DataFile:
        self._states.setdefault(path, _state(path))
        return open_file(path, self._options, self._profile)

    def _check_unchanged(self, path: Path) -> None:
        note = f"the file {path} changed while it was read: what is reported may be of two moments"
        if _state(path) != self._states[path] and note not in self.notes:
            self.notes.append(note)


class FileSource:
    """A .csv, .tsv, .csv.gz, .tsv.gz or .parquet file.

    Args:
        path: of the file that holds the merges.
        profile: names its columns, and other files as tables.
        options: ``fast`` and ``batch_rows`` are heeded.
    """

    def __init__(self, path: Path, profile: Profile, options: Options) -> None:
        self._path = path
        self._profile = profile
        self._options = options
        kind = "parquet" if path.suffix.lower() == ".parquet" else "csv"
        self.info = TargetInfo(str(path), kind, _FORMATS[kind], path.name)

    @contextmanager
    def snapshot(self) -> Iterator[FileSnapshot]:
        """Check that the file can be read, and offer it; nothing is ever written.

        Raises:
            TargetNotFound: there is no such file.
            PermissionDenied: the operating system does not allow the read.
            UnreadableFile: it is a folder, or not what its name says.
        """
        opened = FileSnapshot(self._path, self._profile, self._options)
        opened.columns(self._path.name)
        yield opened

    def recover(self) -> None:
        """Do nothing: a file is only ever read."""

    def building(self, lookup: Lookup) -> AbstractContextManager[LookupBuilding]:  # noqa: ARG002 - the contract's parameter
        """Refuse: a file is only ever read.

        Raises:
            Unsupported: always.
        """
        raise Unsupported(
            f"{self._path}: a lookup cannot be written into a file that holds merges",
            hint="use `mergeguard lookup export`",
        )

    def rows(self, snapshot: Snapshot) -> DatabaseRows:  # noqa: ARG002 - the contract's parameters
        """Refuse: the rows of a file are not repaired one by one.

        Raises:
            Unsupported: always.
        """
        raise self._unchangeable()

    def writing(self) -> AbstractContextManager[DatabaseWriting]:
        """Refuse: a file is only ever read.

        Raises:
            Unsupported: always.
        """
        raise self._unchangeable()

    def _unchangeable(self) -> Unsupported:
        return Unsupported(
            f"{self._path}: the rows of a file cannot be repaired in place",
            hint="repair the database that the file was exported from, or import the file into SQLite first",
        )

    def doctor(self) -> Sequence[tuple[str, str, bool]]:
        """Return (check, finding, fine?) rows."""
        with self.snapshot() as snapshot:
            names = [name for name, _ in snapshot.columns(self._path.name)]
        size, _ = _state(self._path)
        merge = self._profile.merge
        missing = [name for name in (merge.old, merge.new) if name not in names]
        return [
            ("file", f"{self.info.server}, {size:,} bytes, readable", True),
            ("isolation", FileSnapshot.isolation, True),
            ("columns", ", ".join(names), True),
            (
                "merge table",
                f"no column {' and no column '.join(missing)}" if missing else "old and new found",
                not missing,
            ),
            ("read-only", "files are opened for reading only", True),
        ]

    def close(self) -> None:
        """Do nothing: every read opens the file and closes it."""


_FORMATS = {"csv": "delimited text", "parquet": "Apache Parquet"}


def open_file(path: Path, options: Options, profile: Profile) -> DataFile:
    """Open a file by its name's ending."""
    if path.suffix.lower() == ".parquet":
        from mergeguard.storage.files.parquet import ParquetTable  # noqa: PLC0415 - brings pyarrow

        return ParquetTable(path, options.batch_rows, profile.merge.byte_order)
    from mergeguard.storage.files.csv_reader import CsvTable  # noqa: PLC0415 - not for a Parquet file

    return CsvTable(path, options.batch_rows, fast=options.fast)


def _is_data(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _state(path: Path) -> _State:
    """Return size and time of last change."""
    with failures.translated(str(path)):
        found = path.stat()
    return found.st_size, found.st_mtime_ns


def _place(path: Path, names: Sequence[str], asked: str, flags: Mapping[str, str]) -> int:
    """Return a column's place; raise ``UnknownSchema`` where there is none or more than one."""
    places = [place for place, name in enumerate(names) if name == asked]
    if len(places) > 1:
        raise UnknownSchema(f"{path} names the column {asked} {len(places)} times", hint="rename one of them")
    if not places:
        raise UnknownSchema(f"{path} has no column {asked}", hint=_hint(asked, names, "columns", flags.get(asked)))
    return places[0]


def _hint(asked: str, known: Sequence[str], what: str, flag: str | None = None) -> str:
    from mergeguard.storage.database.source import nearest  # noqa: PLC0415 - brings SQLAlchemy, needed for this hint alone

    if all(guids.parse(name) is not None for name in known):
        return "the first line must name the columns, and here it holds guids"
    if len(known) == 1 and "\t" in known[0]:
        return "its columns stand between tabs: name it .tsv"
    near = nearest(asked, known, what)
    if flag is None:
        return near
    return f"{near} Name it with {flag}" if near.endswith("?") else f"{near}; name one with {flag}"
