"""The files of the scripts: named and headed as they must be, and with the names of the reference schema in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sql_world import opened

from mergeguard.errors import PermissionDenied, Unsupported, UsageError
from mergeguard.integrity.sql_scripts import sql_scripts_of
from mergeguard.storage.profile_file import builtin_profile
from mergeguard.storage.schema import migrate
from mergeguard.storage.scripts.files import DIALECTS, GUARD_FILE, Script, header, save, scripts

REFERENCE = builtin_profile("reference")
MADE = re.compile(r"CREATE OR REPLACE (FUNCTION|PROCEDURE|VIEW) mergeguard\.(\w+)")
FILES = [pytest.param(script, id=f"{script.dialect}/{script.name}") for one in DIALECTS for script in scripts(one)]


@pytest.mark.parametrize("script", FILES)
def test_each_file_says_what_it_is(script: Script) -> None:
    lines = script.text.splitlines()

    assert lines[0] == header(script.dialect, script.name)
    assert re.match(r"-- \w", lines[1])
    assert script.text.endswith("\n")
    assert not script.marks or script.number in {0, 99}, "names stand in one file"
    assert [mark for mark in script.marks if "/*" in "".join(script.marks[mark])] == []


def test_a_mark_is_replaced_wherever_it_stands_and_the_file_says_by_whom() -> None:
    script = Script("00_names.sql", "-- first\nSELECT /*{a*/1/*}*/, /*{b*/2\n3/*}*/, /*{a*/1/*}*/;\n", "postgresql")

    assert script.marks == {"a": ("1", "1"), "b": ("2\n3",)}
    filled = script.filled({"a": r"\1", "b": "x"}, 'my "own"\nDROP TABLE x')
    assert filled.text == (
        '-- first\n-- Names: profile "my "own" DROP TABLE x"\nSELECT /*{a*/\\1/*}*/, /*{b*/x/*}*/, /*{a*/\\1/*}*/;\n'
    )
    assert script.filled({"a": "1", "b": "2\n3"}, "p").marks == script.marks
    with pytest.raises(KeyError):
        script.filled({"a": "1"}, "p")


def test_sql_server_gets_batches_and_sqlite_statements() -> None:
    assert Script("10_x.sql", "SELECT 1\nGO\n\ngo \nSELECT 'GO'\n", "mssql").statements == [
        "SELECT 1\n",
        "\nSELECT 'GO'\n",
    ]
    trigger = "CREATE TRIGGER t AFTER INSERT ON x BEGIN\n  SELECT 1;\n  SELECT 2;\nEND;"
    assert Script("10_x.sql", f"SELECT 1;\n{trigger}\n", "sqlite").statements == ["SELECT 1;", trigger]
    whole = "SELECT 1; SELECT 2;\n"
    assert Script("10_x.sql", whole, "postgresql").statements == [whole]


def test_an_uninstall_of_postgresql_names_all_that_is_made() -> None:
    files = scripts("postgresql")
    made = {found[2] for script in files for found in MADE.finditer(script.text)}
    (uninstall,) = [script.text for script in files if script.name == "99_uninstall.sql"]
    dropped = set(re.findall(r"mergeguard\.(\w+)", uninstall.partition("DROP VIEW")[2]))

    assert len(made) > 30
    assert dropped == made


def test_the_names_of_postgresql_are_those_of_the_reference_profile(postgres_url: str) -> None:
    migrate(postgres_url)
    with opened(postgres_url, REFERENCE) as source:
        found = sql_scripts_of(source, REFERENCE)

    assert found.kind == "postgresql"
    assert [script.name for script in found.files] == [script.name for script in scripts("postgresql")]
    whose = '-- Names: profile "reference"\n'
    for rendered, stored in zip(found.files, scripts("postgresql"), strict=True):
        assert rendered.text.replace(whose, "") == stored.text, f"{stored.name} is not what the profile gives"
        assert (whose in rendered.text) == bool(stored.marks)
    assert [script.name for script in found.uninstalling()] == ["99_uninstall.sql"]
    assert [script.name for script in found.uninstalling(data=True)] == ["99_uninstall.sql", "99_uninstall_data.sql"]
    assert GUARD_FILE not in {script.name for script in found.installed}


def test_files_are_written_into_a_folder(tmp_path: Path) -> None:
    files = scripts("postgresql")
    made = save(files, tmp_path / "new" / "sql")

    assert [path.read_bytes().decode() for path in made] == [script.text for script in files]
    assert save(files[:1], tmp_path / "new" / "sql") == made[:1]
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is no folder"):
        save(files, tmp_path / "file")
    with pytest.raises(PermissionDenied, match="cannot be written"):
        save(files, Path("/proc/nowhere"))


def test_a_database_of_another_kind_has_none() -> None:
    with pytest.raises(Unsupported, match="no SQL scripts for oracle"):
        scripts("oracle")
