"""A stored lookup is built, held against the rows and mended, on real databases; readers never see half of it."""

from __future__ import annotations

import random
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import rule_model
import sqlalchemy as sa
from case_targets import profile_of, write_csv, write_database
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from merge_model import guid
from rule_model import Case

import mergeguard
from mergeguard import Profile
from mergeguard.core.guids import parse
from mergeguard.errors import Unsupported
from mergeguard.storage.cells import guid_spelling

CASE = Case.of((1, 2), (2, 3), (4, 5), (5, 4), (6, 7), (6, 8), (9, 9), live=frozenset({guid(3)}))
Spell = Callable[[uuid.UUID], object]


@dataclass(frozen=True)
class Database:
    """A database that can hold any case."""

    url: str
    guid_type: sa.types.TypeEngine[object]
    spell: Spell

    def hold(self, case: Case) -> Profile:
        write_database(case, self.url, self.guid_type, self.spell)
        return profile_of(case)

    def execute(self, statement: str, **values: uuid.UUID) -> list[tuple[object, ...]]:
        """Run a statement as somebody else would."""
        engine = sa.create_engine(self.url)
        try:
            with engine.begin() as connection:
                bound = sa.text(statement).bindparams(
                    *(sa.bindparam(name, self.spell(value), self.guid_type) for name, value in values.items())
                )
                found = connection.execute(bound)
                return [tuple(row) for row in found] if found.returns_rows else []
        finally:
            engine.dispose()

    def insert(self, row: Sequence[object]) -> None:
        """Put one row into the lookup, as it is."""
        engine = sa.create_engine(self.url)
        names = ("old_guid", "current_guid", "depth", "status")
        table = sa.table("Closed", *map(sa.column, names))
        try:
            with engine.begin() as connection:
                connection.execute(table.insert().values(dict(zip(names, row, strict=True))))
        finally:
            engine.dispose()

    def stored(self) -> list[rule_model.StoredRow]:
        rows = self.execute('SELECT old_guid, current_guid, depth, status FROM "Closed"')
        return sorted(
            ((parse(old), None if now is None else parse(now), depth, str(status)) for old, now, depth, status in rows),  # type: ignore[misc]
            key=lambda row: row[0],
        )


