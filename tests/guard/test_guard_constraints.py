"""With ``constraints`` the database itself forbids what it can, and only where no row speaks against it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from guard_model import GUIDS, TYPES, Guarded
from sql_world import ask

from mergeguard.errors import PlanRefused
from mergeguard.integrity.guard import guard_status, install_guard, propose_install, remove_guard
from mergeguard.integrity.guard_proof import prove_guard
from mergeguard.storage.guard.parts import RESTORING, RESTORING_ID
from mergeguard.storage.profile import Types


@pytest.fixture(params=["sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Guarded:
    """A table of merges without a guard, and a table of three guids that are known."""
    lite = f"sqlite:///{tmp_path}/bare.db"
    made = Guarded(lite if request.param == "sqlite" else request.getfixturevalue("postgres_url"))
    kinds = f"Kinds{made.guard}"
    made.run(f'CREATE TABLE "{kinds}" ("Guid" {TYPES[made.kind]} PRIMARY KEY, "Kind" text)')
    for guid in GUIDS[:3]:
        made.run(f"INSERT INTO \"{kinds}\" VALUES ('{guid}', 'k')")
    made.profile = replace(made.profile, types=Types(kinds, "Guid", "Kind"))
    return made


def says(guarded: Guarded) -> tuple[str, ...]:
    with guarded.opened() as source:
        return guard_status(source, guarded.profile).constraints


def test_they_stand_and_go_with_the_guard(bare: Guarded) -> None:
    with bare.opened() as source:
        install_guard(source, bare.profile)
        assert says(bare) == ()
        change = install_guard(source, bare.profile, constraints=True)
        kinds = bare.profile.types.table  # type: ignore[union-attr]
        more = (
            ()
            if bare.kind == "sqlite"
            else ("no self-merge", *(f"every {one} stands in {kinds}" for one in ("old", "new")))
        )
        assert says(bare) == ("one row an old", *more)
        assert bool(change.notes) == (bare.kind == "sqlite")
        assert not install_guard(source, bare.profile, constraints=True).needed
        remove_guard(source, bare.profile)
        assert says(bare) == ()
        assert not remove_guard(source, bare.profile).needed


def past_the_guard(bare: Guarded, old: object, new: object) -> None:
    with bare.engine.begin() as connection:
        if bare.kind == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL {RESTORING} = 'on'")
        else:
            connection.exec_driver_sql(f'INSERT INTO "{bare.guard}" VALUES ({RESTORING_ID}, 0)')
        connection.exec_driver_sql(f"INSERT INTO \"{bare.table}\" VALUES (77, '{old}', '{new}', 0)")


def test_they_hold_where_the_trigger_does_not(bare: Guarded) -> None:
    with bare.opened() as source:
        install_guard(source, bare.profile, constraints=True)
    bare.insert(0, [(str(GUIDS[0]), str(GUIDS[1]))])
    wrong = [(GUIDS[0], GUIDS[2])]
    if bare.kind == "postgresql":
        wrong += [(GUIDS[1], GUIDS[1]), (GUIDS[1], GUIDS[5]), (GUIDS[5], GUIDS[1])]
    for old, new in wrong:
        with pytest.raises(sa.exc.IntegrityError):
            past_the_guard(bare, old, new)
    past_the_guard(bare, GUIDS[1], GUIDS[2])


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([(0, 0)], "MG002 self-merge: 1"),
        ([(0, 1), (0, 2)], "MG003 split: 1"),
        ([(0, 1), (0, 1)], "MG014 redundant: 1"),
    ],
)
def test_they_are_refused_while_rows_violate_them(bare: Guarded, pairs: list[tuple[int, int]], words: str) -> None:
    bare.put([(str(GUIDS[old]), str(GUIDS[new])) for old, new in pairs])
    with bare.opened() as source:
        for attempt in (propose_install, install_guard):
            with pytest.raises(PlanRefused, match=words) as refused:
                attempt(source, bare.profile, constraints=True)
            assert "without --constraints" in str(refused.value.hint)
        assert not guard_status(source, bare.profile).installed
        install_guard(source, bare.profile)
        assert guard_status(source, bare.profile).ok


def test_a_guid_that_is_not_known_refuses_foreign_keys(bare: Guarded) -> None:
    bare.put([(str(GUIDS[0]), str(GUIDS[5]))])
    with bare.opened() as source:
        if bare.kind == "sqlite":
            install_guard(source, bare.profile, constraints=True)
            return
        with pytest.raises(PlanRefused, match=r"not every new stands in .*: 1$"):
            install_guard(source, bare.profile, constraints=True)


def test_why_there_are_no_foreign_keys_is_said(postgres_url: str) -> None:
    guarded = Guarded(postgres_url)
    with guarded.opened() as source:
        (note,) = install_guard(source, guarded.profile, constraints=True).notes
        assert "the profile has no [types]" in note
        kinds = f"Kinds{guarded.guard}"
        guarded.run(f'CREATE TABLE "{kinds}" ("Guid" uuid, "Kind" text)')
        typed = replace(guarded.profile, types=Types(kinds, "Guid", "Kind"))
        (note,) = install_guard(source, typed, constraints=True).notes
        assert f"nothing keeps {kinds}.Guid unique" in note


def test_a_guard_is_tried_beside_them(bare: Guarded) -> None:
    bare.run(f'DROP TABLE "{bare.table}"')
    number = "integer PRIMARY KEY" if bare.kind == "sqlite" else "serial PRIMARY KEY"
    columns = f'"Id" {number}, "Old" {TYPES[bare.kind]}, "New" {TYPES[bare.kind]}, "Note" integer'
    bare.run(f'CREATE TABLE "{bare.table}" ({columns})')
    with bare.opened() as source:
        install_guard(source, bare.profile, constraints=True)
        proof = prove_guard(source, bare.profile)
        assert proof.holds, proof.attempts
        assert ["cycle" in attempt.said for attempt in proof.attempts] == [False, True, True]
    assert bare.rows() == []


def test_a_guard_that_does_nothing_is_found_out_beside_them(postgres_url: str) -> None:
    guarded = Guarded(postgres_url)
    guarded.run(f'DROP TABLE "{guarded.table}"')
    guarded.run(f'CREATE TABLE "{guarded.table}" ("Id" serial PRIMARY KEY, "Old" uuid, "New" uuid, "Note" integer)')
    with guarded.opened() as source:
        install_guard(source, guarded.profile, constraints=True)
        guarded.run(f'ALTER TABLE "{guarded.table}" DISABLE TRIGGER USER')
        outcomes = [attempt.outcome for attempt in prove_guard(source, guarded.profile).attempts]
    assert outcomes == ["refused", "let through", "let through"], "a CHECK forbids the self-merge, and nothing else"


def test_guids_that_foreign_keys_know_may_be_too_few_and_their_names_odd(postgres_url: str) -> None:
    guarded = Guarded(postgres_url)
    kinds = f"Kinds 5% {guarded.guard}"
    ask(postgres_url, f'ALTER TABLE "{guarded.table}" ALTER COLUMN "Id" ADD GENERATED ALWAYS AS IDENTITY')
    ask(postgres_url, f'CREATE TABLE "{kinds}" ("Guid %" uuid PRIMARY KEY, "Kind" text)')
    guarded.profile = replace(guarded.profile, types=Types(kinds, "Guid %", "Kind"))
    with guarded.opened() as source:
        install_guard(source, guarded.profile, constraints=True)
        few = prove_guard(source, guarded.profile)
        assert [attempt.outcome for attempt in few.attempts] == ["refused", "not tried", "not tried"]
        assert "foreign key" in few.attempts[1].said
        for guid in GUIDS[:3]:
            ask(postgres_url, f"INSERT INTO \"{kinds}\" VALUES ('{guid}', 'k')")
        assert prove_guard(source, guarded.profile).holds
