"""A guard is put up, looked at, tried and taken down: once is enough, and nothing of it is left."""

from __future__ import annotations

import secrets
import uuid
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import login
from guard_model import GUIDS, Guarded

from mergeguard.errors import Locked, PermissionDenied, ProfileError, UnknownSchema, Unsupported
from mergeguard.integrity.guard import (
    guard_status,
    install_guard,
    propose_install,
    propose_removal,
    remove_guard,
)
from mergeguard.integrity.guard_proof import prove_guard
from mergeguard.storage.profile import Merge, Merging, Profile
from mergeguard.storage.source import Options

CATALOGUES = {
    "sqlite": "SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2",
    "postgresql": """
        SELECT 'class', relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT 'function', proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT 'trigger', tgname::text FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'constraint', conname::text FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        ORDER BY 1, 2
    """,
}


@pytest.fixture(params=["sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Guarded:
    """A table of merges without a guard."""
    lite = f"sqlite:///{tmp_path}/bare.db"
    return Guarded(lite if request.param == "sqlite" else request.getfixturevalue("postgres_url"))


def catalogue(guarded: Guarded) -> list[tuple[Any, ...]]:
    with guarded.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(CATALOGUES[guarded.kind])]


def test_it_is_put_up_once_and_taken_down_whole(bare: Guarded) -> None:
    before = catalogue(bare)
    with bare.opened() as source:
        assert not guard_status(source, bare.profile).ok
        proposed = propose_install(source, bare.profile)
        assert catalogue(bare) == before
        assert install_guard(source, bare.profile) == proposed
        status = guard_status(source, bare.profile)
        assert (status.ok, status.version, status.problems, status.notes) == (True, 1, (), ())
        stands = catalogue(bare)
        assert not install_guard(source, bare.profile).needed
        assert catalogue(bare) == stands != before
        assert remove_guard(source, bare.profile).needed
        assert catalogue(bare) == before
        assert not remove_guard(source, bare.profile).needed


def test_the_statements_of_a_dry_run_make_a_guard_by_hand(bare: Guarded) -> None:
    with bare.opened() as source:
        raw = bare.engine.raw_connection()
        for statement in propose_install(source, bare.profile).statements:
            raw.driver_connection.execute(statement)
        raw.driver_connection.commit()
        raw.close()
        assert guard_status(source, bare.profile).ok
        removal = propose_removal(source, bare.profile).statements
        bare.run(*removal)
        assert not guard_status(source, bare.profile).installed


def damage(guarded: Guarded, how: str) -> str:
    """Do something to a guard; return what the status must say."""
    table, guard = guarded.table, guarded.guard
    lite = guarded.kind == "sqlite"
    schema = "" if lite else '"public".'
    if how == "no row":
        guarded.run(f"DELETE FROM {guard}")
        return f'its table {schema}"{guard}" has lost its row'
    if how == "no table":
        guarded.run(f"DROP TABLE {guard}")
        return f'its table {schema}"{guard}" is missing'
    if how == "no trigger":
        guarded.run(f"DROP TRIGGER {guard}_update" + ("" if lite else f' ON "{table}"'))
        return f"{guard}_update is missing"
    if lite:
        guarded.run(f"DROP TRIGGER {guard}_insert")
        guarded.run(f'CREATE TRIGGER {guard}_insert AFTER INSERT ON "{table}" BEGIN SELECT 1; END')
        return f"{guard}_insert is not as this version would make it"
    if how == "altered":
        guarded.run(f"ALTER FUNCTION {guard}_check() SECURITY INVOKER")
        return f"{guard}_check is not as this version would make it"
    guarded.run(f'ALTER TABLE "{table}" DISABLE TRIGGER {guard}_insert')
    return f"{guard}_insert is disabled"


@pytest.mark.parametrize("how", ["no row", "no table", "no trigger", "altered", "disabled"])
def test_what_is_wrong_is_said_and_mended(bare: Guarded, how: str) -> None:
    bare.install()
    words = damage(bare, how)
    with bare.opened() as source:
        status = guard_status(source, bare.profile)
        assert (status.ok, status.problems) == (False, (words,))
        assert install_guard(source, bare.profile).needed
        assert guard_status(source, bare.profile).ok


def test_without_its_row_nothing_is_merged(postgres_url: str) -> None:
    guarded = Guarded(postgres_url)
    guarded.install()
    guarded.run(f"DELETE FROM {guarded.guard}")
    with pytest.raises(sa.exc.IntegrityError, match=r"no-guard-row: .*'mergeguard guard install' puts it back"):
        guarded.insert(0, [(GUIDS[0], GUIDS[1])])


def test_a_guard_guards_one_table(bare: Guarded) -> None:
    bare.install()
    other = Guarded(bare.url)
    profile = Profile(merge=Merge(other.table, "Old", "New", "Id"), merging=Merging(guard=bare.guard))
    with bare.opened() as source, pytest.raises(ProfileError, match=f"the guard {bare.guard} guards") as refused:
        install_guard(source, profile)
    assert "[merging] guard" in str(refused.value.hint)
    assert bare.status_problems() == ()


def test_what_cannot_be_guarded_is_said(bare: Guarded, tmp_path: Path) -> None:
    bare.run(f'CREATE VIEW "v {bare.guard}" AS SELECT * FROM "{bare.table}"')
    texts = Profile(merge=Merge(bare.table, "Old", "New", "Id", ids="text"))
    with bare.opened() as source:
        with pytest.raises(Unsupported, match="no guids"):
            install_guard(source, texts)
        with pytest.raises(Unsupported, match="is no table"):
            install_guard(source, Profile(merge=Merge(f"v {bare.guard}", "Old", "New", "Id")))
        with pytest.raises(UnknownSchema, match="there is no table gone"):
            guard_status(source, Profile(merge=Merge("gone")))
    bare.run(f'DROP VIEW "v {bare.guard}"')


def test_a_file_has_no_guard(tmp_path: Path) -> None:
    file = tmp_path / "merges.csv"
    file.write_text("OldGuid,NewGuid\n")
    from mergeguard import guard_install  # noqa: PLC0415 - the public name

    with pytest.raises(Unsupported, match="is a file"):
        guard_install(file)


def test_it_waits_for_a_lock_as_long_as_it_may(bare: Guarded) -> None:
    before = catalogue(bare)
    with bare.engine.connect() as holding, bare.opened(options=Options(lock_timeout=0.05)) as source:
        lite = bare.kind == "sqlite"
        holding.exec_driver_sql("BEGIN IMMEDIATE" if lite else f'LOCK TABLE "{bare.table}" IN ROW EXCLUSIVE MODE')
        with pytest.raises(Locked):
            install_guard(source, bare.profile)
        holding.rollback()
    assert catalogue(bare) == before


def test_an_index_that_is_missing_is_a_note(bare: Guarded) -> None:
    bare.run(f'DROP INDEX "ix {bare.table.rpartition(" ")[2]}"')
    with bare.opened() as source:
        (note,) = install_guard(source, bare.profile).notes
        assert "each check reads the whole table" in note
        assert guard_status(source, bare.profile).ok
    bare.insert(0, [(str(GUIDS[0]), str(GUIDS[1]))])
    with pytest.raises(sa.exc.IntegrityError, match="mergeguard: cycle"):
        bare.insert(1, [(str(GUIDS[1]), str(GUIDS[0]))])


# Proof.


def test_a_guard_is_tried_and_leaves_no_trace(bare: Guarded) -> None:
    bare.insert(0, [(str(GUIDS[0]), str(GUIDS[1]))])
    bare.run(f'ALTER TABLE "{bare.table}" RENAME COLUMN "Note" TO "Remark"')
    rows = bare.rows()
    key = "serial" if bare.kind == "postgresql" else None
    if key:  # else nothing would number the rows
        bare.run(f"CREATE SEQUENCE {bare.guard}_ids START 10")
        bare.run(f"""ALTER TABLE "{bare.table}" ALTER COLUMN "Id" SET DEFAULT nextval('{bare.guard}_ids')""")
    with bare.opened() as source:
        unguarded = prove_guard(source, bare.profile)
        assert [attempt.outcome for attempt in unguarded.attempts] == ["let through"] * 3
        assert not unguarded.holds
        install_guard(source, bare.profile)
        proof = prove_guard(source, bare.profile)
        assert proof.holds
        assert [attempt.said.split(":")[1].strip() for attempt in proof.attempts] == ["self-merge", "cycle", "cycle"]
    assert bare.rows() == rows


def test_what_could_not_be_tried_is_no_proof(postgres_url: str) -> None:
    guarded = Guarded(postgres_url)  # its key has no default
    guarded.install()
    with guarded.opened() as source:
        proof = prove_guard(source, guarded.profile)
    assert {attempt.outcome for attempt in proof.attempts} == {"not tried"}
    assert not proof.holds
    assert "null value" in proof.attempts[0].said


# Rights.


def test_a_vendor_needs_no_right_on_the_guard(postgres_server: Any, postgres_url: str) -> None:
    guarded = Guarded(postgres_url)
    guarded.install()
    with login_of(postgres_server, postgres_url) as url:
        name = sa.make_url(url).username
        guarded.run(f'GRANT INSERT, UPDATE ("New") ON "{guarded.table}" TO "{name}"')
        vendor = sa.create_engine(url, poolclass=sa.pool.NullPool)
        insert = sa.text(f'INSERT INTO "{guarded.table}" VALUES (:id, :old, :new, 0)')
        with vendor.begin() as connection:
            connection.execute(insert, {"id": 1, "old": GUIDS[0], "new": GUIDS[1]})
        with pytest.raises(sa.exc.IntegrityError, match="mergeguard: cycle"), vendor.begin() as connection:
            connection.execute(insert, {"id": 2, "old": GUIDS[1], "new": GUIDS[0]})
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), vendor.begin() as connection:
            connection.exec_driver_sql(f"UPDATE {guarded.guard} SET turn = 0")
        with guarded.opened(url) as source:
            assert guard_status(source, guarded.profile).ok
            with pytest.raises(PermissionDenied) as refused:
                remove_guard(source, guarded.profile)
        assert "the owner of the merge table" in str(refused.value.hint)
        assert guarded.status_problems() == ()
        guarded.run(f'REVOKE ALL ON "{guarded.table}" FROM "{name}"')


