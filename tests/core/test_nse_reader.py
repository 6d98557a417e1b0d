"""Messages as they are read: all that the format allows, all that it refuses, and where."""

from __future__ import annotations

import contextlib
import gc
import random
import re
import uuid
from pathlib import Path

import nse_messages
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nse_messages import EVENT, OS, PC

from mergeguard.core.nse import (
    Association,
    ClassData,
    Key,
    Message,
    Resource,
    Row,
    Target,
    envelope,
    read,
    write,
)
from mergeguard.core.nse.shapes import COLUMNS
from mergeguard.errors import MalformedEvent

SAMPLES = Path(__file__).parents[1] / "data" / "nse"


def refusal(body: str | bytes) -> str:
    with pytest.raises(MalformedEvent) as refused:
        read(body.encode() if isinstance(body, str) else body)
    return str(refused.value)


def sparse(*cells: tuple[int, str]) -> str:
    return "".join(f' c{at}="{value}"' for at, value in cells)


@given(nse_messages.messages(), st.integers())
def test_a_message_is_read_however_untidily_it_is_written(message: Message, seed: int) -> None:
    text = nse_messages.Untidy(random.Random(seed)).write(message)
    assert read(text.encode()) == message


@settings(max_examples=50)
@given(nse_messages.messages(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"]))
def test_a_message_is_read_in_any_encoding(message: Message, encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    text = write(message).decode().replace("utf-8", declared, 1)
    assert read(text.encode(encoding, "xmlcharrefreplace")) == message


@given(nse_messages.messages(), st.integers())
def test_each_part_knows_its_line(message: Message, seed: int) -> None:
    text = nse_messages.Untidy(random.Random(seed)).write(message)
    lines = re.split("\r\n|\n", text)

    def at(line: int, name: str) -> bool:
        return f"<{name}" in lines[line - 1].casefold()

    found = read(text.encode())
    assert at(found.line, "message")
    assert all(at(each.line, "resource") for each in (*found.resources, *found.data))
    assert all(at(each.line, "resourceassociation") for each in found.associations)
    assert all(at(row.line, "row") for each in found.data for row in each.rows)


@given(nse_messages.messages(), st.data())
def test_what_was_damaged_on_its_way_is_read_or_refused(message: Message, data: st.DataObject) -> None:
    body = bytearray(write(message))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 9))] = data.draw(
            st.sampled_from([b"", b"<row/>", b"</row>", b"<x>", b'"', b"c1", b"&#0;", b"\x03", b"\xff"])
            | st.binary(max_size=3)
        )
    try:
        read(bytes(body))
    except MalformedEvent as refused:
        assert re.match(r"line \d+|its encoding", str(refused))  # noqa: PT017 - either is right, a third way is not


@settings(max_examples=30)
@given(nse_messages.messages())
def test_what_stands_on_it_is_what_the_envelope_says(message: Message) -> None:
    assert envelope(write(message)).recipient == read(write(message)).recipient == message.recipient


def test_all_that_is_known_of_the_format() -> None:
    text = EVENT.replace("<resource resourceRef", "<resource partialUpdate='true' resourceRef")
    pc = Resource("pc", PC, None, "PC", (Key("fqdn", "pc.example"),))
    link = Association(OS, Target("pc"), Target(guid=OS))
    rows = (Row(("a", "b")), Row(("c", "d")))
    assert read(text.encode()) == Message(
        "custominventory", (pc,), (link,), (ClassData(OS, Target("pc"), rows, partial=True),)
    )


@pytest.mark.parametrize(
    ("path", "counts"), [("basic_inventory.nse", (1, 4, 3, 6, 40)), ("as_sent_by_a_script.nse", (2, 3, 2, 3, 4))]
)
def test_the_samples_hold_what_they_are_said_to(path: str, counts: tuple[int, ...]) -> None:
    message = read((SAMPLES / path).read_bytes())
    keys = sum(len(each.keys) for each in message.resources)
    rows = sum(len(each.rows) for each in message.data)
    assert (len(message.resources), keys, len(message.associations), len(message.data), rows) == counts
    assert read(write(message)) == message


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ("<row/>", ()),
        ("<row></row>", ()),
        ("<row> \n </row>", ()),
        ('<row c0=""/>', ("",)),
        ('<row c2="x"/>', (None, None, "x")),
        ('<row c2="x" c0="y"/>', ("y", None, "x")),
        ('<ROW C1="x"/>', (None, "x")),
        ('<row c0="a%20b"/>', ("a%20b",)),
        ('<row c0="a\nb&#10;c"/>', ("a b\nc",)),
        ('<row c0="&lt;&amp;&quot;&#x41;"/>', ('<&"A',)),
    ],
)
def test_a_row_is_what_its_attributes_say(row: str, cells: tuple[str | None, ...]) -> None:
    [data] = read(EVENT.replace('<row c0="a" c1="b"/>', row).encode()).data
    assert data.rows == (Row(cells), Row(("c", "d")))


