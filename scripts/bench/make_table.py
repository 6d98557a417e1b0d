"""Make a merge table of the mixed shape and put it where it is wanted.

The shape: one chain of 100,000 merges; of the other rows 80% have depth 1, 19% lie on chains of 2 to 5 merges and 1% on
chains of 100 to 1,000; 0.01% of all rows stand in cycles of 2 to 10 guids, 0.05% give an old a second new. The rows
come in random order. The same seed gives the same table.

    python scripts/bench/make_table.py --rows 1000000 --arrays DIR --sqlite FILE --parquet FILE --postgresql URL
"""
# ruff: noqa: PLC0415 - a driver is imported only where its database is asked for

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from make_names import NEW, OLD, TABLE

Column: TypeAlias = "np.ndarray[Any, Any]"
LONGEST = 100_000
CHUNK = 1 << 20


def shape(rows: int, rng: np.random.Generator, damaged: int | None = None) -> tuple[Column, Column]:
    """Return the numbers of the olds and news of all rows: two ``int64`` arrays of length ``rows``.

    ``damaged`` asks for so many damaged components: half of them cycles, half olds with a second new.
    """
    conflicts, cyclic, longest = rows // 2000, max(2, rows // 10_000), min(LONGEST, rows // 10)
    if damaged is None:
        rings = lengths_that_sum_to(cyclic, 2, 10, rng)
    else:
        conflicts, rings = damaged - damaged // 2, rng.integers(2, 11, damaged // 2)
        cyclic = int(rings.sum())
    rest = rows - conflicts - cyclic - longest
    paths = np.concatenate(
        [
            rings,
            np.array([longest]),
            lengths_that_sum_to(rest * 19 // 100, 2, 5, rng),
            lengths_that_sum_to(rest // 100, 100, 1000, rng),
        ]
    )
    paths = np.concatenate([paths, np.ones(rows - conflicts - int(paths.sum()), np.int64)])
    first = np.concatenate([[0], np.cumsum(paths + 1)[:-1]])
    ends = np.cumsum(paths)
    old = np.arange(int(ends[-1])) + np.repeat(np.arange(len(paths)), paths)
    new = old + 1
    new[ends[: len(rings)] - 1] = first[: len(rings)]
    # A second new for an old of depth 1 is the current of another one.
    single = np.flatnonzero(np.repeat(paths, paths) == 1)
    # Asked for a number of components, no old is taken twice, and none becomes its own new.
    again, other = rng.choice(single, (2, conflicts), replace=damaged is None)
    old, new = np.concatenate([old, old[again]]), np.concatenate([new, new[other]])
    order = rng.permutation(rows)
    return old[order], new[order]


def lengths_that_sum_to(rows: int, least: int, most: int, rng: np.random.Generator) -> Column:
    lengths = rng.integers(least, most + 1, rows // least + 1)
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), rows)) + 1]
    lengths[-1] -= int(lengths.sum()) - rows
    return lengths[lengths > 0] if lengths[-1] >= least or len(lengths) == 1 else merge_last(lengths)


def merge_last(lengths: Column) -> Column:
    """Add what is left over to the length before it."""
    lengths[-2] += lengths[-1]
    return lengths[:-1]


def guids_of(numbers: Column, seed: int) -> Column:
    """Give each number a guid of 16 bytes that looks random (splitmix64 twice)."""
    column = np.empty((len(numbers), 2), np.uint64)
    for at in range(0, len(numbers), CHUNK):
        part = numbers[at : at + CHUNK].astype(np.uint64)
        for half in (0, 1):
            word = (part * np.uint64(2) + np.uint64(half) + np.uint64(seed << 40)) * np.uint64(0x9E3779B97F4A7C15)
            word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            column[at : at + CHUNK, half] = word ^ (word >> np.uint64(31))
    return column.view(np.uint8)


def mixed(rows: int, seed: int = 1, damaged: int | None = None) -> tuple[Column, Column]:
    """Return two columns of 16-byte guids, shape ``(rows, 16)``."""
    old, new = shape(rows, np.random.default_rng(seed), damaged)
    return guids_of(old, seed), guids_of(new, seed)


def to_arrays(folder: Path, old: Column, new: Column) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "old.npy", old)
    np.save(folder / "new.npy", new)


def pairs(old: Column, new: Column) -> Iterator[tuple[bytes, bytes]]:
    for at in range(0, len(old), CHUNK):
        yield from zip(*(column[at : at + CHUNK].view("V16").ravel().tolist() for column in (old, new)), strict=True)


def to_sqlite(path: Path, old: Column, new: Column) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE {TABLE} ({OLD} BLOB NOT NULL, {NEW} BLOB NOT NULL)")
        connection.executemany(f"INSERT INTO {TABLE} VALUES (?, ?)", pairs(old, new))


def to_postgresql(url: str, old: Column, new: Column) -> None:
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute(f'DROP TABLE IF EXISTS "{TABLE}"')
        connection.execute(f'CREATE TABLE "{TABLE}" ("{OLD}" uuid NOT NULL, "{NEW}" uuid NOT NULL)')
        with connection.cursor().copy(f'COPY "{TABLE}" FROM STDIN (FORMAT BINARY)') as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for at in range(0, len(old), CHUNK):
                copy.write(copy_rows(old[at : at + CHUNK], new[at : at + CHUNK]))
            copy.write(b"\xff\xff")
        connection.execute(f'VACUUM (ANALYZE) "{TABLE}"')


def copy_rows(old: Column, new: Column) -> bytes:
    """Write two columns in PostgreSQL's binary COPY format."""
    rows = np.zeros(len(old), [("fields", ">i2"), ("a", ">i4"), ("old", "V16"), ("b", ">i4"), ("new", "V16")])
    rows["fields"], rows["a"], rows["b"] = 2, 16, 16
    rows["old"], rows["new"] = old.view("V16").ravel(), new.view("V16").ravel()
    return rows.tobytes()


def to_parquet(path: Path, old: Column, new: Column) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.binary(16)
    schema = pa.schema([(OLD, kind), (NEW, kind)])
    with pq.ParquetWriter(path, schema, use_dictionary=False, compression="none") as writer:
        for at in range(0, len(old), CHUNK):
            parts = [np.ascontiguousarray(column[at : at + CHUNK]) for column in (old, new)]
            arrays = [pa.Array.from_buffers(kind, len(part), [None, pa.py_buffer(part)]) for part in parts]
            writer.write_table(pa.table(arrays, schema=schema))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a merge table of the mixed shape.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--arrays", type=Path, help="folder for old.npy and new.npy")
    parser.add_argument("--sqlite", type=Path)
    parser.add_argument("--parquet", type=Path)
    parser.add_argument("--postgresql", help="URL; its table ResourceMerge is replaced")
    parser.add_argument("--damaged", type=int, help="so many damaged components instead of the usual share")
    asked = parser.parse_args()
    old, new = mixed(asked.rows, asked.seed, asked.damaged)
    if asked.arrays:
        to_arrays(asked.arrays, old, new)
    if asked.sqlite:
        to_sqlite(asked.sqlite, old, new)
    if asked.parquet:
        to_parquet(asked.parquet, old, new)
    if asked.postgresql:
        to_postgresql(asked.postgresql, old, new)


if __name__ == "__main__":
    main()
