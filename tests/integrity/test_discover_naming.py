"""What names suggest, whatever the habit of writing them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.integrity import naming

OLDS = ["old", "from", "source", "duplicate", "retired", "previous", "loser"]
NEWS = ["new", "to", "target", "survivor", "winner", "current", "canonical", "replaced_by", "merged_into"]
IDENTITIES = ["guid", "uuid", "gid", "id"]


def spelled(words: list[str]) -> dict[str, str]:
    return {
        "snake": "_".join(words),
        "pascal": "".join(word.capitalize() for word in words),
        "camel": words[0] + "".join(word.capitalize() for word in words[1:]),
        "leading": "_" + "".join(word.capitalize() for word in words),
        "upper": "_".join(words).upper(),
        "glued": "".join(words),
        "qualified": "dbo." + "_".join(words),
    }


@given(
    st.lists(st.sampled_from([*OLDS, "new", "to", "resource", "item", "guid", "uuid", "name"]), min_size=1, max_size=3)
)
def test_every_habit_of_writing_gives_the_same_words(parts: list[str]) -> None:
    assert {style: naming.words(name) for style, name in spelled(parts).items()} == dict.fromkeys(
        spelled(parts), tuple(parts)
    )


@given(st.text())
def test_any_text_has_words_and_a_score(text: str) -> None:
    assert all(word == word.lower() and word for word in naming.words(text))
    for score in (naming.merge_table, naming.old_column, naming.new_column, naming.resource_table, naming.time_column):
        assert 0.0 <= score(text) <= 1.0


@given(st.sampled_from(OLDS), st.sampled_from(NEWS), st.sampled_from(IDENTITIES), st.sampled_from(["snake", "pascal"]))
def test_old_and_new_are_told_apart(old: str, new: str, identity: str, style: str) -> None:
    old_name = spelled([*old.split("_"), identity])[style]
    new_name = spelled([*new.split("_"), identity])[style]
    assert naming.old_column(old_name) > naming.new_column(old_name)
    assert naming.new_column(new_name) > naming.old_column(new_name)


@pytest.mark.parametrize("name", ["told", "into", "action", "notes", "total", "android", "history"])
def test_a_word_is_not_cut_by_chance(name: str) -> None:
    assert naming.words(name) == (name,)


@pytest.mark.parametrize(
    ("better", "worse"),
    [("ItemResource", "Item"), ("Item", "ResourceType"), ("dbo.Assets", "AssetHistory"), ("resources", "Inv_Resource")],
)
def test_the_table_of_resources_sounds_more_like_one(better: str, worse: str) -> None:
    assert naming.resource_table(better) > naming.resource_table(worse)


@pytest.mark.parametrize(
    ("column", "table", "is_one"),
    [
        ("Guid", "Anything", True),
        ("_ResourceGuid", "Inv_Example", True),
        ("endpoint_uuid", "Endpoints", True),
        ("OldGuid", "ResourceMerge", False),
        ("Name", "Item", False),
        ("ResourceTypeGuid", "Item", False),
    ],
)
def test_an_identity_is_called_after_its_table(column: str, table: str, is_one: bool) -> None:
    assert naming.identity_column(column, table) is is_one


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("vItem", True), ("v_item", True), ("dbo.vRM_Computer", True), ("item_view", True), ("vendor", False)],
)
def test_habits_of_views(name: str, is_one: bool) -> None:
    assert naming.view_like(name) is is_one


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("_ResourceGuid", True),
        ("ParentResourceGuid", True),
        ("resource_type_guid", False),
        ("InventoryClassGuid", False),
        ("ResourceName", False),
    ],
)
def test_a_reference_to_a_resource_is_not_one_to_its_type(name: str, is_one: bool) -> None:
    assert naming.resource_reference(name) is is_one
