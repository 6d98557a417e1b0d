"""What merges and repairs have to know of catalogued data classes: the references that a profile declares for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mergeguard.core.importing.catalogue import Catalogue, DataClass
from mergeguard.storage.importing.class_statements import RESOURCE
from mergeguard.storage.profile import Profile, Reference

if TYPE_CHECKING:
    from mergeguard.storage.source import Source

_NEEDED = ("DataClass", "DataClassColumn")


def class_references(data_class: DataClass) -> Iterator[Reference]:
    """Yield the references of one class: whose data a row is, and each column that holds another resource.

    Inventory is loaded as a whole, so of two resources that become one the newer set stays. Its key columns tell rows
    of one resource apart, so that rows whose keys become equal are one row. Events all stay.
    """
    keys = tuple(column.name for column in data_class.columns if column.key)
    unique: tuple[str, ...] = ()
    if not data_class.event and (keys or not data_class.multi_row):
        unique = (RESOURCE, *(keys if data_class.multi_row else ()))
    sets = None if data_class.event else "newest"
    yield Reference(data_class.table, RESOURCE, unique, data_class=str(data_class.guid), sets=sets)  # type: ignore[arg-type]
    for column in data_class.columns:
        if column.resource:
            compared = unique if column.name in unique else ()
            yield Reference(data_class.table, column.name, compared, data_class=str(data_class.guid))


def with_catalogue(profile: Profile, catalogue: Catalogue) -> Profile:
    """Return a profile that also declares the references of all catalogued classes whose table it does not name."""
    named = {reference.table.casefold() for reference in profile.references}
    classes = sorted(catalogue.classes.values(), key=lambda each: (each.table, each.guid))
    added = [
        reference
        for data_class in classes
        if data_class.table.casefold() not in named
        for reference in class_references(data_class)
    ]
    return replace(profile, references=(*profile.references, *added)) if added else profile


def reference_profile(source: Source, profile: Profile | None = None) -> Profile:
    """Return the profile of the reference schema, with the references of all classes in a database's catalogue.

    A database without a catalogue, and a file, has the profile as it is.

    Args:
        source: the target.
        profile: of the reference schema; by default the built-in one.

    Raises:
        CannotCheck: the target could not be read.
    """
    from mergeguard.storage.database.source import DatabaseSource  # noqa: PLC0415 - SQLAlchemy
    from mergeguard.storage.importing.opening import import_store  # noqa: PLC0415 - one dialect a run
    from mergeguard.storage.profile_file import builtin_profile  # noqa: PLC0415 - only where none is given

    found = builtin_profile("reference") if profile is None else profile
    if not isinstance(source, DatabaseSource):
        return found
    with source.snapshot() as snapshot:
        if not all(snapshot.has_table(table) for table in _NEEDED):
            return found
        return with_catalogue(found, import_store(source).catalogue(snapshot.connection))
