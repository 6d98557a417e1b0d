"""Elements read back by an XML parser: data stay data, whatever stands in them, wherever they are put."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.findings import Picture, PictureNode, Role
from mergeguard.render.gallery import summary
from mergeguard.render.markup import Markup, element, escaped, joined
from mergeguard.render.roles import WIDEST, full_name, short_name
from mergeguard.render.text import columns, visible

names = st.from_regex(r"[a-z][a-z-]{0,5}", fullmatch=True)
numbers = st.integers() | st.floats(allow_nan=False)


def parsed(markup: Markup) -> ET.Element:
    return ET.fromstring(markup.encode())  # noqa: S314 - our own output


def shape(node: ET.Element) -> object:
    """An element as plain values, texts in their places."""
    return node.tag, dict(node.attrib), node.text or "", [(shape(child), child.tail or "") for child in node]


@given(st.data())
def test_a_text_is_read_back_as_it_is_shown(hostile_texts: st.SearchStrategy[str], data: st.DataObject) -> None:
    text = data.draw(hostile_texts)
    assert parsed(element("p", None, text)).text == (visible(text) or None)
    assert escaped(text) == escaped(escaped(text)) or any(char in text for char in "&<>\"'")


@given(st.data())
def test_attributes_are_read_back_and_none_is_left_out(
    hostile_texts: st.SearchStrategy[str], data: st.DataObject
) -> None:
    given_ = data.draw(st.dictionaries(names, hostile_texts | numbers | st.none()))
    read = parsed(element("p", given_)).attrib
    # A parser makes a blank of every white space in an attribute; ours holds no other than blanks.
    assert read == {name: visible(value) for name, value in given_.items() if value is not None}


@given(st.data())
def test_trees_are_read_back_as_they_were_built(hostile_texts: st.SearchStrategy[str], data: st.DataObject) -> None:
    def build(depth: int) -> tuple[Markup, object]:
        name, text = data.draw(names), data.draw(hostile_texts)
        children = [build(depth - 1) for _ in range(data.draw(st.integers(0, 2)))] if depth else []
        tails = [data.draw(hostile_texts) for _ in children]
        parts = [part for (child, _), tail in zip(children, tails, strict=True) for part in (child, tail)]
        expected = [(told, visible(tail)) for (_, told), tail in zip(children, tails, strict=True)]
        return element(name, {"id": text}, text, *parts), (name, {"id": visible(text)}, visible(text), expected)

    markup, expected = build(2)
    assert shape(parsed(markup)) == expected


@given(st.data())
def test_joining_escapes_data_and_leaves_markup(hostile_texts: st.SearchStrategy[str], data: st.DataObject) -> None:
    texts = data.draw(st.lists(hostile_texts, max_size=4))
    line = joined(*texts, element("b", None, "bold"), gap="\n")
    root = parsed(Markup(f"<r>{line}</r>"))
    assert (root.text or "").split("\n")[: len(texts)] == [visible(text) for text in texts]
    assert root.findtext("b") == "bold"
    assert joined(line) == line
    assert joined() == ""


@given(st.data())
def test_names_in_pictures_fit_and_say_which_guid(hostile_texts: st.SearchStrategy[str], data: st.DataObject) -> None:
    guid = data.draw(st.uuids())
    label = data.draw(hostile_texts | st.just(str(guid)))
    node = PictureNode(guid, label, data.draw(st.sampled_from(Role)), focus=data.draw(st.booleans()))
    widest = data.draw(st.integers(14, 40))
    short = short_name(node, widest)
    assert columns(short) <= widest
    assert short.isprintable()
    if label == str(guid):
        assert (short[:8], short[-4:]) == (label[:8], label[-4:])
    elif columns(visible(label)) <= widest:
        assert short == visible(label)
    else:
        assert short.endswith("...")
        assert visible(label).startswith(short[:-3])
    assert str(guid) in full_name(node)
    assert columns(short_name(node)) <= WIDEST


@given(st.lists(st.tuples(st.uuids(), st.sampled_from(Role)), unique_by=lambda node: node[0]), st.integers(0, 3000))
def test_a_picture_says_in_words_what_it_shows(nodes: list[tuple[object, Role]], omitted: int) -> None:
    drawn = tuple(PictureNode(guid, str(guid), role) for guid, role in nodes)  # type: ignore[arg-type]
    told = summary(Picture(drawn, (), omitted))
    assert told.startswith(f"{len(nodes):,} guid")
    for role in Role:
        count = sum(each is role for _, each in nodes)
        assert (f"{count:,} {role.value}" in told) == (count > 0)
    assert told.endswith(f"{omitted:,} more guid{'s' * (omitted != 1)} not drawn") == (omitted > 0)
