"""The reference schema: made once, the same on every dialect, and never guessed at where a database says otherwise."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.errors import Locked, MergeGuardError, UnknownSchema, UsageError, WriteFailed
from mergeguard.storage import schema
from mergeguard.storage.profile_file import builtin_profile
from mergeguard.storage.schema import DIALECTS, VERSION_TABLE, Migration, check_applied, fill, migrate, migrations

A, B = str(uuid.UUID(int=0xA)), str(uuid.UUID(int=0xB))
MERGE = {"OldGuid": A, "NewGuid": B, "MergedAt": "2020-01-01 00:00:00+00:00", "MergeKey": None}
OF_ONE_DIALECT = {"mergeguard_key"}
"""What stands for a lock that the other dialects have."""
GUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'reference.db'}"


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mssql", marks=pytest.mark.mssql)])
def empty_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of each dialect."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        yield url
        execute(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        return
    url = os.environ["MERGEGUARD_TEST_MSSQL_URL"]
    drop_sql_server_tables(url)
    yield url
    drop_sql_server_tables(url)


def execute(url: str, *statements: str) -> list[tuple[object, ...]]:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        results = [connection.exec_driver_sql(statement) for statement in statements]
        return [tuple(row) for row in results[-1]] if results[-1].returns_rows else []


def drop_sql_server_tables(url: str) -> None:
    tables = ["ResourceAssociation", "ResourceAssociationType", "ResourceTypeMergeKey", "Item", "ResourceType"]
    tables += ["ItemResource", "ResourceKey", "ResourceMerge", "DataClass", "ResourceUpdateSummary", VERSION_TABLE]
    tables += ["Inv_Identification", "Inv_InstalledSoftware", "Evt_Software_Execution", "AgentBlacklist"]
    tables = ["ResourceTypeHierarchy", "DataClassColumn", *tables]
    execute(url, *(f"IF OBJECT_ID(N'dbo.{table}') IS NOT NULL DROP TABLE [dbo].[{table}]" for table in tables))


def inspected(url: str) -> dict[str, set[str]]:
    """The columns of each table."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    inspector = sa.inspect(engine)
    names = set(inspector.get_table_names()) - OF_ONE_DIALECT
    return {name: {column["name"] for column in inspector.get_columns(name)} for name in names}


def described(dialect: str) -> dict[str, set[str]]:
    """The columns of each table as the migrations' text says."""
    found = {}
    for migration in migrations(dialect):
        for table, body in re.findall(r"CREATE TABLE (?:\[dbo\]\.)?\W(\w+)\W \((.*?)\n\);", migration.text, re.DOTALL):
            found[table] = set(re.findall(r"^    [\"\[](\w+)[\"\]]", body, re.MULTILINE))
        added = re.findall(r"ALTER TABLE (?:\[dbo\]\.)?\W(\w+)\W ADD (?:COLUMN )?[\"\[](\w+)", migration.text)
        for table, column in added:
            found[table].add(column)
    return found


def test_migrating_makes_the_schema_once(empty_url: str) -> None:
    applied = migrate(empty_url)
    assert [migration.version for migration in applied] == list(range(1, len(applied) + 1))
    assert migrate(empty_url) == []
    assert inspected(empty_url).keys() == {*described("sqlite"), VERSION_TABLE}


def test_the_built_in_profile_names_what_is_there(empty_url: str) -> None:
    migrate(empty_url)
    tables, profile = inspected(empty_url), builtin_profile("reference")
    merge, live, types, keys = profile.merge, profile.live, profile.types, profile.keys
    assert live is not None
    assert types is not None
    assert keys is not None
    assert {merge.old, merge.new, merge.row_id, merge.time, merge.merge_key} <= tables[merge.table]
    assert live.guid in tables[str(live.table)]
    assert {types.guid, types.type} <= tables[types.table]
    assert {keys.guid, keys.name, keys.value} <= tables[keys.table]
    for reference in profile.references:
        assert reference.column in tables[reference.table], reference
        assert {*reference.unique, *filter(None, [reference.time])} <= tables[reference.table], reference


