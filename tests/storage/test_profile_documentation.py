"""The reference pages say what the code does."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from mergeguard.errors import ProfileError
from mergeguard.storage.profile import (
    Association,
    AssociationTypes,
    Blacklist,
    Contact,
    Hashes,
    Journal,
    Keys,
    Live,
    Lookup,
    Managed,
    Merge,
    Merging,
    Names,
    Owner,
    Profile,
    Reference,
    Types,
)
from mergeguard.storage.profile_file import loads_profile
from mergeguard.storage.schema import VERSION_TABLE, migrations

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
SECTIONS = {
    "merge": Merge,
    "lookup": Lookup,
    "journal": Journal,
    "merging": Merging,
    "live": Live,
    "types": Types,
    "keys": Keys,
    "contact": Contact,
    "owner": Owner,
    "names": Names,
    "hashes": Hashes,
    "association_types": AssociationTypes,
    "managed": Managed,
    "blacklist": Blacklist,
    "associations": Association,
    "references": Reference,
}


@pytest.fixture(scope="module")
def page() -> str:
    return (REFERENCE / "profile.md").read_text("utf-8")


def block(page: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


def test_every_key_is_documented_with_its_default(page: str) -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \| ([^|]+?) \|", page, re.MULTILINE))
    expected = {"name": "name of the file"}
    for title, kind in SECTIONS.items():
        for field in dataclasses.fields(kind):
            default = "required" if field.default is dataclasses.MISSING else "none"
            default = f"`{field.default}`" if isinstance(field.default, str) else default
            expected[f"{title}.{field.name}"] = default
    expected |= dict.fromkeys(("live.table", "live.guid"), "required, or `query`")
    assert rows == expected


def test_the_example_is_a_profile_that_uses_every_section(page: str) -> None:
    profile = loads_profile(block(page, "toml"), "example.toml")
    for field in dataclasses.fields(Profile):
        assert getattr(profile, field.name), field.name


def test_the_mistake_on_the_page_is_what_a_user_gets(page: str) -> None:
    with pytest.raises(ProfileError) as caught:
        loads_profile('[merge]\ntabel = "x"', "site.toml")
    assert block(page, "text") == f"{caught.value.message}\n  hint: {caught.value.hint}\n"


def test_every_table_and_column_of_the_reference_schema_is_documented() -> None:
    text = (REFERENCE / "reference-schema.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \| .*? \| ([^|]+?) \|$", text, re.MULTILINE)
    documented = {table: re.findall(r"`(\w+)`", columns) for table, columns in listed}
    made = {}
    for migration in migrations("sqlite"):
        for table, body in re.findall(r'CREATE TABLE "(\w+)" \((.*?)\n\);', migration.text, re.DOTALL):
            made[table] = re.findall(r'^    "(\w+)"', body, re.MULTILINE)
        for table, column in re.findall(r'ALTER TABLE "(\w+)" ADD COLUMN "(\w+)"', migration.text):
            made[table].append(column)
    assert documented.pop(VERSION_TABLE) == ["version", "name", "checksum", "applied_at"]
    assert documented == made
