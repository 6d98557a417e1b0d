"""What must not be merged, or taken back, is refused with one word for programs, and nothing is half written."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest
from merge_model import guid
from merging_world import PROFILE, World
from sql_world import ask, drop, install, merge_by_sql, opened, plain, reason_of

from mergeguard.integrity.guard import install_guard, remove_guard
from mergeguard.storage.profile import Reference

A, B, C, D, DEAD, USER = (guid(number) for number in range(6))
LIVE = (A, B, C, USER)


class Database:
    """The world of all kinds of references, made anew for each test, with the scripts in it."""

    def __init__(self, url: str) -> None:
        self.world = World(url)
        self.url = url

    def begin(self) -> None:
        drop(self.url)
        self.world.reset(LIVE, lookup=False)
        ask(self.url, """UPDATE "Kinds" SET "Kind" = 'user' WHERE "Guid" = %s""", [USER])
        install(self.url, PROFILE)

    def merged(self, old: uuid.UUID, new: uuid.UUID) -> None:
        """A row that somebody wrote, the lookup with it, the old root still there or not."""
        self.world.insert("Merges", [(old, new, 1, None)])
        ask(self.url, "SELECT mergeguard.rebuild_lookup()")

    def gone(self, old: uuid.UUID) -> None:
        ask(self.url, 'DELETE FROM "Alive" WHERE "Guid" = %s', [old])
        ask(self.url, "SELECT mergeguard.rebuild_lookup()")

    def refusal(self, sql: str, *values: object) -> str:
        before = self.world.picture(), self.journal()
        with pytest.raises(psycopg.errors.RaiseException) as refused:
            ask(self.url, sql, values)
        assert (self.world.picture(), self.journal()) == before
        assert refused.value.diag.message_hint
        return reason_of(refused.value)

    def journal(self) -> list[tuple[object, ...]]:
        names = ("run", "step", "change", "request", "root")
        return [row for name in names for row in ask(self.url, f"SELECT * FROM mergeguard_{name} ORDER BY 1")]


@pytest.fixture(scope="module")
def opened_world(postgres_url: str) -> Iterator[Database]:
    made = Database(postgres_url)
    yield made
    drop(postgres_url)
    made.world.engine.dispose()


@pytest.fixture
def database(opened_world: Database) -> Database:
    opened_world.begin()
    return opened_world


def _cycle(database: Database) -> None:
    for old, new in ((A, B), (B, A)):
        database.gone(old)
        database.merged(old, new)


def _split(database: Database) -> None:
    database.gone(A)
    database.merged(A, B)
    database.merged(A, C)


def _merged(database: Database) -> None:
    merge_by_sql(database.url, B, A)


def _shadowed(database: Database) -> None:
    database.merged(A, B)


def _never(database: Database) -> None:
    merge_by_sql(database.url, C, B)
    ask(database.url, "INSERT INTO mergeguard.never_pairs VALUES (%s, %s, 'me', '')", [C, A])


def _drifted(database: Database) -> None:
    merge_by_sql(database.url, B, A)
    ask(database.url, "UPDATE mergeguard.lookup_rows SET depth = 7")


def _drifted_behind(database: Database) -> None:
    merge_by_sql(database.url, B, A)
    ask(database.url, "DELETE FROM mergeguard.lookup_rows")


def _keyless(database: Database) -> None:
    ask(database.url, 'ALTER TABLE "Merges" DROP CONSTRAINT "Merges_pkey"')


def _nothing(_: Database) -> None:
    pass


REFUSALS: list[tuple[str, Callable[[Database], None], uuid.UUID | None, uuid.UUID | None]] = [
    ("self-merge", _nothing, A, A),
    ("unknown-guid", _nothing, None, A),
    ("unknown-guid", _nothing, A, None),
    ("unknown-guid", _nothing, DEAD, A),
    ("dead-target", _nothing, A, DEAD),
    ("type-mismatch", _nothing, A, USER),
    ("cycle", _merged, A, B),
    ("in-cycle", _cycle, A, C),
    ("in-cycle", _cycle, C, B),
    ("split", _split, A, C),
    ("shadowed-live", _shadowed, A, C),
    ("shadowed-live", _shadowed, C, A),
    ("never-merge", _never, A, B),
    ("never-merge", _never, B, A),
    ("lookup-drift", _drifted, B, C),
    ("lookup-drift", _drifted_behind, A, C),
]


@pytest.mark.parametrize(("reason", "begin", "old", "new"), REFUSALS)
def test_a_merge_is_refused_for_its_reason(
    database: Database,
    reason: str,
    begin: Callable[[Database], None],
    old: uuid.UUID | None,
    new: uuid.UUID | None,
) -> None:
    begin(database)
    assert database.refusal("SELECT mergeguard.merge(%s, %s)", old, new) == reason


def test_a_table_without_a_key_is_refused(database: Database) -> None:
    _keyless(database)
    try:
        assert database.refusal("SELECT mergeguard.merge(%s, %s)", A, B) == "no-key"
    finally:
        ask(database.url, 'ALTER TABLE "Merges" ADD PRIMARY KEY ("Id")')


@pytest.mark.parametrize(
    "harm", ["", "DISABLE TRIGGER mergeguard_guard_update", None], ids=["none", "disabled", "stands"]
)
def test_without_its_guard_a_table_that_must_have_one_is_refused(database: Database, harm: str | None) -> None:
    profile = replace(PROFILE, merging=replace(PROFILE.merging, guarded="required"))
    install(database.url, profile)
    if harm != "":
        with opened(database.url, profile) as source:
            install_guard(source, profile)
    if harm:
        ask(database.url, f'ALTER TABLE "Merges" {harm}')
    if harm is None:
        assert not merge_by_sql(database.url, A, B)["already"]
    else:
        assert database.refusal("SELECT mergeguard.merge(%s, %s)", A, B) == "no-guard"
    with opened(database.url, profile) as source:
        remove_guard(source, profile)


@pytest.mark.parametrize("kind", ["text", "bytea"])
def test_references_in_a_form_that_is_only_read_are_left_to_python(database: Database, kind: str) -> None:
    spelled: object = A.bytes if kind == "bytea" else f"{{{str(A).upper()}}}"
    ask(database.url, f'CREATE TABLE "Spelled" ("Id" integer PRIMARY KEY, "Guid" {kind})')
    try:
        install(database.url, replace(PROFILE, references=(*PROFILE.references, Reference("Spelled", "Guid"))))
        ask(database.url, 'INSERT INTO "Spelled" VALUES (1, %s)', [spelled])
        assert database.refusal("SELECT mergeguard.merge(%s, %s)", A, B) == "references"
        assert merge_by_sql(database.url, B, A)["already"] is False
    finally:
        install(database.url, PROFILE)
        ask(database.url, 'DROP TABLE "Spelled"')


def test_what_is_one_already_is_no_error_and_a_request_answers_the_same(database: Database) -> None:
    first = merge_by_sql(database.url, A, B, "r")
    assert (first["already"], first["repeated"], first["request_id"]) == (False, False, "r")
    assert merge_by_sql(database.url, A, B, "r") == {**first, "repeated": True}
    again = merge_by_sql(database.url, A, B)
    assert (again["already"], again["run_id"]) == (True, None)
    assert ask(database.url, 'SELECT count(*) FROM "Merges"') == [(1,)]
    assert database.refusal("SELECT mergeguard.merge(%s, %s, 'r')", A, C) == "request-reused"
    assert database.refusal("SELECT mergeguard.merge(%s, %s, %s)", B, C, "x" * 65) == "usage"
    assert database.refusal("SELECT mergeguard.merge(%s, %s, '')", B, C) == "usage"


def test_a_key_needs_a_column(database: Database) -> None:
    bare = replace(PROFILE, merge=replace(PROFILE.merge, merge_key=None))
    assert merge_by_sql(database.url, A, B, None, "name.domain")["row"]["MergeKey"] == "name.domain"
    install(database.url, bare)
    assert database.refusal("SELECT mergeguard.merge(%s, %s, NULL, 'k')", B, C) == "usage"


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("stale", """UPDATE "Merges" SET "MergeKey" = 'other'"""),
        (
            "stale",
            """INSERT INTO "Merges" ("Id", "OldGuid", "NewGuid") SELECT 99, "OldGuid", "NewGuid" FROM "Merges" """,
        ),
        ("stale", """UPDATE "Evt" SET "What" = 'other'"""),
        ("journal-damaged", "UPDATE mergeguard_change SET table_name = 'Other' WHERE action = 'merge'"),
        ("journal-damaged", "DELETE FROM mergeguard_change WHERE action = 'remove'"),
        ("journal-damaged", "DELETE FROM mergeguard_step"),
        ("unknown-run", "DELETE FROM mergeguard_run"),
        ("unknown-run", "UPDATE mergeguard_run SET kind = 'apply'"),
    ],
)
def test_a_merge_is_not_taken_back_where_anything_changed(database: Database, reason: str, spoil: str) -> None:
    database.world.insert("Evt", [(A, "x")])
    run = merge_by_sql(database.url, A, B)["run_id"]
    ask(database.url, spoil)
    assert database.refusal("SELECT mergeguard.unmerge(%s)", run) == reason


def test_a_table_that_is_no_longer_declared_is_left_to_python(database: Database) -> None:
    database.world.insert("Evt", [(A, "x")])
    run = merge_by_sql(database.url, A, B)["run_id"]
    install(database.url, replace(PROFILE, references=()))
    assert database.refusal("SELECT mergeguard.unmerge(%s)", run) == "stale"
    assert database.refusal("SELECT mergeguard.unmerge(NULL)") == "unknown-run"


def test_a_row_that_a_trigger_makes_another_is_refused(database: Database) -> None:
    ask(
        database.url,
        "CREATE FUNCTION turned() RETURNS trigger LANGUAGE plpgsql AS "
        """$$ BEGIN NEW."NewGuid" := NEW."OldGuid"; RETURN NEW; END $$""",
    )
    ask(database.url, 'CREATE TRIGGER turning BEFORE INSERT ON "Merges" FOR EACH ROW EXECUTE FUNCTION turned()')
    try:
        assert database.refusal("SELECT mergeguard.merge(%s, %s)", A, B) == "write"
    finally:
        ask(database.url, 'DROP TRIGGER turning ON "Merges"')
        ask(database.url, "DROP FUNCTION turned()")


def test_who_waits_for_a_repair_gives_up(database: Database) -> None:
    with psycopg.connect(plain(database.url)) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(mergeguard.merge_lock_key())")
        ask(database.url, "ALTER FUNCTION mergeguard.merge(uuid, uuid, text, text) SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            merge_by_sql(database.url, A, B)
    assert merge_by_sql(database.url, A, B)["already"] is False
