"""The real tables are read whole, and the figures published about them come out; see tests/data/README.md."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from mergeguard.core import guids
from mergeguard.core.table import MergeTable
from mergeguard.storage import assemble
from mergeguard.storage.files.source import FileSource
from mergeguard.storage.profile import Live, Merge, Profile, Types
from mergeguard.storage.source import Options

DATA = Path(__file__).parents[1] / "data"
TABLES = {
    "attack_cti_revoked_by": ("old_ref", "new_ref", 194, 192),
    "gitbugs_firefox_duplicates": ("issue", "duplicate_of", 7611, 6254),
    "hgnc_withdrawn_id": ("old_id", "new_id", 5310, 5285),
    "iana_language_subtag_preferred": ("old_subtag", "preferred", 390, 390),
    "tz_link_accumulated": ("old_name", "current_name", 445, 315),
    "tz_link_current_hops": ("old_name", "next_hop", 270, 257),
    "tz_link_history_events": ("alias", "target", 2302, None),
}


def read(path: Path, profile: Profile, **options: Any) -> MergeTable:
    with FileSource(path, profile, Options(**options)).snapshot() as snapshot:
        return assemble.merge_table(snapshot, profile)


def profile_of(name: str, **more: Any) -> Profile:
    old, new, *_ = TABLES[name]
    return Profile(merge=Merge(old=old, new=new, ids="text", **more))


def pairs(table: MergeTable) -> list[tuple[uuid.UUID, uuid.UUID]]:
    return list(zip(guids.to_uuids(table.old), guids.to_uuids(table.new), strict=True))


def text_pairs(name: str) -> list[tuple[str, str]]:
    """The same two columns by the csv module alone."""
    old, new, *_ = TABLES[name]
    with (DATA / f"{name}.tsv").open(newline="", encoding="utf-8") as file:
        return [(row[old], row[new]) for row in csv.DictReader(file, delimiter="\t")]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("options", [{}, {"fast": False}, {"batch_rows": 7}])
def test_every_row_of_every_table_is_read(name: str, options: dict[str, Any]) -> None:
    *_, rows, olds = TABLES[name]
    table = read(DATA / f"{name}.tsv", profile_of(name), **options)
    assert (len(table), len(table.rejected)) == (rows, 0)
    assert olds is None or len(set(guids.to_uuids(table.old))) == olds
    assert [(table.labels[old], table.labels[new]) for old, new in pairs(table)] == text_pairs(name)
    assert [table.row_id(row) for row in (0, rows - 1)] == [1, rows]


@pytest.mark.parametrize("name", TABLES)
def test_packed_and_as_parquet_it_is_the_same_table(name: str, tmp_path: Path) -> None:
    source = DATA / f"{name}.tsv"
    (tmp_path / "m.tsv.gz").write_bytes(gzip.compress(source.read_bytes()))
    texts = {column: pyarrow.string() for column in TABLES[name][:2]}
    how = pyarrow.csv.ParseOptions(delimiter="\t"), pyarrow.csv.ConvertOptions(column_types=texts)
    pq.write_table(pyarrow.csv.read_csv(source, parse_options=how[0], convert_options=how[1]), tmp_path / "m.parquet")
    expected = read(source, profile_of(name))
    for packed in (tmp_path / "m.tsv.gz", tmp_path / "m.parquet"):
        found = read(packed, profile_of(name))
        assert pairs(found) == pairs(expected)
        assert found.labels == expected.labels


def test_withdrawn_genes_are_deleted_and_sixteen_are_split() -> None:
    name = "hgnc_withdrawn_id"
    table = read(DATA / f"{name}.tsv", profile_of(name, deleted_values=("Entry Withdrawn",)))
    news = defaultdict(set)
    for old, new in pairs(table):
        news[old].add(new)
    assert sum(len(targets) > 1 for targets in news.values()) == 16
    withdrawn = sum(new == "Entry Withdrawn" for _, new in text_pairs(name))
    assert sum(new == guids.TOMBSTONE for _, new in pairs(table)) == withdrawn == 1801
    assert "Entry Withdrawn" not in table.labels.values()


def test_without_text_ids_the_same_file_is_a_list_of_malformed_rows() -> None:
    table = read(DATA / "hgnc_withdrawn_id.tsv", Profile(merge=Merge(old="old_id", new="new_id")))
    assert (len(table), table.rejected.malformed) == (0, 5310)
    assert [(row.row_id, row.column, row.value) for row in table.rejected.rows[:2]] == [
        (1, "old", "HGNC:1"),
        (2, "old", "HGNC:2"),
    ]


def test_row_ids_times_and_merge_keys_of_attack() -> None:
    name = "attack_cti_revoked_by"
    table = read(DATA / f"{name}.tsv", profile_of(name, row_id="rel_id", time="created", merge_key="domain"))
    assert table.row_id(0) == "relationship--3680408d-e56e-4d68-a74d-2678093ed53f"
    assert table.time(0) == dt.datetime(2018, 4, 18, 17, 59, 24, 739000, dt.UTC)
    assert table.merge_keys is not None
    assert set(table.merge_keys) <= {"enterprise-attack", "mobile-attack", "ics-attack"}
    assert len(pairs(table)) - len(set(pairs(table))) == 2


def test_which_attack_objects_are_live_and_of_which_type_stands_in_the_file_beside() -> None:
    name = "attack_cti_revoked_by"
    unrevoked = (("revoked", "False"),)
    live_only = (*unrevoked, ("deprecated", "False"))
    types = Types("attack_cti_objects.tsv", "ref", "type")
    ends: dict[tuple[tuple[str, str], ...], int] = {}
    for where in (unrevoked, live_only):
        profile = Profile(
            merge=profile_of(name).merge, live=Live("attack_cti_objects.tsv", "ref", where=where), types=types
        )
        with FileSource(DATA / f"{name}.tsv", profile, Options()).snapshot() as snapshot:
            table = assemble.merge_table(snapshot, profile)
            found = assemble.live_guids(snapshot, profile)
            typed = assemble.type_table(snapshot, profile)
        assert found is not None
        assert typed is not None
        live = set(guids.to_uuids(found))
        ends[where] = sum(_end(dict(pairs(table)), old) in live for old in dict(pairs(table)))
        names = {guid: typed.names[code] for guid, code in zip(guids.to_uuids(typed.guids), typed.codes, strict=True)}
        assert all(names[guid] == table.labels[guid].split("--")[0] for guid in names.keys() & table.labels.keys())
        assert len({pair for pair in pairs(table) if names[pair[0]] != names[pair[1]]}) == 1
    assert ends == {unrevoked: 192, live_only: 184}


def _end(new: dict[uuid.UUID, uuid.UUID], guid: uuid.UUID) -> uuid.UUID:
    while guid in new:
        guid = new[guid]
    return guid
