"""Adding to the catalogue: the rows, the tables, what stays, what is refused, and what merges then know."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
import sqlalchemy as sa
from import_places import COMPUTER, ENTRIES, EVENTS, EVERYTHING, NOTEBOOK, OWNER, ImportPlace

from mergeguard.core.importing.catalogue import AssociationType, CellType, DataClass, DataColumn
from mergeguard.errors import UnknownSchema, UsageError
from mergeguard.storage.importing.catalogue_file import CatalogueFile, ResourceType
from mergeguard.storage.importing.making import add_to_catalogue
from mergeguard.storage.importing.opening import open_import_store
from mergeguard.storage.importing.references import class_references, reference_profile, with_catalogue
from mergeguard.storage.profile import Profile, Reference
from mergeguard.storage.profile_file import builtin_profile
from mergeguard.storage.targets import open_target

SINGLE = DataClass(
    uuid.UUID(int=9),
    "Single",
    "Inv_Single",
    multi_row=False,
    event=False,
    columns=(DataColumn("To", CellType.GUID, resource=True),),
)


@pytest.fixture
def inspector(place: ImportPlace) -> Iterator[sa.Inspector]:
    with place.store.source.engine.connect() as connection:
        yield sa.inspect(connection)


def test_what_was_added_is_what_is_read(place: ImportPlace) -> None:
    found = place.store.entries()
    assert set(ENTRIES.types) <= set(found.types)
    assert set(ENTRIES.associations) <= set(found.associations)
    assert set(ENTRIES.classes) <= set(found.classes)
    with place.trying() as batch:
        known = place.store.catalogue(batch.connection)
    assert known.classes[EVERYTHING.guid] == EVERYTHING
    assert known.bases[NOTEBOOK] == {NOTEBOOK, COMPUTER}
    assert known.merge_keys == {COMPUTER: {"name.domain", "uniqueid"}}
    assert known.associations[OWNER].maximum == 1


def test_a_class_has_its_table_and_indexes(place: ImportPlace, inspector: sa.Inspector) -> None:
    for data_class, own in ((EVERYTHING, ["_id", "_ResourceGuid"]), (EVENTS, ["_id", "_ResourceGuid", "_eventTime"])):
        found = {column["name"]: column["nullable"] for column in inspector.get_columns(data_class.table)}
        assert list(found) == [*own, *(column.name for column in data_class.columns)]
        assert {column.name: found[column.name] for column in data_class.columns} == {
            column.name: column.nullable for column in data_class.columns
        }
        indexed = {tuple(index["column_names"]) for index in inspector.get_indexes(data_class.table)}
        resources = {(column.name,) for column in data_class.columns if column.resource}
        assert indexed == resources | {(name,) for name in own[1:]}


def test_added_again_nothing_happens(place: ImportPlace) -> None:
    assert add_to_catalogue(place.store, ENTRIES).nothing
    assert add_to_catalogue(place.store, CatalogueFile()).nothing


def test_a_known_type_gets_what_it_lacks(place: ImportPlace) -> None:
    kind = ResourceType(uuid.uuid4(), "Printer", merge_keys=("serial",))
    add_to_catalogue(place.store, CatalogueFile(types=(kind,)))
    more = replace(kind, bases=(COMPUTER,), merge_keys=("serial", "name"))
    assert add_to_catalogue(place.store, CatalogueFile(types=(more,))).types == (more,)
    (found,) = [one for one in place.store.entries().types if one.guid == kind.guid]
    assert found == replace(more, merge_keys=("name", "serial"))


def test_how_long_events_are_kept_may_change(place: ImportPlace) -> None:
    longer = replace(EVENTS, keep_days=None, keep_rows=10)
    assert add_to_catalogue(place.store, CatalogueFile(classes=(longer,))).changed == (longer,)
    assert add_to_catalogue(place.store, CatalogueFile(classes=(EVENTS,))).changed == (EVENTS,)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            CatalogueFile(classes=(replace(EVERYTHING, columns=EVERYTHING.columns[:-1]),)),
            "stands in the catalogue other",
        ),
        (CatalogueFile(classes=(replace(SINGLE, table=EVERYTHING.table.upper()),)), "belongs to the data class"),
        (CatalogueFile(classes=(replace(SINGLE, table="Inv_Foreign"),)), "there is a table Inv_Foreign"),
        (CatalogueFile(associations=(AssociationType(OWNER, "owner", 0, 2),)), "stands in the catalogue otherwise"),
    ],
    ids=["columns", "table", "foreign table", "association"],
)
def test_what_stands_otherwise_is_refused_whole(place: ImportPlace, wanted: CatalogueFile, words: str) -> None:
    with place.store.source.engine.connect() as connection:
        there = sa.inspect(connection).has_table("Inv_Foreign")
    if not there:
        with place.store.changing() as connection:
            connection.exec_driver_sql(f"CREATE TABLE {place.spelling.table('Inv_Foreign')} (a int)")
    kind = ResourceType(uuid.uuid4(), "never")
    with pytest.raises(UsageError, match=words):
        add_to_catalogue(place.store, replace(wanted, types=(kind,)))
    assert kind.guid not in {one.guid for one in place.store.entries().types}


def test_merges_know_the_rows_of_every_class(place: ImportPlace) -> None:
    builtin = builtin_profile("reference")
    found = reference_profile(place.store.source)
    assert found.references[: len(builtin.references)] == builtin.references
    added = found.references[len(builtin.references) :]
    assert set(added) >= {*class_references(EVERYTHING), *class_references(EVENTS)}
    with place.trying() as batch:
        assert with_catalogue(found, place.store.catalogue(batch.connection)) == found


def test_a_class_says_what_is_one_row() -> None:
    everything, events = str(EVERYTHING.guid), str(EVENTS.guid)
    assert list(class_references(EVERYTHING)) == [
        Reference("Inv_Every_thing", "_ResourceGuid", ("_ResourceGuid", "Key"), data_class=everything, sets="newest"),
        Reference("Inv_Every_thing", "Other", data_class=everything),
    ]
    assert list(class_references(EVENTS)) == [
        Reference("Evt_Log_on", "_ResourceGuid", data_class=events),
        Reference("Evt_Log_on", "Where", data_class=events),
    ]
    assert [one.unique for one in class_references(SINGLE)] == [("_ResourceGuid",), ()]
    key = replace(SINGLE, multi_row=True, columns=(replace(SINGLE.columns[0], nullable=False, key=True),))
    assert [one.unique for one in class_references(key)] == [("_ResourceGuid", "To")] * 2
    assert [one.unique for one in class_references(replace(SINGLE, multi_row=True))] == [(), ()]


def test_a_target_without_a_catalogue_has_the_profile_as_it_is(tmp_path: object) -> None:
    (tmp_path / "merges.csv").write_text("old,new\n")  # type: ignore[operator]
    for target in (f"{tmp_path}/merges.csv", f"sqlite:///{tmp_path}/empty.db"):
        if target.startswith("sqlite"):
            sa.create_engine(target).connect().close()
        with closing(open_target(target, Profile())) as source:
            assert reference_profile(source) == builtin_profile("reference")


def test_a_database_without_the_schema_is_told(tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/empty.db"
    sa.create_engine(url).connect().close()
    with closing(open_import_store(url)) as store:
        with pytest.raises(UnknownSchema):
            store.entries()
        with pytest.raises(UnknownSchema):
            add_to_catalogue(store, ENTRIES)