def test_the_built_in_profile_names_what_a_repair_reads(empty_url: str) -> None:
    migrate(empty_url)
    tables, profile = inspected(empty_url), builtin_profile("reference")
    contact, owner, names, hashes = profile.contact, profile.owner, profile.names, profile.hashes
    assert contact is not None
    assert {contact.guid, contact.time} <= tables[contact.table]
    assert owner is not None
    assert {owner.guid, owner.server} <= tables[owner.table]
    assert names is not None
    assert {names.guid, names.name} <= tables[names.table]
    assert hashes is not None
    assert {hashes.guid, hashes.data_class, hashes.hash} <= tables[hashes.table]
    assert hashes.classes is not None
    assert {hashes.classes.guid, hashes.classes.name} <= tables[hashes.classes.table]
    for link in profile.associations:
        assert {link.parent, link.child, link.type, link.time} <= tables[link.table]


def test_the_profile_references_every_column_of_a_resource_guid() -> None:
    named = {(reference.table, reference.column) for reference in builtin_profile("reference").references}
    there = {
        (table, column)
        for table, columns in described("sqlite").items()
        for column in columns
        if re.search(r"(Resource|Component)Guid$", column)
    }
    assert named == there


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_has_the_same_steps_and_columns(dialect: str) -> None:
    steps = [(migration.version, migration.name) for migration in migrations(dialect)]
    assert steps == [(migration.version, migration.name) for migration in migrations("sqlite")]
    assert described(dialect) == described("sqlite")


def test_the_text_is_what_the_database_gets(empty_url: str) -> None:
    migrate(empty_url)
    assert {name: columns for name, columns in inspected(empty_url).items() if name != VERSION_TABLE} == described(
        "sqlite"
    )


def test_a_merge_table_takes_duplicates_conflicts_and_cycles(empty_url: str) -> None:
    migrate(empty_url)
    back = MERGE | {"OldGuid": B, "NewGuid": A}
    self_merge = MERGE | {"NewGuid": A}
    fill(empty_url, {"ResourceMerge": [MERGE, MERGE, back, self_merge], "ResourceKey": []})
    quoted = "[OldGuid] FROM [ResourceMerge]" if empty_url.startswith("mssql") else '"OldGuid" FROM "ResourceMerge"'
    rows = [str(row[0]).lower() for row in execute(empty_url, f"SELECT {quoted}")]
    assert sorted(rows) == [A, A, A, B]


def test_filling_writes_all_tables_or_none(empty_url: str) -> None:
    migrate(empty_url)
    bad = {"ResourceGuid": A, "KeyName": None, "KeyValue": "x"}
    with pytest.raises(WriteFailed) as caught:
        fill(empty_url, {"ResourceMerge": [MERGE], "ResourceKey": [bad]})
    assert "password" not in caught.value.message
    quoted = "[ResourceMerge]" if empty_url.startswith("mssql") else '"ResourceMerge"'
    assert execute(empty_url, f"SELECT count(*) FROM {quoted}") == [(0,)]


def test_a_table_that_is_not_there_cannot_be_filled(sqlite_url: str) -> None:
    with pytest.raises(UnknownSchema):
        fill(sqlite_url, {"ResourceMerge": [MERGE]})


def broken(dialect: str) -> Migration:
    """A migration whose first statement is good."""
    go = "\nGO\n" if dialect == "mssql" else "\n"
    return Migration(99, "broken", f"CREATE TABLE half_made (a int);{go}CREATE TABLE half_made (a int);\n", dialect)


