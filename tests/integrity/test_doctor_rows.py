"""Doctor says for every declared table whether it can be read, and never ends in an exception for a bad target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from case_targets import profile_of, write_csv, write_database
from merge_model import guid
from rule_model import Case

import mergeguard
from mergeguard import Profile
from mergeguard.storage.profile import Keys, Live, Merge, Reference, Types

CASE = Case.of((1, 2), live=frozenset({guid(2)}), types=((guid(1), "A"),), references={"Inv_0.Guid": {guid(1): 1}})
Rows = Sequence[tuple[str, str, bool]]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("doctor") / "case.db"
    write_database(CASE, f"sqlite:///{path}", sa.LargeBinary(), lambda guid: guid.bytes)
    return path


def row(rows: Rows, what: str) -> tuple[str, bool]:
    ((finding, fine),) = [(finding, fine) for found, finding, fine in rows if found == what]
    return finding, fine


def test_a_healthy_target_is_fine_in_every_row(database: Path) -> None:
    before = database.read_bytes()
    rows = mergeguard.doctor(database, profile_of(CASE))
    assert [what for what, _, fine in rows if not fine] == []
    assert row(rows, "profile case: merges") == ("Merges (OldGuid, NewGuid, Id) can be read", True)
    assert row(rows, "live guids") == ("Alive (Guid) can be read", True)
    assert row(rows, "types") == ("Kinds (Guid, Kind) can be read", True)
    assert row(rows, "reference") == ("Inv_0 (Guid) can be read", True)
    assert row(rows, "lookup") == ("Closed is not there; 'mergeguard lookup build' makes it", True)
    assert "numpy" in row(rows, "packages")[0]
    assert row(rows, "isolation")[0]
    assert database.read_bytes() == before
    assert list(database.parent.iterdir()) == [database]


def test_the_lookup_is_named_once_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    write_database(CASE, f"sqlite:///{path}", sa.LargeBinary(), lambda guid: guid.bytes)
    mergeguard.build_lookup(path, profile_of(CASE))
    found = row(mergeguard.doctor(path, profile_of(CASE)), "lookup")
    assert found == ("Closed (old_guid, current_guid, depth, status) can be read", True)


@pytest.mark.parametrize(
    ("what", "broken"),
    [
        ("profile case: merges", {"merge": Merge("Mergers")}),
        ("profile case: merges", {"merge": Merge("Merges", old="Old")}),
        ("live guids", {"live": Live("Alive", "Gid")}),
        ("live guids", {"live": Live("Alive", "Guid", where=(("Dead", "0"),))}),
        ("live guids", {"live": Live(query="SELECT nothing FROM nowhere")}),
        ("types", {"types": Types("Kinds", "Guid", "Sort")}),
        ("keys", {"keys": Keys("Keys", "Guid", "Name", "Value")}),
        ("reference", {"references": (Reference("Inv_1", "Guid"),)}),
    ],
)
def test_a_declared_table_that_cannot_be_read_is_a_row_that_is_not_fine(
    database: Path, what: str, broken: dict[str, object]
) -> None:
    rows = mergeguard.doctor(database, replace(profile_of(CASE), **broken))
    assert not row(rows, what)[1]
    assert [name for name, _, fine in rows if not fine] == [what]


def test_a_live_query_is_tried(database: Path) -> None:
    profile = replace(profile_of(CASE), live=Live(query='SELECT "Guid" FROM "Alive"'))
    assert row(mergeguard.doctor(database, profile), "live guids") == ("query (guid) can be read", True)


def test_without_liveness_it_says_what_that_costs(database: Path) -> None:
    finding, fine = row(mergeguard.doctor(database, replace(profile_of(CASE), live=None)), "live guids")
    assert (finding, fine) == ("not declared: rules that need liveness report not checked", True)


def test_a_missing_target_is_a_row(tmp_path: Path) -> None:
    rows = mergeguard.doctor(tmp_path / "nowhere.db", profile_of(CASE))
    assert "does not exist" in row(rows, "read")[0]
    assert not row(rows, "read")[1]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is a letter, and a long one at that, to no one in particular" * 9)
    assert not row(mergeguard.doctor(tmp_path / "text.db", profile_of(CASE)), "read")[1]


def test_a_csv_file_has_its_rows_too(tmp_path: Path) -> None:
    rows = mergeguard.doctor(write_csv(CASE, tmp_path), profile_of(CASE, ".csv"))
    assert [what for what, _, fine in rows if not fine] == []
    assert row(rows, "types") == ("Kinds.csv (Guid, Kind) can be read", True)
    assert row(rows, "isolation")[0]
    broken = mergeguard.doctor(tmp_path / "Merges.csv", Profile(live=Live(query="SELECT 1")))
    assert row(broken, "live guids") == (
        "a file has no queries (name the other file and its columns instead)",
        False,
    )
