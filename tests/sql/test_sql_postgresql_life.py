"""The scripts are installed, installed again, used by logins with few rights, and taken away."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass

import psycopg
import pytest
from merge_model import guid
from sql_world import ask, install, opened, plain

from mergeguard.errors import UnknownSchema, Unsupported, WriteFailed
from mergeguard.integrity.guard import guard_status, install_guard
from mergeguard.integrity.sql_scripts import install_sql, sql_scripts_of, uninstall_sql
from mergeguard.storage.profile import Profile
from mergeguard.storage.profile_file import builtin_profile
from mergeguard.storage.schema import migrate
from mergeguard.storage.scripts.files import scripts, send

PROFILE = builtin_profile("reference")
OTHERS = "NOT IN ('pg_catalog', 'pg_toast', 'information_schema')"
OBJECTS = f"""
    SELECT 'class', c.oid::regclass::text, c.relkind::text FROM pg_class c
    WHERE c.relnamespace::regnamespace::text {OTHERS}
    UNION ALL SELECT 'routine', p.oid::regprocedure::text, p.prosrc FROM pg_proc p
    WHERE p.pronamespace::regnamespace::text {OTHERS}
    UNION ALL SELECT 'trigger', tgname::text, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'schema', nspname::text, '' FROM pg_namespace WHERE nspname {OTHERS}
    ORDER BY 1, 2, 3
"""
MERGED = 'INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid", "MergedAt") VALUES (%s, %s, now())'
ROLES = ("mergeguard_scan", "mergeguard_processor", "mergeguard_repair")
TYPE = uuid.uuid5(uuid.NAMESPACE_OID, "type")


@pytest.fixture
def url(postgres_url: str) -> str:
    """The reference schema in the module's database, with three live computers, of which one is merged."""
    ask(postgres_url, "DROP SCHEMA IF EXISTS mergeguard CASCADE")
    ask(postgres_url, "DROP SCHEMA public CASCADE")
    ask(postgres_url, "CREATE SCHEMA public")
    ask(postgres_url, "GRANT USAGE ON SCHEMA public TO PUBLIC")
    migrate(postgres_url)
    ask(postgres_url, """INSERT INTO "ResourceType" VALUES (%s, 'computer')""", [TYPE])
    for number in range(3):
        values = [guid(number), f"PC-{number}", TYPE]
        ask(
            postgres_url,
            'INSERT INTO "Item" ("Guid", "Name", "ResourceTypeGuid", "CreatedDate", "ModifiedDate") '
            "VALUES (%s, %s, %s, now(), now())",
            values,
        )
        ask(postgres_url, 'INSERT INTO "ItemResource" ("Guid", "IsManaged") VALUES (%s, true)', [guid(number)])
    return postgres_url


def run_by_hand(url: str, name: str) -> None:
    """Run one of the files as psql would, with the names of the profile."""
    with opened(url, PROFILE) as source:
        (script,) = [one for one in sql_scripts_of(source, PROFILE).files if one.name == name]
    with psycopg.connect(plain(url)) as connection:
        connection.execute(script.text.encode())


@dataclass(frozen=True)
class Login:
    """A login that is a member of one of our roles and of nothing else."""

    url: str
    name: str

    def may(self, sql: str, *values: object) -> bool:
        try:
            with psycopg.connect(plain(self.url), autocommit=True) as connection:
                connection.execute(sql.encode(), values)
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True


def login(url: str, role: str) -> Login:
    name, word = f"someone_{secrets.token_hex(4)}", secrets.token_hex(8)
    ask(url, f"CREATE ROLE {name} LOGIN PASSWORD '{word}' IN ROLE {role}")
    _, _, where = url.partition("@")
    return Login(f"postgresql://{name}:{word}@{where}", name)