def test_a_migration_that_fails_leaves_nothing_of_itself(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good = migrations(sa.make_url(empty_url).get_backend_name())
    monkeypatch.setattr(schema, "migrations", lambda dialect: [*good, broken(dialect)])
    with pytest.raises(MergeGuardError):
        migrate(empty_url)
    assert "half_made" not in inspected(empty_url)
    monkeypatch.undo()
    assert migrate(empty_url) == []


def test_two_at_once_take_turns(empty_url: str) -> None:
    ready = threading.Barrier(2)
    applied: list[list[Migration]] = []

    def run() -> None:
        ready.wait()
        applied.append(migrate(empty_url))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    steps = sorted(migration.version for one in applied for migration in one)
    assert steps == [migration.version for migration in migrations("sqlite")]


def test_a_locked_database_is_said_to_be_locked(sqlite_url: str) -> None:
    engine = sa.create_engine(sqlite_url, connect_args={"timeout": 0.01})
    holder = sqlite3.connect(sa.make_url(sqlite_url).database or "", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Locked):
        migrate(engine)
    holder.execute("ROLLBACK")
    assert migrate(engine)
    holder.close()
    engine.dispose()


def test_an_engine_that_begins_by_itself_is_welcome(sqlite_url: str) -> None:
    engine = sa.create_engine(sqlite_url, poolclass=sa.pool.NullPool)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    assert migrate(engine, "sqlite")
    assert migrate(engine) == []


def test_an_edited_migration_is_refused_and_nothing_changes(empty_url: str) -> None:
    migrate(empty_url)
    execute(empty_url, f"UPDATE {VERSION_TABLE} SET checksum = 'other' WHERE version = 2")
    with pytest.raises(UnknownSchema, match="0002_merges was applied to this database with another text"):
        migrate(empty_url)


def test_a_newer_database_is_refused(empty_url: str) -> None:
    migrate(empty_url)
    execute(empty_url, f"INSERT INTO {VERSION_TABLE} (version, name, checksum) VALUES (1000, 'later', 'x')")
    with pytest.raises(UnknownSchema, match="schema version 1000, newer than") as caught:
        migrate(empty_url)
    assert caught.value.hint is not None


OLDER = [migration.version for migration in migrations("sqlite")[:-1]]
EARLY_ROWS = {
    "ResourceType": (1, [{"Guid": A, "Name": "pc"}]),
    "ItemResource": (1, [{"Guid": A, "IsManaged": True}]),
    "ResourceMerge": (2, [MERGE]),
    "ResourceKey": (2, [{"ResourceGuid": A, "KeyName": name, "KeyValue": "x"} for name in ("n", "N", "n")]),
    "ResourceAssociationType": (
        3,
        [{"Guid": A, "Name": "owner", "MinimumCardinality": 0, "MaximumCardinality": 1}],
    ),
}
"""Rows that a database of some version may hold: table -> (since when, rows)."""


@pytest.mark.parametrize("version", OLDER)
def test_a_database_of_an_earlier_version_is_brought_up_to_date(
    empty_url: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = migrations(sa.make_url(empty_url).get_backend_name())
    monkeypatch.setattr(schema, "migrations", lambda _dialect: everything[:version])
    migrate(empty_url)
    rows = {table: given for table, (since, given) in EARLY_ROWS.items() if since <= version}
    fill(empty_url, rows)
    monkeypatch.undo()
    assert [migration.version for migration in migrate(empty_url)] == list(range(version + 1, len(everything) + 1))
    assert {name: columns for name, columns in inspected(empty_url).items() if name != VERSION_TABLE} == described(
        "sqlite"
    )
    for table, kept in rows.items():
        assert execute(empty_url, f'SELECT count(*) FROM "{table}"') == [(len(kept),)]
    assert execute(empty_url, 'SELECT "Status" FROM "ItemResource"') == [("active",)]


def test_rows_that_each_inventory_confirms_are_updated_without_their_indexes(postgres_url: str) -> None:
    migrate(postgres_url)
    pairs = f"INSERT INTO {{}} SELECT '{A}', md5(n::text)::uuid, {{}} FROM generate_series(1, 1000) AS n"
    summary = pairs.format('"ResourceUpdateSummary"', "now(), now(), 0, NULL, md5('data'), now(), 1")
    confirmed = 'UPDATE "ResourceUpdateSummary" SET "LastEventId" = "LastEventId" + 1, "ModifiedDate" = now()'
    counted = "SELECT n_tup_hot_upd, n_tup_upd FROM pg_stat_xact_user_tables WHERE relname = 'ResourceUpdateSummary'"
    [(beside, updated)] = execute(postgres_url, summary, confirmed, counted)
    assert (beside, updated) == (1000, 1000)
    execute(postgres_url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")


def test_the_samples_of_the_catalogue_are_their_tables(empty_url: str) -> None:
    migrate(empty_url)
    tables = inspected(empty_url)
    catalogued = execute(
        empty_url,
        'SELECT d."TableName", d."IsEvent", c."ColumnName", c."IsResource" FROM "DataClass" d'
        ' JOIN "DataClassColumn" c ON c."DataClassGuid" = d."Guid" ORDER BY d."TableName", c."Ordinal"',
    )
    for table in {str(row[0]) for row in catalogued}:
        mine = [row for row in catalogued if row[0] == table]
        own = {"_id", "_ResourceGuid"} | ({"_eventTime"} if mine[0][1] else set())
        assert tables[table] == own | {str(row[2]) for row in mine}
    resources = {(row[0], row[2]) for row in catalogued if row[3]}
    named = {(one.table, one.column) for one in builtin_profile("reference").references}
    assert resources <= named


def test_a_schema_that_stands_is_migrated_by_who_may_only_read(postgres_url: str, postgres_reader_url: str) -> None:
    migrate(postgres_url)
    assert migrate(postgres_reader_url) == []
    execute(postgres_url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")


STEPS = [Migration(version, "step", f"SELECT {version};", "sqlite") for version in (1, 2, 3, 4)]
OTHER = "0" * 64


@given(st.dictionaries(st.integers(1, 6), st.booleans()))
def test_only_an_unedited_beginning_is_accepted(edits: dict[int, bool]) -> None:
    """The model: versions 1..n for some n, each with the checksum known here."""
    checksums = {step.version: step.checksum for step in STEPS}
    applied = {version: OTHER if edited else checksums.get(version, OTHER) for version, edited in edits.items()}
    prefix = sorted(edits) == list(range(1, len(edits) + 1)) and len(edits) <= len(STEPS)
    if prefix and not any(edits.values()):
        check_applied(applied, STEPS)
    else:
        with pytest.raises(UnknownSchema) as caught:
            check_applied(applied, STEPS)
        assert caught.value.hint is not None


def test_a_checksum_ignores_windows_line_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "migrations" / "sqlite"
    folder.mkdir(parents=True)
    monkeypatch.setattr(schema.resources, "files", lambda _package: tmp_path)
    sums = set()
    for text in (b"SELECT 1;\nSELECT 2;\n", b"SELECT 1;\r\nSELECT 2;\r\n"):
        (folder / "0001_one.sql").write_bytes(text)
        (folder / "notes.txt").write_bytes(b"not a migration")
        sums.add(tuple(migration.checksum for migration in migrations("sqlite")))
    assert len(sums) == 1


def test_an_unknown_dialect_is_refused() -> None:
    with pytest.raises(UsageError, match="oracle") as caught:
        migrations("oracle")
    assert caught.value.hint == "it exists for sqlite, postgresql, mssql"


def test_a_trigger_is_not_cut_in_its_body() -> None:
    text = "CREATE TABLE a (b);\nCREATE TRIGGER c INSERT ON a BEGIN\n  SELECT 1;\n  SELECT 2;\nEND;\nSELECT 3;\n"
    assert [part.split()[0:2] for part in Migration(1, "x", text, "sqlite").statements] == [
        ["CREATE", "TABLE"],
        ["CREATE", "TRIGGER"],
        ["SELECT", "3;"],
    ]


@given(
    st.one_of(
        st.uuids().map(str),
        st.uuids().map(lambda guid: str(guid).upper()),
        st.text("0123456789abcdefABCDEFg-", min_size=35, max_size=37),
        st.tuples(st.uuids().map(str), st.integers(0, 35), st.characters(codec="utf-8")).map(
            lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
        ),
    )
)
def test_sqlite_takes_guids_in_one_spelling_only(text: str) -> None:
    connection = guid_table()
    try:
        connection.execute('INSERT INTO "ItemResource" VALUES (?, 1)', [text])
        taken = True
    except sqlite3.IntegrityError:
        taken = False
    connection.close()
    assert taken == (GUID_TEXT.fullmatch(text) is not None)


def guid_table() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(migrations("sqlite")[0].text)
    return connection


def test_a_guid_of_none_is_refused_where_one_is_needed() -> None:
    connection = guid_table()
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute('INSERT INTO "ItemResource" VALUES (NULL, 1)')
    connection.close()
