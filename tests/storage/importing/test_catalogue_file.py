"""Catalogue files: what is written reads as the same, and what makes no sense is refused with its place."""

from __future__ import annotations

import string
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.core.importing.catalogue import AssociationType, CellType, DataClass, DataColumn
from mergeguard.errors import UsageError
from mergeguard.storage.importing.catalogue_file import (
    RESERVED,
    CatalogueFile,
    ResourceType,
    catalogue_text,
    parse_catalogue,
    read_catalogue_file,
)

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20).filter(str.strip)
tables = st.builds(
    lambda kind, rest: kind + rest,
    st.sampled_from(["Inv_", "Evt_"]),
    st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=20),
)


@st.composite
def columns(draw: st.DrawFn) -> tuple[DataColumn, ...]:
    found = []
    for name in draw(st.lists(names, min_size=1, max_size=4, unique_by=str.lower)):
        kind, key = draw(st.sampled_from(CellType)), draw(st.booleans())
        length = draw(st.none() | st.integers(1, 4000)) if kind is CellType.TEXT else None
        nullable = False if key else draw(st.booleans())
        resource = kind is CellType.GUID and draw(st.booleans())
        found.append(DataColumn(name, kind, length, nullable, key, resource))
    return tuple(one for one in found if one.name.lower() not in RESERVED) or (DataColumn("a", CellType.TEXT),)


@st.composite
def classes(draw: st.DrawFn) -> DataClass:
    event = draw(st.booleans())
    days = st.none() | st.integers(0, 10**6)
    limits = (draw(days), draw(days)) if event else (None, None)
    return DataClass(
        draw(st.uuids()), draw(names), draw(tables), event or draw(st.booleans()), event, draw(columns()), *limits
    )


types = st.builds(
    ResourceType, st.uuids(), names, st.lists(st.uuids(), max_size=2).map(tuple), st.lists(names, max_size=2).map(tuple)
)
associations = st.builds(AssociationType, st.uuids(), names, st.integers(0, 3), st.none() | st.integers(3, 9))
files = st.builds(
    CatalogueFile,
    st.lists(types, max_size=2, unique_by=lambda one: one.guid).map(tuple),
    st.lists(associations, max_size=2, unique_by=lambda one: one.guid).map(tuple),
    st.lists(classes(), max_size=2, unique_by=(lambda one: one.guid, lambda one: one.table.lower())).map(tuple),
)


@given(files)
def test_what_is_written_reads_as_the_same(found: CatalogueFile) -> None:
    assert parse_catalogue(catalogue_text(found), "x.toml") == found


GUID = uuid.UUID(int=7)
HEAD = f'[[data_classes]]\nguid = "{GUID}"\nname = "Network card (PCI)"\n'
COLUMN = '[[data_classes.columns]]\nname = "MAC"\n'


def test_the_rest_is_the_usual() -> None:
    (one,) = parse_catalogue(HEAD + COLUMN, "x.toml").classes
    assert one == DataClass(
        GUID,
        "Network card (PCI)",
        "Inv_Network_card_PCI",
        multi_row=False,
        event=False,
        columns=(DataColumn("MAC", CellType.TEXT),),
    )
    (event,) = parse_catalogue(HEAD + "event = true\n" + COLUMN, "x.toml").classes
    assert (event.table, event.multi_row) == ("Evt_Network_card_PCI", True)


BAD = [
    ("a = 1 1", "x.toml is not valid TOML"),
    ("classes = 1", "x.toml has a key 'classes', and knows association_types, data_classes, resource_types"),
    ("data_classes = 1", "x.toml: data_classes is no array"),
    ("data_classes = [1]", "x.toml: data_classes is no array of tables: write [[data_classes]]"),
    (HEAD, "x.toml: data_classes[1] has no columns"),
    (COLUMN, "x.toml: data_classes is no array"),
    (f'[[data_classes]]\nguid = "{GUID}"\n' + COLUMN, "data_classes[1] has no name"),
    (HEAD.replace(str(GUID), "agent7") + COLUMN, "data_classes[1].guid is 'agent7', which is no guid"),
    (HEAD + 'table = "Inv_a; DROP"\n' + COLUMN, "data_classes[1].table is 'Inv_a; DROP'"),
    (HEAD + f'table = "Inv_{"a" * 60}"\n' + COLUMN, "data_classes[1].table is"),
    (HEAD + "event = true\nmulti_row = false\n" + COLUMN, "multi_row is false, and events are always added"),
    (HEAD + "keep_days = 3\n" + COLUMN, "nothing of it is purged"),
    (HEAD + "event = true\nkeep_days = -1\n" + COLUMN, "keep_days is -1, and has to be 0 or more"),
    (HEAD + "event = true\nkeep_days = true\n" + COLUMN, "keep_days is no number"),
    (HEAD + COLUMN + COLUMN.replace("MAC", "mac"), "has two columns of one name"),
    (HEAD + COLUMN.replace("MAC", "_ResourceGUID"), "columns[1].name is _ResourceGUID, which every table has"),
    (HEAD + COLUMN + 'type = "string"\n', "columns[1].type is 'string', and has to be text, integer, number"),
    (HEAD + COLUMN + "length = 0\n", "columns[1].length is 0, and has to be 1 or more"),
    (HEAD + COLUMN + 'type = "guid"\nlength = 3\n', "length is for texts"),
    (HEAD + COLUMN + "key = true\nnullable = true\n", "nullable is true, and the cells of a key column"),
    (HEAD + COLUMN + "resource = true\n", "resource is true, and the type is text"),
    (HEAD + COLUMN + 'colour = "red"\n', "columns[1] has a key 'colour', and knows key, length, name"),
    (HEAD + COLUMN + HEAD + COLUMN, "two data classes of the guid"),
    (f'[[association_types]]\nguid = "{GUID}"\nname = "a"\nminimum = 3\nmaximum = 2\n', "maximum is 2, less than"),
    (f'[[resource_types]]\nguid = "{GUID}"\nname = " "\n', "resource_types[1].name has to have 1 to 250 characters"),
    (f'[[resource_types]]\nguid = "{GUID}"\nname = "a"\nbases = ["b"]\n', "bases is 'b', which is no guid"),
    (f'[[resource_types]]\nguid = "{GUID}"\nname = "a"\nmerge_keys = [1]\n', "merge_keys has to hold texts"),
]


@pytest.mark.parametrize(("text", "words"), BAD, ids=range(len(BAD)))
def test_what_makes_no_sense_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_catalogue(text, "x.toml")
    assert words in caught.value.message
    assert caught.value.message.startswith("x.toml")
    assert caught.value.hint


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_catalogue_file(tmp_path / "no.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe4\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_catalogue_file(tmp_path / "latin.toml")
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf" + (HEAD + COLUMN).encode())
    assert read_catalogue_file(tmp_path / "bom.toml").classes
