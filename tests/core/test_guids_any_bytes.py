from __future__ import annotations

import re
import uuid

import numpy as np
from hypothesis import given
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
