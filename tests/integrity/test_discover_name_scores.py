"""What single names are worth to discovery, at the edges where one word more or less decides."""

from __future__ import annotations

import pytest

from mergeguard.integrity import naming


@pytest.mark.parametrize(
    ("name", "score"),
    [("Id", 1.0), ("RowId", 1.0), ("merge_seq", 0.8), ("MergeNo", 0.7), ("id_source", 0.0), ("IdName", 0.0), ("", 0.0)],
)
def test_a_row_id_is_told_by_its_last_word(name: str, score: float) -> None:
    assert naming.row_id_column(name) == score


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("Inv_AeX", True), ("dbo.Evt_NS", True), ("inv", True), ("Invoice", False), ("Old_Inv", False), ("", False)],
)
def test_a_data_class_is_told_by_its_first_word_alone(name: str, is_one: bool) -> None:
    assert naming.data_class(name) is is_one


@pytest.mark.parametrize(
    ("column", "table", "is_one"),
    [
        ("Resource", "Item", False),
        ("Host", "Hosts", False),
        ("HostId", "Hosts", True),
        ("HostId", "Printers", False),
        ("", "Hosts", False),
    ],
)
def test_an_identity_has_a_word_for_one(column: str, table: str, is_one: bool) -> None:
    assert naming.identity_column(column, table) is is_one


@pytest.mark.parametrize(
    ("name", "score"),
    [("guid", 0.4), ("name", 0.0), ("old_guid", 1.0), ("replaced_by", 0.0), ("redirect", 0.0), ("source_guid", 0.7)],
)
def test_a_bare_guid_is_a_little_like_the_old_one(name: str, score: float) -> None:
    assert naming.old_column(name) == score
