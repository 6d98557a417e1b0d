"""Puts a whole case into a target of each kind, and says by which profile to read it."""

from __future__ import annotations

import csv
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet
import sqlalchemy as sa
from rule_model import Case

from mergeguard.core.guids import TOMBSTONE
from mergeguard.storage.profile import Live, Lookup, Merge, Profile, Reference, Types

Rows: TypeAlias = Sequence[tuple[object, ...]]
Spell: TypeAlias = Callable[[uuid.UUID], object]
COLUMNS = {
    "Merges": ("Id", "OldGuid", "NewGuid", "MergedAt"),
    "Alive": ("Guid",),
    "Kinds": ("Guid", "Kind"),
    "Closed": ("old_guid", "current_guid", "depth", "status"),
}
GUIDS = {"OldGuid", "NewGuid", "Guid", "old_guid", "current_guid"}
NUMBERS = {"Id", "depth"}


def rows_of(case: Case) -> dict[str, Rows]:
    """The rows of every table that the case declares; deleted values are NULL."""
    times = case.times or (None,) * len(case.pairs)
    pairs = [(old, None if new == TOMBSTONE else new) for old, new in case.pairs]
    found: dict[str, Rows] = {
        "Merges": [(number, *pair, time) for number, pair, time in zip(case.row_ids, pairs, times, strict=True)]
    }
    if case.live is not None:
        found["Alive"] = [(guid,) for guid in sorted(case.live)]
    if case.types is not None:
        found["Kinds"] = list(case.types)
    if case.stored is not None:
        found["Closed"] = list(case.stored)
    for name, counts in (case.references or {}).items():
        found[name.removesuffix(".Guid")] = [(guid,) for guid, count in counts.items() for _ in range(count)]
    return found


def profile_of(case: Case, suffix: str = "") -> Profile:
    """The profile of a case; tables are files of that ``suffix``, or tables of a database."""
    references = tuple(Reference(name.removesuffix(".Guid") + suffix, "Guid") for name in case.references or ())
    return Profile(
        name="case",
        merge=Merge("Merges", row_id="Id", time=None if case.times is None else "MergedAt", deleted_values=("",)),
        lookup=Lookup(table=f"Closed{suffix}"),
        live=None if case.live is None else Live(f"Alive{suffix}", "Guid"),
        types=None if case.types is None else Types(f"Kinds{suffix}", "Guid", "Kind"),
        references=references,
    )


def as_files(case: Case, suffix: str) -> Case:
    """The case as it is told of files: reference columns are called after them."""
    if case.references is None:
        return case
    names = {name: f"{name.removesuffix('.Guid')}{suffix}.Guid" for name in case.references}
    return replace(case, references={names[name]: counts for name, counts in case.references.items()})


def write_csv(case: Case, folder: Path, spell: Spell = str) -> Path:
    """Write each table as a CSV file; return the one of the merges."""
    for table, rows in rows_of(case).items():
        with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns_of(table))
            writer.writerows([spelt(value, spell) for value in row] for row in rows)
    return folder / "Merges.csv"


def write_parquet(case: Case, folder: Path, spell: Spell = lambda guid: guid.bytes) -> Path:
    """Write each table as a Parquet file; return the one of the merges."""
    for table, rows in rows_of(case).items():
        names = columns_of(table)
        values = [[spelt(row[at], spell) for row in rows] for at in range(len(names))]
        arrays = [pa.array(column, _arrow_type(name, column)) for name, column in zip(names, values, strict=True)]
        pyarrow.parquet.write_table(pa.table(dict(zip(names, arrays, strict=True))), folder / f"{table}.parquet")
    return folder / "Merges.parquet"


def _arrow_type(name: str, column: Sequence[object]) -> pa.DataType:
    if name in GUIDS:
        return pa.binary() if any(isinstance(value, bytes) for value in column) else pa.string()
    if name == "MergedAt":
        return pa.timestamp("us", "UTC")
    return pa.int64() if name in NUMBERS else pa.string()


def write_database(case: Case, url: str, guid_type: sa.types.TypeEngine[Any], spell: Spell) -> None:
    """Write each table into a database; tables of another case go, any other table stays."""
    engine = sa.create_engine(url)
    try:
        drop_cases(engine)
        metadata = sa.MetaData()
        tables = rows_of(case)
        for table in tables:
            sa.Table(table, metadata, *(_column(name, guid_type) for name in columns_of(table)))
        metadata.create_all(engine)
        with engine.begin() as connection:
            for table, rows in tables.items():
                names = columns_of(table)
                values = [dict(zip(names, (told(value, spell) for value in row), strict=True)) for row in rows]
                if values:
                    connection.execute(metadata.tables[table].insert(), values)
    finally:
        engine.dispose()


def drop_cases(engine: sa.Engine) -> None:
    """Drop the tables of a case."""
    old = sa.MetaData()
    old.reflect(engine, only=lambda name, _: name in COLUMNS or name.startswith("Inv_"))
    old.drop_all(engine)


def _column(name: str, guid_type: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    if name in GUIDS:
        return sa.Column(name, guid_type)
    if name == "MergedAt":
        return sa.Column(name, sa.DateTime)
    return sa.Column(name, sa.Integer if name in NUMBERS else sa.String(50))


def columns_of(table: str) -> tuple[str, ...]:
    return COLUMNS.get(table, ("Guid",))


def spelt(value: object, spell: Spell) -> object:
    return spell(value) if isinstance(value, uuid.UUID) else value


def told(value: Any, spell: Spell) -> object:
    """A value as a driver takes it: times without a zone, in UTC."""
    return value.replace(tzinfo=None) if hasattr(value, "tzinfo") else spelt(value, spell)


def in_any_spelling(guid: uuid.UUID) -> str:
    """Spell each guid in its own usual way."""
    text = str(guid)
    ways: Iterable[str] = (text, text.upper(), f"{{{text}}}", guid.hex, f" ({text.upper()}) ", guid.urn)
    return tuple(ways)[guid.bytes[0] % 6]
