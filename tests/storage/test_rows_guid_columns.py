"""Guids of many rows as a column: each is what ``DatabaseRows.guid`` reads of its cell."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from case_targets import in_any_spelling
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from merge_model import guid

from mergeguard.core import guids
from mergeguard.storage.database.source import DatabaseSource
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.rows.guid_columns import guids_of
from mergeguard.storage.targets import open_target

GONE = guid(5)
FEW = st.integers(0, 6).map(guid)
CELLS = st.one_of(
    FEW.map(lambda one: f"b:{one.bytes.hex()}"),
    FEW.map(lambda one: f"t:{one}"),
    FEW.map(lambda one: f"t:{in_any_spelling(one)}"),
    st.sampled_from([None, "t:", "t:no guid", "i:5", "b:00", "t:gone"]),
)
PROFILES = [
    Merge("Merges", deleted_values=("gone", str(GONE))),
    Merge("Merges"),
    Merge("Merges", byte_order="sqlserver", deleted_values=(str(GONE),)),
    Merge("Merges", ids="text"),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("columns") / "merges.db"
    with closing(sqlite3.connect(found)) as connection:
        connection.execute('CREATE TABLE "Merges" ("OldGuid", "NewGuid")')
    return found


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    merge=st.sampled_from(PROFILES), column=st.sampled_from(["OldGuid", "NewGuid"]), cells=st.lists(CELLS, max_size=6)
)
@example(merge=PROFILES[0], column="NewGuid", cells=[f"t:{GONE}", f"t:{guid(1)}"])
@example(merge=PROFILES[0], column="OldGuid", cells=[f"t:{GONE}", f"t:{guid(1)}"])
@example(merge=PROFILES[2], column="NewGuid", cells=[f"b:{guid(1).bytes.hex()}"])
def test_each_guid_of_a_column_is_that_of_its_cell(
    path: Path, merge: Merge, column: str, cells: list[str | None]
) -> None:
    with closing(open_target(str(path), Profile(name="columns", merge=merge))) as source:
        assert isinstance(source, DatabaseSource)
        with source.snapshot() as snapshot:
            rows = source.rows(snapshot)
            found, good = guids_of(rows, "Merges", column, cells)
            wanted: list[uuid.UUID | None] = [rows.guid("Merges", column, cell) for cell in cells]
    read = [one if has else None for one, has in zip(guids.to_uuids(found), good.tolist(), strict=True)]
    assert read == wanted
    assert not np.any(found[~good])
