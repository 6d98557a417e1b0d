"""Doctor: what this installation and this target can do, before anybody relies on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TypeAlias

from mergeguard.errors import CannotCheck, MergeGuardError
from mergeguard.storage.profile import Profile
from mergeguard.storage.source import Column, Kind, Selection, Snapshot, Source
from mergeguard.version import __version__

Row: TypeAlias = tuple[str, str, bool]
_FILES = ("csv", "parquet")
_PACKAGES = (
    "networkx",
    "numpy",
    "sqlalchemy",
    "pyodbc",
    "psycopg",
    "pyarrow",
    "adbc-driver-postgresql",
)


def examine(source: Source, profile: Profile) -> Sequence[Row]:
    """Return (check, finding, fine?) rows; a target that cannot be read is a row as well, not an exception."""
    rows: list[Row] = [
        ("mergeguard", f"{__version__} on Python {sys.version.split()[0]}", True),
        ("packages", ", ".join(_installed()), True),
        ("target", source.info.target, True),
    ]
    try:
        rows.extend(source.doctor())
        with source.snapshot() as snapshot:
            rows.extend(_profile_rows(snapshot, profile, in_file=source.info.kind in _FILES))
        if not any(what == "isolation" for what, _, _ in rows):
            rows.append(("isolation", snapshot.isolation, True))
        rows.extend(("note", note, True) for note in snapshot.notes)
    except CannotCheck as error:
        rows.append(("read", error.message + (f" ({error.hint})" if error.hint else ""), False))
    return rows


def _installed() -> Iterator[str]:
    for name in _PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} absent"


def _profile_rows(snapshot: Snapshot, profile: Profile, *, in_file: bool) -> Iterator[Row]:
    merge = profile.merge
    named = [name for name in (merge.old, merge.new, merge.row_id, merge.time, merge.merge_key) if name is not None]
    yield _found(snapshot, f"profile {profile.name}: merges", merge.table, named)
    lookup = profile.lookup
    if snapshot.has_table(lookup.table):
        yield _found(snapshot, "lookup", lookup.table, [lookup.old, lookup.current, lookup.depth, lookup.status])
    else:
        makes = "export' works it out from a file" if in_file else "build' makes it"
        yield "lookup", f"{lookup.table} is not there; 'mergeguard lookup {makes}", True
    if profile.live is not None and profile.live.table is not None and profile.live.guid is not None:
        filters = [column for column, _ in profile.live.where]
        yield _found(snapshot, "live guids", profile.live.table, [profile.live.guid, *filters])
    elif profile.live is not None and profile.live.query is not None:
        yield _found(snapshot, "live guids", "query", [profile.live.guid or "guid"], query=profile.live.query)
    else:
        yield "live guids", "not declared: rules that need liveness report not checked", True
    if profile.types is not None:
        yield _found(snapshot, "types", profile.types.table, [profile.types.guid, profile.types.type])
    if profile.keys is not None:
        keys = profile.keys
        yield _found(snapshot, "keys", keys.table, [keys.guid, keys.name, keys.value])
    for reference in profile.references:
        yield _found(snapshot, "reference", reference.table, [reference.column])


def _found(snapshot: Snapshot, what: str, table: str, columns: Sequence[str], query: str | None = None) -> Row:
    """Prove that the columns can be read by asking for the first batch of them."""
    wanted = tuple(Column(name, Kind.TEXT) for name in columns)
    selection = Selection(wanted, table=None if query else table, query=query)
    try:
        next(iter(snapshot.read(selection)), None)
    except MergeGuardError as error:
        return what, error.message + (f" ({error.hint})" if error.hint else ""), False
    return what, f"{table} ({', '.join(columns)}) can be read", True
