"""What the reference says of SQLite's views is what the scripts make."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from merge_model import guid
from merging_world import PROFILE, World

from mergeguard.integrity.sql_scripts import install_sql
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "sql.md").read_text()
SECTION = PAGE[PAGE.index("\n## SQLite\n") : PAGE.index("\n## Limits\n")]
TOLD = {
    name: re.findall(r"`(\w+)`", columns) or None
    for name, columns in re.findall(r"^\| `(mergeguard_\w+)` \| ([^|]*) \|", SECTION, re.MULTILINE)
}


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    world = World(f"sqlite:///{tmp_path / 'world.db'}")
    world.reset([guid(0), guid(1)])
    with closing(open_target(world.url, PROFILE, Options())) as source:
        install_sql(source, PROFILE)
    with closing(sqlite3.connect(tmp_path / "world.db", isolation_level=None)) as connection:
        yield connection
    world.engine.dispose()


def columns(connection: sqlite3.Connection, view: str) -> list[str]:
    return [name for _, name, *_ in connection.execute(f"PRAGMA table_info({view})")]


def test_every_view_has_the_columns_that_are_told(installed: sqlite3.Connection) -> None:
    assert len(TOLD) >= 7
    findings = re.search(r"One row each: (.*?)\.", PAGE, re.DOTALL)
    assert findings is not None
    for name, told in TOLD.items():
        assert columns(installed, name) == (told or re.findall(r"`(\w+)`", findings[1])), name


def test_what_is_told_of_asking_again_and_of_one_guid_is_so(installed: sqlite3.Connection) -> None:
    ask = "INSERT INTO mergeguard_merge (old_guid, new_guid, request_id) VALUES (?, ?, ?)"
    one, other = str(guid(0)), str(guid(1))
    for request in ("a", "a", "b", None):
        installed.execute(ask, (one, other, request))
    runs = installed.execute("SELECT run_id FROM mergeguard_requests ORDER BY request_id").fetchall()
    assert [bool(run) for (run,) in runs] == [True, False], "the second says that they are one already"
    assert installed.execute("SELECT * FROM mergeguard_merge").fetchall() == []
    with pytest.raises(sqlite3.IntegrityError) as refused:
        installed.execute(ask, (one, one, None))
    assert refused.value.sqlite_errorname == "SQLITE_CONSTRAINT_TRIGGER"


def test_pairs_are_written_through_their_view(installed: sqlite3.Connection) -> None:
    installed.execute(
        "INSERT INTO mergeguard_never_pairs (one_guid, other_guid, who, why) VALUES (?, ?, 'me', 'twins')",
        (str(guid(0)), str(guid(1))),
    )
    with pytest.raises(sqlite3.IntegrityError, match="never-merge"):
        installed.execute(
            "INSERT INTO mergeguard_merge (old_guid, new_guid) VALUES (?, ?)", (str(guid(0)), str(guid(1)))
        )


def test_a_guid_becomes_bytes_in_one_way_wherever_that_is_written_out() -> None:
    """A recursive walk can neither call a trigger nor hand a value to a view, so the expression stands in each."""
    folder = Path(__file__).parents[2] / "sql" / "sqlite"
    texts = [path.read_text("utf-8") for path in sorted(folder.glob("*.sql"))]
    made = [one for text in texts for one in re.findall(r"WITH RECURSIVE byte \(.*?WHERE at = 33", text, re.DOTALL)]
    assert len(made) == 3
    assert len({" ".join(re.sub(r"\b(?:NEW|rows)\.\w+", "guid", one).split()) for one in made}) == 1