def test_who_may_not_make_a_trigger_is_told_so(postgres_server: Any, postgres_url: str) -> None:
    guarded = Guarded(postgres_url)
    before = catalogue(guarded)
    with login_of(postgres_server, postgres_url) as url:
        name = sa.make_url(url).username
        guarded.run(
            f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{guarded.table}" TO "{name}"',
            f'GRANT CREATE ON SCHEMA public TO "{name}"',
        )
        with guarded.opened(url) as source, pytest.raises(PermissionDenied) as refused:
            install_guard(source, guarded.profile)
        assert "the owner of the merge table" in str(refused.value.hint)
        assert catalogue(guarded) == before
        guarded.run(f'REVOKE ALL ON "{guarded.table}" FROM "{name}"', f'REVOKE ALL ON SCHEMA public FROM "{name}"')


def test_who_may_not_read_the_merges_cannot_try_the_guard(postgres_server: Any, postgres_url: str) -> None:
    guarded = Guarded(postgres_url)
    guarded.install()
    denied = pytest.raises(PermissionDenied, match="permission denied for")
    with login_of(postgres_server, postgres_url) as url, guarded.opened(url) as source, denied:
        prove_guard(source, guarded.profile)


def login_of(server: Any, url: str) -> Any:
    from contextlib import contextmanager  # noqa: PLC0415 - beside its use

    return contextmanager(login)(server, url)


def test_a_name_may_hold_anything(bare: Guarded) -> None:
    odd = f'odd "%s" {{0}} ? \' [x] {secrets.token_hex(2)}'
    kind = "uuid" if bare.kind == "postgresql" else "text"
    made = sa.Table(
        odd,
        sa.MetaData(),
        *(sa.Column(name, sa.Text().with_variant(sa.Uuid(), "postgresql")) for name in ("O%", f'N"{kind}')),
    )
    made.append_column(sa.Column("Id", sa.Integer, primary_key=True))
    made.create(bare.engine)
    profile = Profile(merge=Merge(odd, "O%", f'N"{kind}', "Id"), merging=Merging(guard=f"g {odd}"[:40]))
    with bare.opened() as source:
        install_guard(source, profile)
        assert guard_status(source, profile).ok
        one = str(uuid.uuid4())
        table = sa.table(odd, sa.column("Id"), sa.column("O%"), sa.column(f'N"{kind}'))
        with pytest.raises(sa.exc.IntegrityError, match="mergeguard: self-merge"), bare.engine.begin() as connection:
            connection.execute(table.insert(), {"Id": 1, "O%": one, f'N"{kind}': one})
        remove_guard(source, profile)
        assert not guard_status(source, profile).installed
