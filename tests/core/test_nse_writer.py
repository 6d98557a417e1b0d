"""Messages as they are written: read back the same, and nothing is written that nobody could read."""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET

import nse_messages
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.nse import ClassData, Message, Resource, Row, Target, read, write
from mergeguard.errors import MalformedEvent

GUID = uuid.UUID("2b2a934a-b000-57f1-83f0-b840d59f1df2")


def of_rows(*rows: tuple[str | None, ...]) -> Message:
    return Message("", data=(ClassData(GUID, Target(guid=GUID), tuple(map(Row, rows))),))


@given(nse_messages.messages())
def test_what_is_written_is_read_back(message: Message) -> None:
    assert read(write(message)) == message


@given(nse_messages.messages())
def test_another_parser_finds_the_same_rows(message: Message) -> None:
    rows = [row.attrib for row in ET.fromstring(write(message)).iter("row")]  # noqa: S314 - written here
    cells = [row.cells for each in message.data for row in each.rows]
    assert rows == [{f"c{at}": cell for at, cell in enumerate(row) if cell is not None} for row in cells]


def test_every_element_stands_on_a_line_of_its_own() -> None:
    lines = write(of_rows(("a\nb", "c"), ())).decode().splitlines()
    assert lines[lines.index("<data>") : lines.index("</data>")] == [
        "<data>",
        f'<resource resourceGuid="{GUID}">',
        '<row c0="a&#10;b" c1="c"/>',
        "<row/>",
        "</resource>",
    ]


@given(st.characters())
def test_a_character_is_written_and_read_back_or_refused(character: str) -> None:
    message = of_rows((character,))
    allowed = character in "\t\n\r" or (
        character >= " " and character not in "\ufffe\uffff" and not is_surrogate(character)
    )
    if allowed:
        assert read(write(message)) == message
    else:
        with pytest.raises(
            MalformedEvent, match=rf"^c0 .* holds U\+{ord(character):04X}, which XML has no way to write$"
        ):
            write(message)


def is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


@pytest.mark.parametrize("name", ["to", "name"])
def test_a_character_that_xml_has_not_is_told_with_its_place(name: str) -> None:
    bad = "a\x00"
    message = Message(bad) if name == "to" else Message("", (Resource("", GUID, None, bad),))
    with pytest.raises(MalformedEvent, match=rf"^{name} 'a\\x00' holds U\+0000"):
        write(message)


def test_as_many_cells_are_written_as_are_read() -> None:
    assert read(write(of_rows(("x",) * 1024))) == of_rows(("x",) * 1024)
    with pytest.raises(MalformedEvent, match="a row of 1,025 cells; an event has room for 1,024"):
        write(of_rows(("x",) * 1025))


def test_cells_that_are_not_given_at_the_end_are_left_out() -> None:
    assert read(write(of_rows((None, "x", None), (None,)))) == of_rows((None, "x"), ())


def test_what_a_resource_does_not_have_is_not_written() -> None:
    text = write(Message("", (Resource("", GUID, None, ""),))).decode()
    assert f'<resource guid="{GUID}"' in text
    assert "ref=" not in text
