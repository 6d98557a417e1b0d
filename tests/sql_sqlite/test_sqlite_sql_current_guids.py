"""The view of current guids says of any table what dictionaries say, and ends on all of them."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_model import Answer, Pair, answers, guid, with_live

from mergeguard.core.guids import TOMBSTONE
from mergeguard.integrity.sql_scripts import install_sql
from mergeguard.storage.cells.guid_spelling import usual
from mergeguard.storage.profile import Live, Merge, Profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

GONE = uuid.UUID(int=7)
PROFILE = Profile(name="walks", merge=Merge("Merges", deleted_values=(str(GONE), "gone", "")))
LIVE = Profile(name="walks", merge=PROFILE.merge, live=Live("Alive", "Guid", (("State", "up"),)))
QUERIED = Profile(
    name="walks", merge=PROFILE.merge, live=Live(query='SELECT "Guid" FROM "Alive" WHERE "State" = \'up\'')
)
DELETED = (str(GONE).upper(), " gone ", "", None, GONE.bytes)
Cell = str | bytes | None


class Tables:
    """A file with the scripts installed, filled anew for each example."""

    def __init__(self, path: Path, profile: Profile) -> None:
        self.path, self.profile = path, profile
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(
                'CREATE TABLE "Merges" ("OldGuid", "NewGuid"); CREATE INDEX i ON "Merges" ("OldGuid");'
                'CREATE TABLE "Alive" ("Guid", "State")'
            )
        source = open_target(str(path), profile, Options())
        install_sql(source, profile)
        source.close()
        self.connection = sqlite3.connect(path)

    def fill(self, rows: Iterable[tuple[Cell, Cell]], live: Iterable[tuple[Cell, str]] = ()) -> None:
        self.connection.execute('DELETE FROM "Merges"')
        self.connection.execute('DELETE FROM "Alive"')
        self.connection.executemany('INSERT INTO "Merges" VALUES (?, ?)', list(rows))
        self.connection.executemany('INSERT INTO "Alive" VALUES (?, ?)', list(live))

    def answers(self) -> dict[uuid.UUID, Answer]:
        found = self.connection.execute("SELECT guid, current, depth, status FROM mergeguard_current_guids").fetchall()
        assert len({guid for guid, *_ in found}) == len(found), "each old once"
        return {
            uuid.UUID(old): (status, None if at is None else uuid.UUID(at), depth) for old, at, depth, status in found
        }


@pytest.fixture(scope="module", params=[PROFILE, LIVE, QUERIED], ids=["no liveness", "a table", "a query"])
def tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterable[Tables]:
    made = Tables(tmp_path_factory.mktemp("walks") / "walks.db", request.param)
    yield made
    made.connection.close()


Case = tuple[list[Pair], frozenset[uuid.UUID], list[tuple[Cell, Cell]], list[tuple[Cell, str]]]


def spelled(draw: st.DrawFn, one: uuid.UUID) -> Cell:
    """A guid in any way in which a cell may hold it."""
    ways: Sequence[Cell] = (*usual(one), one.bytes, f" urn:uuid:{one} ", f"({one.hex.upper()})\n", str(one).encode())
    return draw(st.sampled_from(ways))


@st.composite
def cells(draw: st.DrawFn) -> Case:
    pairs, live = draw(with_live())
    live = live or frozenset()
    rows: list[tuple[Cell, Cell]] = [
        (spelled(draw, old), draw(st.sampled_from(DELETED)) if new == TOMBSTONE else spelled(draw, new))
        for old, new in pairs
    ]
    rows += draw(
        st.lists(st.sampled_from([("no guid", str(guid(1))), (str(guid(1)), "{" + guid(2).hex), (None, None)]))
    )
    alive = [(spelled(draw, one), "up") for one in live]
    return pairs, live, rows, [*alive, *((str(old), "down") for old, _ in pairs[:2])]


@given(cells())
def test_it_says_what_dictionaries_say(tables: Tables, case: Case) -> None:
    pairs, live, rows, alive = case
    tables.fill(rows, alive)
    assert tables.answers() == answers(pairs, None if tables.profile is PROFILE else live)


@pytest.mark.parametrize(
    "pairs",
    [
        [(1, 2), (1, 3), (2, 4), (3, 5), (5, 4), (0, 1)],  # redundant: the longest way counts
        [(1, 2), (1, 3), (2, 1)],  # a circle that can be left
        [(1, 2), (2, 1), (3, 1), (3, 4)],  # into a circle, or not
        [(1, 1), (1, 2)],
        [(1, 2), (1, 3), (2, 4), (2, 5), (3, 4), (3, 5), (9, 1)],  # forks of forks
    ],
    ids=str,
)
def test_what_is_tangled_is_told_rightly(tables: Tables, pairs: list[tuple[int, int]]) -> None:
    rows = [(guid(old), guid(new)) for old, new in pairs]
    tables.fill([(str(old), str(new)) for old, new in rows])
    assert tables.answers() == answers(rows, None if tables.profile is PROFILE else ())


def test_a_chain_and_a_circle_of_a_hundred_thousand_are_walked_once(tmp_path: Path) -> None:
    tables = Tables(tmp_path / "long.db", LIVE)
    chain = [uuid.UUID(int=number) for number in range(1000, 101_000)]
    rows = [(str(old), str(new)) for old, new in pairwise(chain)]
    tables.fill(rows, [(str(chain[-1]), "up")])
    depths = tables.connection.execute(
        "SELECT depth, status, current FROM mergeguard_current_guids ORDER BY guid"
    ).fetchall()
    assert depths == [(left, "ok", str(chain[-1])) for left in range(len(rows), 0, -1)]
    tables.fill([*rows, (str(chain[-1]), str(chain[-2]))])
    found = tables.connection.execute(
        "SELECT status, count(*) FROM mergeguard_current_guids GROUP BY status"
    ).fetchall()
    assert found == [("cycle", len(chain))]
    tables.connection.close()


def test_the_view_can_be_read_by_who_may_not_write(tables: Tables) -> None:
    tables.fill([(str(guid(1)), str(guid(2)))])
    tables.connection.commit()
    with closing(sqlite3.connect(f"{tables.path.as_uri()}?mode=ro", uri=True)) as reader:
        assert reader.execute("SELECT count(*) FROM mergeguard_current_guids").fetchone() == (1,)
