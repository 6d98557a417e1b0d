"""``mergeguard catalogue``: a class is added, has a table, and scans and merges know its rows from then on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mergeguard import api
from mergeguard.core.guids import text_id

if TYPE_CHECKING:
    from cli.conftest import Caller

CLASS = """
[[data_classes]]
guid = "11111111-3b17-4c4c-b07f-c23e7ab7781f"
name = "Network \\u001b card"
table = "Inv_Network_Card"
multi_row = true

[[data_classes.columns]]
name = "MAC"
key = true

[[data_classes.columns]]
name = "Switch"
type = "guid"
resource = true
"""
STALE, CURRENT = text_id("Asia/Calcutta"), text_id("Asia/Kolkata")


@pytest.fixture
def demo(folder: Path) -> Path:
    return api.make_demo(folder).database


def test_a_class_is_added_listed_and_shown(call: Caller, demo: Path, folder: Path) -> None:
    (folder / "class.toml").write_text(CLASS)
    added = call("catalogue", "add", demo, "class.toml")
    assert added.code == 0
    assert "with the table Inv_Network_Card" in added.out
    assert 'table = "Inv_Network_Card"\ncolumn = "_ResourceGuid"\nunique = ["_ResourceGuid", "MAC"]' in added.out
    assert "Nothing was added" in call("catalogue", "add", demo, "class.toml").out
    listed = call("catalogue", "list", demo)
    assert "MAC*, Switch ->" in listed.out
    assert "\x1b" not in added.out + listed.out
    assert call("catalogue", "show", demo, "--output", "whole.toml").code == 0
    assert "Nothing was added" in call("catalogue", "add", demo, "whole.toml").out


def test_scans_and_merges_know_the_rows_of_an_added_class(call: Caller, demo: Path, folder: Path) -> None:
    (folder / "class.toml").write_text(CLASS)
    call("catalogue", "add", demo, "class.toml")
    with closing(sqlite3.connect(demo)) as connection, connection:
        insert = 'INSERT INTO "Inv_Network_Card" ("_ResourceGuid", "MAC", "Switch") VALUES (?, ?, ?)'
        connection.execute(insert, (str(text_id("PC-BERLIN")), "a", str(STALE)))
        connection.execute(insert, (str(text_id("PC-TOKYO")), "b", None))
    stale = [finding for finding in api.scan(demo).findings if "Inv_Network_Card.Switch" in finding.message]
    assert stale
    assert api.merge(demo, text_id("PC-TOKYO"), text_id("PC-BERLIN")).columns["Inv_Network_Card._ResourceGuid"].rows
    with closing(sqlite3.connect(demo)) as connection:
        owners = connection.execute('SELECT DISTINCT "_ResourceGuid" FROM "Inv_Network_Card"').fetchall()
    assert owners == [(str(text_id("PC-BERLIN")),)]


def test_what_is_wrong_is_told(call: Caller, demo: Path, folder: Path) -> None:
    (folder / "class.toml").write_text(CLASS.replace('"guid"', '"guide"'))
    assert call("catalogue", "add", demo, "class.toml").refused(2, "data_classes[1].columns[2].type is 'guide'")
    assert call("catalogue", "add", demo, "none.toml").refused(2, "none.toml cannot be read")
    sqlite3.connect(folder / "empty.db").close()
    assert call("catalogue", "list", "empty.db").refused(3, "has no catalogue", "mergeguard serve")
    (folder / "merges.csv").write_text("old,new\n")
    assert call("catalogue", "list", "merges.csv").refused(3, "SQLite, PostgreSQL and SQL Server")