def test_an_install_may_be_repeated_and_changes_nothing(url: str) -> None:
    install(url, PROFILE)
    once = ask(url, OBJECTS)
    ask(url, "SELECT mergeguard.merge(%s, %s)", [guid(0), guid(1)])
    install(url, PROFILE)

    assert ask(url, OBJECTS) == once
    assert ask(url, "SELECT old_guid, current_guid FROM mergeguard.lookup_rows") == [(guid(0), guid(1))]


def test_a_lookup_that_is_made_is_filled(url: str) -> None:
    ask(url, 'DELETE FROM "ItemResource" WHERE "Guid" = %s', [guid(0)])
    ask(
        url, 'INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid", "MergedAt") VALUES (%s, %s, now())', [guid(0), guid(1)]
    )
    install(url, PROFILE)

    assert ask(url, "SELECT * FROM mergeguard.lookup_rows") == [(guid(0), guid(1), 1, "ok")]


def test_the_vendors_tables_are_not_altered(url: str) -> None:
    shape = (
        "SELECT attrelid::regclass::text, attname, atttypid, attnum FROM pg_attribute "
        "WHERE attrelid::regclass::text NOT LIKE '%mergeguard%' AND attrelid IN "
        "(SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace) ORDER BY 1, 4"
    )
    before = ask(url, shape)
    install(url, PROFILE)

    assert ask(url, shape) == before
    assert ask(url, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == [(0,)]


def test_an_uninstall_takes_away_all_that_was_made_and_only_that(url: str) -> None:
    before = ask(url, OBJECTS)
    install(url, PROFILE)
    for name in ("80_guard.sql", "90_grants.sql"):
        run_by_hand(url, name)
    with opened(url, PROFILE) as source:
        assert guard_status(source, PROFILE).ok, "the file makes the guard that the command makes"
    ask(url, "SELECT mergeguard.merge(%s, %s)", [guid(0), guid(1)])
    with opened(url, PROFILE) as source:
        uninstall_sql(source, PROFILE)
    known = {name for _, name, _ in before}
    left = {name.strip('"') for _, name, kind in ask(url, OBJECTS) if kind == "r" and name not in known}
    kept = {"lookup", "run", "step", "change", "root", "never", "request"}

    assert left == {f"mergeguard_{name}" for name in kept}
    assert ask(url, "SELECT action FROM mergeguard_change ORDER BY 1") == [("black-list",), ("merge",), ("remove",)]
    with opened(url, PROFILE) as source:
        uninstall_sql(source, PROFILE, data=True)
    assert ask(url, OBJECTS) == before
    assert ask(url, "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [list(ROLES)]) == []
    with opened(url, PROFILE) as source:
        uninstall_sql(source, PROFILE, data=True)
    assert ask(url, OBJECTS) == before


def test_what_others_built_upon_it_stops_an_uninstall(url: str) -> None:
    install(url, PROFILE)
    ask(url, "CREATE VIEW theirs AS SELECT * FROM mergeguard.merge_rows")
    before = ask(url, OBJECTS)
    with opened(url, PROFILE) as source, pytest.raises(WriteFailed, match=r"theirs|depend"):
        uninstall_sql(source, PROFILE)
    assert ask(url, OBJECTS) == before


def test_each_role_may_do_what_it_is_for_and_nothing_more(url: str) -> None:
    install(url, PROFILE)
    run_by_hand(url, "90_grants.sql")
    scan, processor, repair = (login(url, role) for role in ROLES)
    reads = ["SELECT * FROM mergeguard.scan()", "SELECT * FROM mergeguard.rules_checked()"]
    reads.append("SELECT * FROM mergeguard.journal_runs")
    for reader in (scan, processor, repair):
        assert all(reader.may(sql) for sql in reads)
        assert reader.may("SELECT * FROM mergeguard.current_guid(%s)", guid(0))
        assert not reader.may('SELECT * FROM "ResourceMerge"'), "the vendor's tables stay closed"
        assert not reader.may("DELETE FROM mergeguard.lookup_rows")
        assert not reader.may("SELECT mergeguard.write_merge(%s, %s, NULL)", guid(0), guid(1))
    merge = "SELECT mergeguard.merge(%s, %s)"
    assert not scan.may(merge, guid(0), guid(1))
    assert not scan.may("SELECT mergeguard.preview(%s, %s)", guid(0), guid(1))
    assert processor.may("SELECT mergeguard.preview(%s, %s)", guid(0), guid(1))
    assert processor.may(merge, guid(0), guid(1))
    assert repair.may("CALL mergeguard.merge_guids(%s, %s)", guid(1), guid(2))
    ((run,),) = ask(url, "SELECT run_id FROM mergeguard.journal_runs WHERE who = %s", [repair.name])
    assert not processor.may("SELECT mergeguard.unmerge(%s)", run)
    assert repair.may("CALL mergeguard.unmerge_run(%s)", run)
    assert not processor.may("SELECT mergeguard.rebuild_lookup()")
    assert repair.may("SELECT mergeguard.rebuild_lookup()")
    pair = "INSERT INTO mergeguard.never_pairs VALUES (%s, %s, 'me', NULL)"
    assert not processor.may(pair, guid(1), guid(2))
    assert repair.may(pair, guid(1), guid(2))
    with pytest.raises(psycopg.errors.RaiseException, match=r"never-merge: .*: me"):
        processor.may(merge, guid(1), guid(2))
    for reader in (scan, processor, repair):
        ask(url, f"DROP ROLE {reader.name}")
    with opened(url, PROFILE) as source:
        uninstall_sql(source, PROFILE)


def test_merges_pass_the_guard_and_are_taken_back_beside_it(url: str) -> None:
    install(url, PROFILE)
    with opened(url, PROFILE) as source:
        install_guard(source, PROFILE)
    ((one,),) = ask(url, "SELECT mergeguard.merge(%s, %s)", [guid(0), guid(1)])
    ask(url, "SELECT mergeguard.merge(%s, %s)", [guid(1), guid(2)])
    with pytest.raises(psycopg.errors.CheckViolation):
        ask(url, MERGED, [guid(2), guid(0)])
    ask(url, "SELECT mergeguard.unmerge(%s)", [one["run_id"]])

    assert ask(url, "SELECT * FROM mergeguard.lookup_rows") == [(guid(1), guid(2), 1, "ok")]
    assert ask(url, "SELECT rule FROM mergeguard.scan()") == []


def test_a_failing_script_leaves_nothing_behind(url: str) -> None:
    before = ask(url, OBJECTS)
    broken = [*scripts("postgresql")[:2], scripts("postgresql")[1].filled({}, "x")]
    with opened(url, PROFILE) as source, pytest.raises(WriteFailed):  # noqa: SIM117 - the source is opened first
        with source.writing() as writing, writing.transaction() as rows:
            send(rows, [*broken, type(broken[0])("11_broken.sql", "SELECT 1/0", "postgresql")])
    assert ask(url, OBJECTS) == before


def test_a_profile_that_names_what_is_not_there_is_refused(url: str) -> None:
    wrong = Profile(name="wrong")
    with opened(url, wrong) as source:
        install_sql(source, wrong)  # the default names are those of the reference schema
    ask(url, 'ALTER TABLE "ResourceMerge" RENAME TO "Elsewhere"')
    with opened(url, wrong) as source, pytest.raises(UnknownSchema, match="ResourceMerge"):
        install_sql(source, wrong)


def test_a_file_has_no_scripts(tmp_path: object) -> None:
    path = f"{tmp_path}/merges.csv"
    with open(path, "w") as file:  # noqa: PTH123 - two lines of text
        file.write("OldGuid,NewGuid\n")
    with opened(path, PROFILE) as source, pytest.raises(Unsupported, match="SQL scripts are for databases"):
        sql_scripts_of(source, PROFILE)
