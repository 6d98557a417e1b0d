"""Builds of one lookup beside each other and beside merges: what stands is always right for rows that stood."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import rule_model
import sqlalchemy as sa
from case_targets import profile_of, write_database
from merge_model import guid
from rule_model import Case

import mergeguard
from mergeguard.core.guids import parse
from mergeguard.storage.source import Options

PROFILE = profile_of(Case.of())
FLAGS = ("--table", "Merges", "--id-column", "Id", "--lookup-table", "Closed")
ONCE = "from mergeguard.cli import main; main()"
AGAIN = """
import sys
import mergeguard
from mergeguard import Options, Profile
from mergeguard.storage.profile import Lookup, Merge

print("ready", flush=True)
profile = Profile(merge=Merge("Merges", row_id="Id"), lookup=Lookup(table="Closed"))
written = 0
for _ in range(int(sys.argv[2])):
    written += mergeguard.build_lookup(sys.argv[1], profile, options=Options(lock_timeout=60)).written
print(written)
"""


class Database:
    """A database whose merges come one by one."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.kind: sa.types.TypeEngine[object] = sa.Uuid() if url.startswith("postgresql") else sa.LargeBinary()
        self._engine = sa.create_engine(url, poolclass=sa.pool.NullPool)

    def hold(self, *pairs: tuple[int, int]) -> None:
        write_database(Case.of(*pairs), self.url, self.kind, self.spell)

    def spell(self, value: object) -> object:
        return value if isinstance(self.kind, sa.Uuid) else value.bytes  # type: ignore[attr-defined]

    def add(self, number: int, pair: tuple[int, int]) -> None:
        """Merge as a program does that knows nothing of the merge lock."""
        values = [sa.bindparam(name, self.spell(guid(one)), self.kind) for name, one in zip("on", pair, strict=True)]
        text = 'INSERT INTO "Merges" ("Id", "OldGuid", "NewGuid") VALUES (:id, :o, :n)'
        with self._engine.begin() as connection:
            connection.execute(sa.text(text).bindparams(*values, id=number))

    def stored(self) -> tuple[rule_model.StoredRow, ...]:
        with self._engine.connect() as connection:
            rows = connection.execute(sa.text('SELECT old_guid, current_guid, depth, status FROM "Closed"')).all()
        read = (
            (parse(old), None if now is None else parse(now), depth, str(status)) for old, now, depth, status in rows
        )
        return tuple(sorted(read, key=lambda row: row[0]))  # type: ignore[arg-type,return-value]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    server = request.param == "postgresql"
    found = Database(request.getfixturevalue("postgres_url") if server else f"sqlite:///{tmp_path}/c.db")
    yield found
    found._engine.dispose()


def right(*pairs: tuple[int, int]) -> tuple[rule_model.StoredRow, ...]:
    return tuple(rule_model.right_lookup(Case.of(*pairs)))


def other_build(url: str) -> subprocess.CompletedProcess[str]:
    """Build as another process does that does not wait."""
    command = [sys.executable, "-c", ONCE, "lookup", "build", url, *FLAGS, "--lock-timeout", "0.05s"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("moment", ["working out the lookup", "writing lookup"])
def test_a_build_keeps_another_out_until_it_is_done(database: Database, moment: str) -> None:
    database.hold((1, 2), (3, 4))
    mergeguard.build_lookup(database.url, PROFILE)
    database.add(3, (2, 1))
    others: list[subprocess.CompletedProcess[str]] = []

    def meanwhile(phase: str, _done: int, _total: int | None) -> None:
        if phase == moment and not others:
            others.append(other_build(database.url))

    assert mergeguard.build_lookup(database.url, PROFILE, progress=meanwhile).written == 2
    assert [(other.returncode, other.stdout) for other in others] == [(3, "")]
    assert "error: " in others[0].stderr
    assert "hint: " in others[0].stderr
    assert database.stored() == right((1, 2), (3, 4), (2, 1))
    assert other_build(database.url).returncode == 0


def test_a_build_that_fails_gives_up_the_lock(database: Database) -> None:
    database.hold((1, 2))

    def fail(phase: str, _done: int, _total: int | None) -> None:
        if phase == "writing lookup":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mergeguard.build_lookup(database.url, PROFILE, progress=fail)
    assert other_build(database.url).returncode == 0
    assert database.stored() == right((1, 2))


def test_builds_beside_each_other_and_beside_merges_never_mix(database: Database) -> None:
    chance = random.Random(1)
    pairs = [(chance.randint(1, 9), chance.randint(1, 9)) for _ in range(60)]
    states = [right(*pairs[:count]) for count in range(len(pairs) + 1)]
    database.hold(pairs[0])
    mergeguard.build_lookup(database.url, PROFILE)
    command = [sys.executable, "-c", AGAIN, database.url, "8"]
    builders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    seen = []
    try:
        assert [builder.stdout.readline() for builder in builders if builder.stdout] == ["ready\n"] * 3
        for number, pair in enumerate(pairs[1:], start=2):
            database.add(number, pair)
            seen.append(database.stored())
            if all(builder.poll() is not None for builder in builders):
                break
        written = [int(builder.communicate(timeout=60)[0]) for builder in builders]
    finally:
        for builder in builders:
            builder.kill()
            builder.wait()
    mergeguard.build_lookup(database.url, PROFILE, options=Options())
    assert [found for found in seen if found not in states] == []
    assert [builder.returncode for builder in builders] == [0, 0, 0]
    assert sum(written) > 0
    assert mergeguard.verify_lookup(database.url, PROFILE).drift == 0


def test_a_merge_that_takes_the_lock_waits_for_the_build(postgres_url: str) -> None:
    """As a procedure does that follows the rules: shared with other merges, alone for a build."""
    database = Database(postgres_url)
    database.hold((1, 2))
    taken: list[bool] = []
    ask = "SELECT pg_try_advisory_xact_lock_shared(hashtextextended('mergeguard merges public.Merges', 0))"

    def meanwhile(phase: str, _done: int, _total: int | None) -> None:
        if phase == "working out the lookup":
            taken.append(merge())

    def merge() -> bool:
        with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
            return bool(connection.execute(ask).fetchone()[0])  # type: ignore[index]

    mergeguard.build_lookup(database.url, PROFILE, progress=meanwhile)
    assert taken == [False]
    assert merge()
