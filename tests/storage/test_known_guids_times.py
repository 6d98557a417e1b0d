"""When a guid was last heard of is told by times however they are stored, by index and by reading all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from merge_model import guid

from mergeguard.storage.database import known_guids
from mergeguard.storage.database.known_guids import KnownGuids
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.targets import open_target

A, B, C = (guid(number) for number in range(3))
PROFILE = Profile(merge=Merge("Merges", "OldGuid", "NewGuid"))
EARLY, LATE = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC), dt.datetime(2024, 6, 10, 6, 13, 20, tzinfo=dt.UTC)
COLUMNS: dict[str, Callable[[dt.datetime], object]] = {
    "bigint": lambda at: int(at.timestamp()),
    "double precision": lambda at: at.timestamp(),
    "varchar(40)": lambda at: str(int(at.timestamp() * 1000)),
    "varchar(41)": lambda at: at.isoformat(),
    "timestamp": lambda at: at.replace(tzinfo=None),
}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("few", [0, 256])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_latest_time_is_found_in_any_form(
    kind: str, column: str, few: int, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_guids, "FEW", few)
    url = f"sqlite:///{tmp_path / 'a.db'}" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    stored = COLUMNS[column]
    rows = [(str(A), stored(LATE)), (str(A), stored(EARLY)), (str(B), stored(EARLY)), (str(C), None)]
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS known_times")
        connection.exec_driver_sql(f"CREATE TABLE known_times (guid varchar(36), at {column})")
        connection.execute(
            sa.text("INSERT INTO known_times VALUES (:guid, :at)"), [{"guid": one, "at": at} for one, at in rows]
        )
    with closing(open_target(url, PROFILE)) as source, source.snapshot() as snapshot:
        assert KnownGuids(snapshot, PROFILE, [A, B, C]).latest("known_times", "guid", "at") == {A: LATE, B: EARLY}


def test_the_latest_time_is_found_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "merges.csv").write_text("OldGuid,NewGuid\n")
    (tmp_path / "heard.csv").write_text(f"guid,at\n{A},{int(LATE.timestamp())}\n{A},0\n{B},{EARLY.isoformat()}\n")
    with closing(open_target(str(tmp_path / "merges.csv"), PROFILE)) as source, source.snapshot() as snapshot:
        assert KnownGuids(snapshot, PROFILE, [A, B]).latest("heard.csv", "guid", "at") == {A: LATE, B: EARLY}
