"""Declared foreign keys are told where the target knows them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from mergeguard.errors import UnknownSchema
from mergeguard.storage.database.foreign_keys import ForeignKey, foreign_keys
from mergeguard.storage.profile import Profile
from mergeguard.storage.targets import open_target


def keys(target: str, table: str) -> list[ForeignKey]:
    with closing(open_target(target, Profile())) as source, source.snapshot() as snapshot:
        return list(foreign_keys(snapshot, table))


def execute(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'keys.db'}"
    return str(request.getfixturevalue("postgres_url"))


def test_keys_of_one_column_are_told_and_wider_ones_are_not(database: str) -> None:
    execute(
        database,
        'CREATE TABLE "Item" ("Guid" char(36) PRIMARY KEY)',
        "CREATE TABLE place (a integer, b integer, PRIMARY KEY (a, b))",
        'CREATE TABLE "Link" (one char(36) REFERENCES "Item" ("Guid"), a integer, b integer,'
        " FOREIGN KEY (a, b) REFERENCES place (a, b))",
    )
    assert keys(database, "Link") == [ForeignKey("one", "Item", "Guid")]
    assert keys(database, "Item") == []
    with pytest.raises(UnknownSchema):
        keys(database, "nowhere")


def test_a_table_in_another_schema_is_qualified(postgres_url: str) -> None:
    execute(
        postgres_url,
        "CREATE SCHEMA far",
        "CREATE TABLE far.item (guid uuid PRIMARY KEY)",
        "CREATE TABLE near (item uuid REFERENCES far.item (guid))",
    )
    assert keys(postgres_url, "near") == [ForeignKey("item", "far.item", "guid")]


def test_a_file_declares_none(tmp_path: Path) -> None:
    file = tmp_path / "merges.csv"
    file.write_text("old,new\n")
    assert keys(str(file), "merges.csv") == []
