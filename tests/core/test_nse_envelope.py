"""The outside of an event: what XML may be read, to whom it goes, and that nothing in it is fetched or expanded."""

from __future__ import annotations

import xml.sax.saxutils as sax

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.nse import MOST_DEPTH, Envelope, envelope
from mergeguard.errors import MalformedEvent

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
TEXTS = st.text(
    st.characters(min_codepoint=0x20, exclude_categories=["Cs"], exclude_characters="\x7f\ufffe\uffff"), max_size=80
)


@given(NAMES, TEXTS, st.sampled_from(["to", "To", "TO"]), st.sampled_from(["utf-8", "utf-16", "iso-8859-1"]))
def test_what_is_well_formed_is_read_in_any_encoding(root: str, text: str, to: str, encoding: str) -> None:
    document = f'<?xml version="1.0" encoding="{encoding}"?><{root}><{to}>{sax.escape(text)}</{to}><body/></{root}>'
    read = envelope(document.encode(encoding, "xmlcharrefreplace"))
    assert read == Envelope(root, text.strip()[:200]) or "\x85" in text  # a line's end in some encodings


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        read = envelope(body)
    except MalformedEvent as refused:
        assert str(refused)  # noqa: PT017 - either is right, a third way is not
    else:
        assert read.root


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no element found"),
        (b"   ", "no element found"),
        (b"<message>", "no element found"),
        (b"<message>\x03</message>", "invalid token"),
        (b"<a/><b/>", "junk after document element"),
        (b"<a></b>", "mismatched tag"),
        (b"<a>&nbsp;</a>", "undefined entity"),
        (b"<!DOCTYPE a><a/>", "document type"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "encoding"),
        (b'<?xml version="1.0" encoding="utf-7"?><a/>', "encoding"),
        (b'<?xml version="1.0" encoding="utf-16"?><a/>', "line 1"),
        ("<a>ä</a>".encode("latin-1"), "invalid token"),
        (b"\x1f\x8b\x08", "invalid token"),
        (b"<a>" * (MOST_DEPTH + 1), "deep"),
    ],
)
def test_what_is_wrong_is_told(body: bytes, words: str) -> None:
    with pytest.raises(MalformedEvent, match=words):
        envelope(body)


def test_the_deepest_that_is_read_and_a_recipient_that_never_ends() -> None:
    assert envelope(b"<a>" * MOST_DEPTH + b"</a>" * MOST_DEPTH).root == "a"
    assert envelope(b"<m><to>" + b"x" * 10_000_000 + b"</to></m>").recipient == "x" * 200
    assert envelope(b"<m><to>first</to><to>second</to></m>").recipient == "first"
    assert envelope(b"<m><from>agent</from><to>server</to></m>").recipient == "server"
    assert envelope(b"<m><body><to>inside</to></body></m>").recipient == ""
    assert envelope(b"<m><body><to>inside</to></body></m>").recipient == ""


def test_a_blank_that_is_written_as_percent_20_stays_so() -> None:
    assert envelope(b"<m><to>a%20b</to></m>").recipient == "a%20b"
