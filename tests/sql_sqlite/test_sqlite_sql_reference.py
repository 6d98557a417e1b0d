"""The files as they are checked in are those of the reference schema; on the demonstration they find as a scan does."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from mergeguard import api
from mergeguard.integrity.scan import scan_source
from mergeguard.integrity.sql_scripts import install_sql, sql_scripts_of
from mergeguard.storage.profile_file import builtin_profile
from mergeguard.storage.schema import migrate
from mergeguard.storage.scripts.files import Script, scripts
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target

REFERENCE = builtin_profile("reference")


@pytest.fixture(scope="module")
def files() -> list[Script]:
    return scripts("sqlite")


def test_the_names_are_those_of_the_reference_profile(tmp_path: Path, files: list[Script]) -> None:
    target = f"sqlite:///{tmp_path / 'reference.db'}"
    migrate(target)
    source = open_target(target, REFERENCE, Options())
    found = sql_scripts_of(source, REFERENCE)
    source.close()

    assert [script.name for script in found.files] == [script.name for script in files]
    whose = '-- Names: profile "reference"\n'
    for rendered, stored in zip(found.files, files, strict=True):
        assert rendered.text.replace(whose, "") == stored.text, f"{stored.name} is not what the profile gives"
        assert (whose in rendered.text) == bool(stored.marks)


def test_they_run_by_hand_as_they_are(tmp_path: Path, files: list[Script]) -> None:
    path = tmp_path / "reference.db"
    migrate(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        before = connection.execute("SELECT name FROM sqlite_master ORDER BY 1").fetchall()
        for script in files:
            if script.number < 99:
                connection.executescript(script.text)
        connection.execute("INSERT INTO mergeguard_scan DEFAULT VALUES")
        assert connection.execute("SELECT * FROM mergeguard_findings").fetchall() == []
        for script in files:
            if script.number == 99:
                connection.executescript(script.text)
        assert connection.execute("SELECT name FROM sqlite_master ORDER BY 1").fetchall() == before


def test_an_uninstall_names_all_that_is_made(files: list[Script]) -> None:
    texts = {script.name: re.sub(r"/\*.*?\*/", "", script.text) for script in files}
    made = re.compile(r"^CREATE (?:VIEW|TABLE(?: IF NOT EXISTS)?) \"?(\w+)", re.MULTILINE)
    every = {name for text in texts.values() for name in made.findall(text)}
    gone = {
        name for file in ("99_uninstall.sql", "99_uninstall_data.sql")
        for name in re.findall(r"DROP (?:VIEW|TABLE) IF EXISTS \"?(\w+)", texts[file])
    }  # fmt: skip
    assert len(every) > 40
    assert every == gone


def test_the_demonstration_is_scanned_alike(tmp_path: Path) -> None:
    api.make_demo(tmp_path / "demo")
    (path,) = (tmp_path / "demo").rglob("*.db")
    source = open_target(str(path), REFERENCE, Options())
    try:
        install_sql(source, REFERENCE)
        report = scan_source(source, REFERENCE)
    finally:
        source.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO mergeguard_scan DEFAULT VALUES")
        found = Counter(name for (name,) in connection.execute("SELECT name FROM mergeguard_findings"))
    assert found == Counter({one.name: one.count for one in report.outcomes if one.count})
    assert found["split"] + found["chain"] > 0
