from __future__ import annotations

import re
import uuid

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from mergeguard.core import guids

HYPHENATED = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
ODD = st.sampled_from([0x00, 0x20, 0x2D, 0x2F, 0x3A, 0x40, 0x47, 0x60, 0x67, 0x7F, 0x80, 0xFE, 0xFF])
SPOILT = st.tuples(st.uuids(), st.integers(0, 35), ODD).map(
    lambda drawn: str(drawn[0]).encode()[: drawn[1]] + bytes([drawn[2]]) + str(drawn[0]).encode()[drawn[1] + 1 :]
)
TEXTS = st.lists(SPOILT | st.uuids().map(lambda value: str(value).upper().encode()), max_size=5)


@given(TEXTS)
def test_a_matrix_of_any_bytes_is_read_and_what_is_no_guid_is_said(texts: list[bytes]) -> None:
    matrix = np.frombuffer(b"".join(texts), np.uint8).reshape(-1, 36)
    column, good = guids.from_texts(matrix)
    assert good.tolist() == [HYPHENATED.fullmatch(text) is not None for text in texts]
    read = guids.to_uuids(column)
    assert [read[at] for at in np.flatnonzero(good)] == [
        uuid.UUID(text.decode()) for text in texts if HYPHENATED.fullmatch(text)
    ]


LENGTHS = st.sampled_from(["x" * 35, "x" * 37, "", "{12345678-1234-5678-1234-567812345678}", "0" * 32 + " " * 4])


@given(st.lists(LENGTHS | st.uuids().map(str), min_size=1, max_size=6))
def test_a_column_of_texts_is_read_one_by_one_though_their_lengths_are_right_on_the_whole(values: list[str]) -> None:
    column, good = guids.parse_column(values)
    wanted = [guids.parse(value) for value in values]
    assert good.tolist() == [value is not None for value in wanted]
    assert [guids.to_uuid(column, at) for at in np.flatnonzero(good)] == [
        value for value in wanted if value is not None
    ]


@example([b"x" * 15, b"y" * 17])
@given(st.lists(st.binary(min_size=14, max_size=18), min_size=1, max_size=4))
def test_a_column_of_bytes_is_read_one_by_one_too(values: list[bytes]) -> None:
    column, good = guids.parse_column(values)
    assert good.tolist() == [guids.parse(value) is not None for value in values]
    assert [guids.to_uuid(column, at) for at in np.flatnonzero(good)] == [
        guids.parse(values[at]) for at in np.flatnonzero(good)
    ]


def test_two_texts_whose_lengths_only_add_up_are_no_guids() -> None:
    whole = str(uuid.UUID(int=7)) * 2
    assert not guids.parse_column([whole[:35], whole[35:]])[1].any()
