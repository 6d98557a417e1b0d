"""With ``constraints`` the database itself forbids what it can, and only where no row speaks against it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from guard_model import GUIDS, TYPES, Guarded

from mergeguard.errors import PlanRefused
from mergeguard.integrity.guard import guard_status, install_guard, propose_install, remove_guard
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
