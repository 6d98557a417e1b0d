"""Messages as people write them down: what each key becomes, and what is said about one that makes no sense."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.nse import Association, ClassData, Key, Message, Resource, Row, Target
from mergeguard.core.nse.description import EXAMPLE, described
from mergeguard.errors import UsageError

GUID = uuid.UUID("2b2a934a-b000-57f1-83f0-b840d59f1df2")
WHOLE = f"""
to = "custominventory"
[[resources]]
ref = "pc"
guid = "{{{GUID}}}"
type = "{GUID.hex}"
name = "PC"
keys = [{{ name = " fqdn ", value = "pc.example" }}]
[[associations]]
type = "{GUID}"
parent = "pc"
child = "{GUID}"
[[data]]
class = "{GUID}"
resource = "pc"
partial = true
rows = [["a", 1, 1.5, true, 2026-02-03 07:15:00], {{ c2 = "x", c0 = false }}, [], {{}}]
"""
Cell = str | int | float | bool | dt.datetime


def refused(document: dict[str, Any]) -> UsageError:
    with pytest.raises(UsageError) as failure:
        described(document, "event.toml")
    assert failure.value.message.startswith("event.toml: ")
    assert failure.value.hint
    return failure.value


def test_every_key_becomes_its_part_of_the_message() -> None:
    pc = Resource("pc", GUID, GUID, "PC", (Key("fqdn", "pc.example"),))
    link = Association(GUID, Target("pc"), Target(guid=GUID))
    rows = (Row(("a", "1", "1.5", "true", "2026-02-03 07:15:00")), Row(("false", None, "x")), Row(()), Row(()))
    data = ClassData(GUID, Target("pc"), rows, partial=True)
    assert described(tomllib.loads(WHOLE), "event.toml") == Message("custominventory", (pc,), (link,), (data,))


def test_the_example_describes_what_a_new_server_takes_and_shows_the_rest() -> None:
    message = described(tomllib.loads(EXAMPLE), "example")
    assert [len(message.resources), len(message.associations), len(message.data)] == [1, 0, 1]
    assert len(described(tomllib.loads(re.sub(r"(?m)^# (\[\[|\w+ = )", r"\1", EXAMPLE)), "example").associations) == 1
    assert message.data[0].rows == (Row(("EXAMPLE-PC", "example", "Example OS 10")),)


def test_nothing_is_an_event_too() -> None:
    assert described({}, "event.toml") == Message("")


@given(st.lists(st.lists(st.text(max_size=5) | st.integers() | st.booleans(), max_size=5), max_size=5))
def test_cells_by_position_and_by_name_are_the_same(rows: list[list[Cell]]) -> None:
    def of(given: object) -> tuple[ClassData, ...]:
        return described({"data": [{"class": str(GUID), "resource": str(GUID), "rows": given}]}, "event.toml").data

    assert of(rows) == of([{f"c{at}": cell for at, cell in enumerate(row)} for row in rows])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('to = "custominventory"', "to = 1", "to is no text"),
        ('to = "custominventory"', "[to]", "to is no text"),
        ("[[resources]]", "[[resource]]", "unknown key 'resource' in the top level"),
        ("[[resources]]", "[resources]", "[[resources]] is no list"),
        ('name = "PC"', "nom = 1", "unknown key 'nom' in [[resources]] number 1"),
        ('name = "PC"', "name = 1", "[[resources]] number 1 name is no text"),
        (f'guid = "{{{GUID}}}"', 'guid = "x"', "[[resources]] number 1 guid 'x' is no guid"),
        (f'guid = "{{{GUID}}}"', "guid = 1", "[[resources]] number 1 guid '1' is no guid"),
        ("[[associations]]", '[[resources]]\nref = "pc"\n[[associations]]', "number 2 has the ref 'pc' of another"),
        ("[[associations]]", '[[resources]]\nref = "x"\n[[associations]]', "number 2 has neither a guid nor keys"),
        ('value = "pc.example"', 'value = " "', "[[resources]] number 1 keys, number 1 has no value"),
        ('name = " fqdn ", ', "", "[[resources]] number 1 keys, number 1 has no name"),
        ('{ name = " fqdn ", value = "pc.example" }', '"fqdn"', "keys, number 1 is no table of keys"),
        (f'[[associations]]\ntype = "{GUID}"', "[[associations]]", "[[associations]] number 1 type is missing"),
        ('parent = "pc"', "", "[[associations]] number 1 parent is missing"),
        ('parent = "pc"', 'parent = "user"', "[[associations]] number 1 parent 'user' is neither a ref nor a guid"),
        ('resource = "pc"', "", "[[data]] number 1 resource is missing"),
        ("partial = true", 'partial = "yes"', "[[data]] number 1 partial is 'yes'"),
        ('["a", 1,', '["a", [1],', "[[data]] number 1 row 1, cell 2 is a list or a table"),
        ("c0 = false", "c1024 = false", "unknown key 'c1024' in [[data]] number 1 row 2"),
        ("c0 = false", "C0 = false", "unknown key 'C0' in [[data]] number 1 row 2"),
        ("[], {}]", '"x"]', "[[data]] number 1 row 3 is no list"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_place(old: str, new: str, words: str) -> None:
    assert old in WHOLE
    assert words in refused(tomllib.loads(WHOLE.replace(old, new, 1))).message


def test_a_row_has_room_for_so_many_cells() -> None:
    document = tomllib.loads(WHOLE)
    document["data"][0]["rows"] = [["x"] * 1025]
    assert "row 1 has 1,025 cells" in refused(document).message