@given(st.lists(st.dictionaries(st.integers(0, 1023), st.sampled_from(["", "x", "y"]), max_size=4), max_size=8))
@example([{0: "x"}, {0: "y"}, {1: "x"}, {}, {1: "y", 0: "x"}])
def test_rows_of_many_shapes_are_as_a_dictionary_says(rows: list[dict[int, str]]) -> None:
    written = "".join(f"<row{sparse(*row.items())}/>" for row in rows)
    [data] = read(re.sub(r"<row.*\n<row.*\n", written, EVENT).encode()).data
    for row, cells in zip(rows, (row.cells for row in data.rows), strict=True):
        assert {at: cell for at, cell in enumerate(cells) if cell is not None} == row
        assert len(cells) == max(row, default=-1) + 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<message>", "<m>", "line 2: it is no message but <m>"),
        ("<body>", "<!DOCTYPE x><body>", "line 4, column 3: not well-formed"),
        ('<?xml version="1.0"?>', '<?xml version="1.0"?><!DOCTYPE message>', "line 1: it has a document type"),
        (
            'value="pc',
            'value="\x03pc',
            "line 8, column 25: not well-formed (invalid token): the character U+0003 may not",
        ),
        (
            'value="pc',
            'value="\ufffepc',
            "line 8, column 25: not well-formed (invalid token): the character U+FFFE may not",
        ),
        (
            'value="pc',
            'value="<pc',
            "line 8, column 25: not well-formed (invalid token): in a text '<' is written &lt;",
        ),
        ('value="pc', 'value="a & b', "line 8, column 28: not well-formed (invalid token): '&' is written &amp;"),
        ('value="pc', 'value="&#3;pc', "line 8, column 25: reference to invalid character number"),
        ('value="pc', 'value="&nbsp;pc', "line 8, column 1: undefined entity"),
        ("</inventory>", "</inventory", "line 23, column 1: not well-formed"),
        ("</message>", "", "line 25, column 1: no element found"),
        ("<inventory>", "<inventory><stock/>", "line 5, <inventory>: <stock> may not stand in it"),
        ("</resources>", "<row/></resources>", "line 10, <resources>: <row> may not stand in it"),
        ('c0="a" c1="b"/>', 'c0="a"><row/></row>', "line 17, <row>: <row> may not stand in <row>"),
        ('c0="a" c1="b"/>', 'c0="a"><b/></row>', "line 17, <row>: <b> may not stand in <row>"),
        ("</data>", "<b/></data>", "line 20, <data>: <b> may not stand in it"),
        ("<row c0", "<line/><row c0", "line 17, <row>: <line> may not stand in <resource>"),
        ("<data>", "<data>x", "line 15, <data>: the text 'x' may not stand in it"),
        ('c1="b"/>', 'c1="b"/> x', "line 17, <resource>: the text 'x' may not stand in it"),
        ("<to>", "<to><x/>", "line 3, <to>: <x> may not stand in it"),
        (f'guid="{PC}"', 'guid="PC-1"', "line 7, <resource>: guid 'PC-1' is no guid"),
        (
            f'guid="{PC}"',
            f'guid="{str(PC)[:-1]}g"',
            "line 7, <resource>: guid '740184d3-f507-47a9-b170-8bf2f81e099g' is no guid",
        ),
        (
            f'guid="{PC}"',
            f'guid="{str(PC)[:-2]} c"',
            "line 7, <resource>: guid '740184d3-f507-47a9-b170-8bf2f81e09 c' is no guid",
        ),
        (f'guid="{PC}"', f'guid="{PC}" typeGuid="{{{PC}"', f"line 7, <resource>: typeGuid '{{{PC}' is no guid"),
        (f'guid="{PC}"', f'guid="{PC}{" " * 99}"', f"line 7, <resource>: guid '{PC}"),
        (f'guid="{PC}"', f'guid="{PC}" GUID=""', "line 7, <resource>: the attribute guid stands there twice"),
        (
            f'childResourceGuid="{OS}"/>',
            f'childResourceGuid="{OS}"><b/></resourceAssociation>',
            "Association>: <b> may not",
        ),
        (
            "<resourceAssociations>",
            "<resourceAssociations><row/>",
            "line 11, <resourceAssociations>: <row> may not stand",
        ),
        (
            f'typeGuid="{OS}"',
            f'typeGuid="{OS}" TYPEGUID=""',
            "<resourceAssociation>: the attribute typeGuid stands there twice",
        ),
        (
            f'childResourceGuid="{OS}"',
            f'childResourceGuid="{uuid.UUID(int=0)}"',
            "neither childResourceRef nor childResourceGuid",
        ),
        (f'typeGuid="{OS}"', "", "line 12, <resourceAssociation>: it has no typeGuid"),
        ('parentResourceRef="pc"', "", "line 12, <resourceAssociation>: it names no resource: it has neither parent"),
        ("childResourceGuid", 'childResourceRef="pc" childResourceGuid', "line 12, <resourceAssociation>: it has both"),
        (
            'parentResourceRef="pc"',
            'parentResourceRef="p"',
            "line 12, <resourceAssociation>: 'p' is the ref of no resource",
        ),
        (f'<inventoryClass guid="{OS}"', "<inventoryClass", "line 14, <inventoryClass>: it has no guid"),
        (
            f'<inventoryClass guid="{OS}"',
            f'<inventoryClass guid="{uuid.UUID(int=0)}"',
            "<inventoryClass>: it has no guid",
        ),
        (' resourceRef="pc"', "", "line 16, <resource>: it names no resource: it has neither resourceRef nor"),
        (
            ' resourceRef="pc"',
            ' resourceRef="PC"',
            "line 16, <resource>: 'PC' is the ref of no resource of the message",
        ),
        (
            ' resourceRef="pc"',
            ' resourceRef="pc" partialUpdate="maybe"',
            "line 16, <resource>: partialUpdate is 'maybe'",
        ),
        ('c0="a"', 'name="a"', "line 17, <row>: 'name' is no column; they are c0, c1"),
        ('c0="a"', 'c00="a"', "line 17, <row>: 'c00' is no column"),
        ('c0="a"', 'c٣="a"', "line 17, <row>: 'c٣' is no column"),
        ('c0="a"', 'c1024="a"', "line 17, <row>: 'c1024' is no column; they are c0, c1 and so on up to c1023"),
        ('c0="a"', 'c999999999999="a"', "line 17, <row>: 'c999999999999' is no column"),
        ('c0="a"', 'c0="a" C0="b"', "line 17, <row>: column c0 stands there twice"),
        ('<key name="fqdn"', "<key", "line 8, <key>: it has no name"),
        (' value="pc.example"', "", "line 8, <key>: the key 'fqdn' has no value"),
        (
            "</resources>",
            f'<resource ref="pc" guid="{OS}"/></resources>',
            "line 10, <resource>: a second resource",
        ),
        ("</resources>", '<resource ref="x"/></resources>', "line 10, <resource>: it has neither a guid nor a key"),
        ("</resources>", "<resource><key name='a' value=' '/></resource></resources>", "neither a guid nor a key"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_element(old: str, new: str, words: str) -> None:
    assert old in EVENT
    assert words in refusal(EVENT.replace(old, new, 1))


def test_a_byte_that_fits_no_encoding_is_told() -> None:
    damaged = EVENT.encode().replace(b"pc.example", b"pc.\xe4xample")
    assert "line 8, column 28: not well-formed (invalid token): the byte 0xE4 does not fit" in refusal(damaged)
    assert "the encoding" not in refusal(EVENT.encode("utf-16").replace(b"p\0c\0.\0", b"p\0\3\0.\0"))
    assert "its encoding is not understood" in refusal(b'<?xml version="1.0" encoding="klingon"?><message/>')


@pytest.mark.parametrize(
    "resource",
    ['guid="" ', 'guid="00000000-0000-0000-0000-000000000000"', "", 'guid=" " typeGuid=""'],
)
def test_the_guid_that_stands_for_none_is_none(resource: str) -> None:
    [read_back] = read(EVENT.replace(f'guid="{PC}"', resource).encode()).resources
    assert (read_back.guid, read_back.type) == (None, None)


def test_an_envelope_may_have_more_on_it_and_a_message_less() -> None:
    deep = "<a>" * 90 + "text" + "</a>" * 90
    text = EVENT.replace("<body>", f"<from>{deep}</from><priority c='1'/><body><other><row/>x</other>")
    assert read(text.encode()) == read(EVENT.encode())
    assert read(b"<message/>") == Message("")
    assert read(b"<message><to>a</to><to>b</to><body/></message>") == Message("a")
    assert read(b"<message><to>" + b"x" * 1000 + b"</to></message>").recipient == "x" * 200
    assert read(b"<message><to>a<!-- b --><![CDATA[<c>]]></to></message>").recipient == "a<c>"


def test_more_shapes_than_are_kept_are_read_all_the_same() -> None:
    rows = [(*(str(n) if n >> bit & 1 else None for bit in range(9)), "end") for n in range(512)]
    given = [sparse(*((at, cell) for at, cell in enumerate(row) if cell is not None)) for row in rows]
    body = EVENT.replace('<row c0="a" c1="b"/>', "".join(f"<row{row}/>" for row in given) * 2)
    [data] = read(body.encode()).data
    assert [row.cells for row in data.rows[:-1]] == rows * 2


def test_names_of_cells_are_those_of_a_table_of_sql_server() -> None:
    assert COLUMNS[:2] + COLUMNS[-1:] == ("c0", "c1", "c1023")


@settings(max_examples=30)
@given(st.text(max_size=10), st.text(max_size=10), st.integers(0, 9), st.integers(0, 9))
def test_rows_are_compared_by_their_cells_and_not_by_their_lines(left: str, right: str, a: int, b: int) -> None:
    one, other = Row((left,), a), Row((right,), b)
    assert (one == other, one != other) == (left == right, left != right)
    assert len({one, other}) == 2 - (left == right)
    assert one != ((left,), a)


@pytest.mark.parametrize(
    "body",
    [EVENT, EVENT[:600], EVENT.replace("c0", "x"), EVENT.replace("<to>", "<!DOCTYPE x><to>"), "<message>x</message>"],
)
def test_what_was_read_leaves_nothing_to_the_collector(body: str) -> None:
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(MalformedEvent):
            read(body.encode())
        assert gc.collect() == 0
    finally:
        gc.enable()


@given(st.lists(st.sampled_from([OS, PC]), min_size=6, max_size=6), st.integers(0, 9), st.integers(0, 9))
@settings(max_examples=30)
def test_associations_are_compared_by_what_they_say_and_not_by_their_lines(
    guids: list[uuid.UUID], a: int, b: int
) -> None:
    left, right = guids[:3], guids[3:]
    one, other = (
        Association(kind, Target(guid=parent), Target(guid=child), line)
        for (kind, parent, child), line in ((left, a), (right, b))
    )
    assert (one == other, one != other) == (left == right, left != right)
    assert len({one, other}) == 2 - (left == right)
    assert one != tuple(one)


@pytest.mark.parametrize(
    "attributes",
    [
        'typeGuid="{os}" childResourceRef="pc" parentResourceGuid="{pc}"',
        'childResourceRef="pc" typeGuid="{os}" parentResourceGuid="{pc}"',
        'TypeGuid="{os}" ParentResourceGuid="{{{pc}}}" ChildResourceRef="pc"',
        'typeGuid="{os}" parentResourceGuid="{pc}" childResourceRef="pc" note="let be"',
    ],
)
def test_an_end_is_told_by_its_name_and_not_by_its_place(attributes: str) -> None:
    link = f"<resourceAssociation {attributes.format(os=OS, pc=PC)}/>"
    body = EVENT.replace("</resourceAssociations>", f"{link}</resourceAssociations>")
    usual = Association(OS, Target("pc"), Target(guid=OS))
    assert read(body.encode()).associations == (usual, Association(OS, Target(guid=PC), Target("pc")))


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_half_of_a_character_of_utf_16_is_refused_with_its_place(codec: str, mark: str) -> None:
    text = f'{mark}<?xml version="1.0" encoding="utf-16"?><message>\n<to>a{{}}bc</to></message>'
    body = text.format("\ud800").encode(codec, "surrogatepass")
    with pytest.raises(MalformedEvent, match=r"^line 2, column 6: half of a character of UTF-16"):
        read(body)
    assert read(text.format("\U0001f600").encode(codec)).recipient == "a\U0001f600bc"