@pytest.fixture(params=["blob", "text", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "postgresql":
        yield Database(request.getfixturevalue("postgres_url"), sa.Uuid(), lambda guid: guid)
    elif request.param == "blob":
        yield Database(f"sqlite:///{tmp_path}/c.db", sa.LargeBinary(), lambda guid: guid.bytes)
    else:
        yield Database(f"sqlite:///{tmp_path}/c.db", sa.Text(), str)


def test_build_verify_drift_and_rebuild(database: Database) -> None:
    profile = database.hold(CASE)
    missing = mergeguard.verify_lookup(database.url, profile)
    assert (missing.exists, missing.missing, missing.drift) == (False, 6, 6)

    built = mergeguard.build_lookup(database.url, profile)
    assert (built.rows, built.written, built.deleted, built.created) == (6, 6, 0, True)
    assert built.statuses == {"ok": 2, "cycle": 3, "split": 1, "dangling": 0, "deleted": 0}
    assert database.stored() == rule_model.right_lookup(CASE)
    assert mergeguard.verify_lookup(database.url, profile).drift == 0
    assert drift(database, profile) == 0

    database.execute('DELETE FROM "Merges" WHERE "OldGuid" = :old', old=guid(5))
    database.execute('UPDATE "Closed" SET depth = 9 WHERE old_guid = :old', old=guid(1))
    database.execute('DELETE FROM "Closed" WHERE old_guid = :old', old=guid(9))
    found = mergeguard.verify_lookup(database.url, profile)
    # 1 was changed by hand and 4 leads to 5 now; 9 was deleted by hand; 5 is no old any more.
    assert (found.different, found.missing, found.extra) == (2, 1, 1)
    assert drift(database, profile) == found.drift == 4

    rebuilt = mergeguard.build_lookup(database.url, profile)
    assert (rebuilt.rows, rebuilt.written, rebuilt.deleted, rebuilt.created) == (5, 3, 1, False)
    remaining = [row for row in rule_model.right_lookup(CASE) if row[0] not in {guid(4), guid(5)}]
    assert [row for row in database.stored() if row[0] != guid(4)] == remaining
    assert (guid(4), guid(5), 1, "dangling") in database.stored()
    again = mergeguard.build_lookup(database.url, profile)
    assert (again.written, again.deleted) == (0, 0)


def drift(database: Database, profile: Profile) -> int:
    report = mergeguard.scan(database.url, profile)
    return next(outcome.count for outcome in report.outcomes if outcome.name == "lookup-drift")


def test_a_builder_that_dies_while_it_writes_leaves_the_old_lookup(database: Database) -> None:
    profile = database.hold(CASE)
    mergeguard.build_lookup(database.url, profile)
    before = database.stored()
    database.execute('DELETE FROM "Merges" WHERE "OldGuid" = :old', old=guid(5))

    def die(phase: str, _done: int, _total: int | None) -> None:
        if phase == "writing lookup":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mergeguard.build_lookup(database.url, profile, progress=die)
    assert database.stored() == before
    assert mergeguard.build_lookup(database.url, profile).written == 1


def test_an_empty_table_gives_an_empty_lookup(database: Database) -> None:
    profile = database.hold(Case.of())
    assert mergeguard.build_lookup(database.url, profile).created
    assert database.stored() == []
    assert mergeguard.verify_lookup(database.url, profile).exists


def test_a_file_can_be_asked_and_never_written(tmp_path: Path) -> None:
    target = write_csv(CASE, tmp_path)
    profile = profile_of(CASE, ".csv")
    files = sorted(tmp_path.iterdir())
    with pytest.raises(Unsupported):
        mergeguard.build_lookup(target, profile)
    assert sorted(mergeguard.lookup(target, profile)) == rule_model.right_lookup(CASE)
    assert mergeguard.verify_lookup(target, profile).exists is False
    assert sorted(tmp_path.iterdir()) == files


@settings(max_examples=12)
@given(case=rule_model.cases("stored"))
def test_a_build_mends_any_lookup(case: Case, tmp_path_factory: pytest.TempPathFactory) -> None:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('mend')}/c.db", sa.LargeBinary(), lambda guid: guid.bytes)
    profile = database.hold(case)
    before = mergeguard.verify_lookup(database.url, profile)
    built = mergeguard.build_lookup(database.url, profile)
    assert database.stored() == rule_model.right_lookup(case)
    assert (built.written + built.deleted > 0) == (before.drift > 0)
    assert mergeguard.build_lookup(database.url, profile).written == 0


@pytest.fixture(params=["sqlite", "postgresql"])
def texts(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database whose guids are texts."""
    server = request.param == "postgresql"
    url = request.getfixturevalue("postgres_url") if server else f"sqlite:///{tmp_path}/t.db"
    return Database(url, sa.String(40), str)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=rule_model.cases("stored"), chance=st.randoms(use_true_random=False))
def test_a_lookup_in_any_spelling_is_mended_without_a_row_left_over(
    texts: Database, case: Case, chance: random.Random
) -> None:
    """Somebody else wrote the lookup: each guid in a spelling of its own, some twice."""
    profile = texts.hold(case)
    spelled = [
        (chance.choice(guid_spelling.usual(old)), now and chance.choice(guid_spelling.usual(now)), depth, status)
        for old, now, depth, status in case.stored or ()
        for _ in range(chance.choice([1, 1, 2]))
    ]
    texts.execute('DELETE FROM "Closed"')
    for row in dict.fromkeys(spelled):
        texts.insert(row)
    before = mergeguard.verify_lookup(texts.url, profile)
    built = mergeguard.build_lookup(texts.url, profile)
    assert (built.written + built.deleted > 0) == (before.drift > 0)
    assert texts.stored() == rule_model.right_lookup(case)
    assert mergeguard.verify_lookup(texts.url, profile).drift == 0


@pytest.mark.parametrize("spelling", range(8))
def test_a_lookup_in_one_other_spelling_is_written_whole_where_it_drifted(texts: Database, spelling: int) -> None:
    profile = texts.hold(CASE)
    mergeguard.build_lookup(texts.url, profile)
    for (old,) in texts.execute('SELECT old_guid FROM "Closed"'):
        other = guid_spelling.usual(uuid.UUID(str(old)))[spelling]
        texts.execute(f"UPDATE \"Closed\" SET old_guid = '{other}' WHERE old_guid = '{old}'")
    assert mergeguard.build_lookup(texts.url, profile).written == 0
    texts.execute('UPDATE "Closed" SET depth = 7 WHERE depth = 1')
    assert mergeguard.build_lookup(texts.url, profile).written == (1 if spelling == 0 else 6)
    assert texts.stored() == rule_model.right_lookup(CASE)
    assert {old for (old,) in texts.execute('SELECT old_guid FROM "Closed"')} == (
        {str(old) for old, *_ in rule_model.right_lookup(CASE)}
    )


@pytest.mark.parametrize(
    "stored", [str, str.upper, lambda text: text.encode()], ids=["text", "upper", "text in a blob"]
)
def test_a_lookup_of_blobs_with_texts_among_them_is_written_whole(
    tmp_path: Path, stored: Callable[[str], object]
) -> None:
    blobs = Database(f"sqlite:///{tmp_path}/b.db", sa.LargeBinary(), lambda guid: guid.bytes)
    profile = blobs.hold(CASE)
    mergeguard.build_lookup(blobs.url, profile)
    with closing(sqlite3.connect(tmp_path / "b.db")) as connection, connection:
        connection.execute('UPDATE "Closed" SET old_guid = ?, depth = 8 WHERE depth = 1', (stored(str(guid(2))),))
    assert mergeguard.build_lookup(blobs.url, profile).written == 6
    assert blobs.stored() == rule_model.right_lookup(CASE)
