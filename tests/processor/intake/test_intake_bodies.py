"""Bodies in every coding, in chunks of any size, cut short anywhere: held to what gzip and zlib of the library say."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.processor.intake.bodies import Decoder, codings, compressed
from mergeguard.processor.intake.refusals import Refused, TooLarge, UnknownCoding

PLENTY = 1 << 20


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


def two_members(data: bytes) -> bytes:
    return gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :])


WRAPPINGS: dict[str, list[Callable[[bytes], bytes]]] = {
    "gzip": [gzip.compress, two_members],
    "deflate": [zlib.compress, raw_deflate],
}
# Repetition makes output that is larger than what zlib is asked for at once.
BODIES = st.one_of(
    st.binary(max_size=300), st.builds(lambda part, times: part * times, st.binary(max_size=20), st.integers(0, 9_000))
)
CODINGS = st.lists(st.sampled_from(["gzip", "deflate"]), max_size=3)


def cut(data: bytes, places: Sequence[float]) -> list[bytes]:
    """Cut data at places between 0 and 1."""
    ends = [0, *sorted(int(place * len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(ends)]


def decoded(chunks: Sequence[bytes], declared: Sequence[str], limit: int = PLENTY) -> bytes:
    decoder = Decoder(declared, limit)
    pieces = [piece for chunk in chunks for piece in decoder.feed(chunk)]
    return b"".join([*pieces, *decoder.finish()])


def packed(data: st.DataObject, body: bytes, applied: Sequence[str]) -> bytes:
    for coding in applied:
        body = data.draw(st.sampled_from(WRAPPINGS[coding]))(body)
    return body


@given(BODIES, CODINGS, st.lists(st.floats(0, 1), max_size=6), st.data())
def test_what_was_packed_comes_out_however_it_is_cut(
    body: bytes, applied: list[str], places: list[float], data: st.DataObject
) -> None:
    expected = body if compressed(body) is None else None
    sent = packed(data, body, applied)
    declared = codings(", ".join(applied))
    if expected is None:  # the innermost body itself looks compressed, so it is inflated once more, or refused
        try:
            expected = (gzip.decompress if compressed(body) == "gzip" else zlib.decompress)(body)
        except (EOFError, OSError, zlib.error):
            with pytest.raises(Refused):
                decoded(cut(sent, places), declared)
            return
    assert decoded(cut(sent, places), declared) == expected


@given(BODIES.filter(lambda body: compressed(body) is None), st.sampled_from([gzip.compress, zlib.compress]))
def test_compression_that_nobody_declared_is_found(body: bytes, pack: Callable[[bytes], bytes]) -> None:
    assert decoded([pack(body)], ()) == body
    assert decoded([pack(pack(body))], codings("gzip" if pack is gzip.compress else "deflate")) == body


@given(BODIES.filter(lambda body: compressed(body) is None), st.lists(st.floats(0, 1), max_size=4))
def test_a_plain_body_stays_as_it_is(body: bytes, places: list[float]) -> None:
    assert decoded(cut(body, places), ()) == body


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_body_that_is_cut_short_anywhere_is_refused(body: bytes, data: st.DataObject) -> None:
    coding = data.draw(st.sampled_from(["gzip", "deflate"]))
    sent = data.draw(st.sampled_from(WRAPPINGS[coding]))(body)
    kept = sent[: data.draw(st.integers(0, len(sent) - 1))]
    try:
        whole = gzip.decompress(kept) if coding == "gzip" else None
    except (EOFError, gzip.BadGzipFile):
        whole = None
    if whole:  # cut between two members
        assert decoded([kept], [coding]) == whole
    else:
        with pytest.raises(Refused):
            decoded([kept], [coding])


@given(st.binary(min_size=1, max_size=200), st.binary(min_size=2, max_size=20))
def test_nothing_may_follow_the_end(body: bytes, rest: bytes) -> None:
    for coding, packs in WRAPPINGS.items():
        if coding == "deflate" or rest[:2] != b"\x1f\x8b":
            with pytest.raises(Refused):
                decoded([packs[0](body) + rest], [coding])


@given(st.integers(1, 300_000), st.integers(-3, 3), CODINGS, st.data())
def test_the_limit_is_exact_at_every_depth(size: int, off: int, applied: list[str], data: st.DataObject) -> None:
    sent = packed(data, bytes(size), ["gzip", *applied])
    limit = max(1, size + off)
    inner = packed(data, bytes(size), ["gzip"])
    declared = codings(", ".join(applied))
    if limit >= size and all(limit >= len(inner) + 100 for _ in applied):
        assert decoded([sent], declared, limit) == bytes(size)
    elif limit < size:
        with pytest.raises(TooLarge, match="inflates to more than"):
            decoded([sent], declared, limit)


def test_a_bomb_is_stopped_long_before_it_is_inflated() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    pieces = Decoder((), 100_000).feed(bomb)
    assert len(next(pieces)) <= 100_000
    with pytest.raises(TooLarge):
        next(pieces)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ()),
        ("identity", ()),
        ("GZIP", ("gzip",)),
        ("x-gzip", ("gzip",)),
        ("deflate, gzip", ("gzip", "deflate")),
        (" gzip ,, identity ", ("gzip",)),
    ],
)
def test_codings_are_undone_from_the_last_one(header: str, expected: tuple[str, ...]) -> None:
    assert codings(header) == expected


@given(st.text(max_size=20).filter(lambda text: "," not in text))
def test_other_codings_are_not_known(word: str) -> None:
    if word.strip().lower() in {"", "identity", "gzip", "x-gzip", "deflate"}:
        return
    with pytest.raises(UnknownCoding, match="is not known"):
        codings(word)


@pytest.mark.parametrize(
    "body", [b"<", b"<?xml", b"\xef\xbb\xbf<a/>", b"\xff\xfe<\0", b"\xfe\xff\0<", b" <a/>", b"\n<a/>"]
)
def test_no_beginning_of_xml_looks_compressed(body: bytes) -> None:
    assert compressed(body) is None
