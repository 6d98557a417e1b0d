"""The catalogue of the reference schema: what kinds of resources, links and data importers take.

A target is here a database with the reference schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mergeguard.api.opened import DEFAULT
from mergeguard.errors import UnknownSchema
from mergeguard.storage.secrets import masked
from mergeguard.storage.source import Options

if TYPE_CHECKING:  # each pulls in more than a program that does not call for it should pay
    from mergeguard.storage.importing.catalogue_file import CatalogueFile
    from mergeguard.storage.importing.database_store import DatabaseImportStore
    from mergeguard.storage.importing.making import CatalogueAdded


@contextmanager
def opened_catalogue(target: str | Path, options: Options) -> Iterator[DatabaseImportStore]:
    """Open the reference schema of a database; where there is none the error says what makes one."""
    from mergeguard.storage.importing.opening import open_import_store  # noqa: PLC0415 - imports SQLAlchemy

    store = open_import_store(str(target), options)
    try:
        yield store
    except UnknownSchema as error:
        raise UnknownSchema(
            f"{masked(str(target))} has no catalogue: {error.message}",
            hint="is it the right database? 'mergeguard serve' makes the reference schema, or brings it up to date",
        ) from None
    finally:
        store.close()


def catalogue(target: str | Path, *, options: Options = DEFAULT) -> CatalogueFile:
    """Return the resource types, association types and data classes of a database.

    Raises:
        UnknownSchema: the database does not have the reference schema, or one of an earlier version.
        CannotCheck: it could not be read.
    """
    with opened_catalogue(target, options) as store:
        return store.entries()


def catalogue_add(
    target: str | Path, file: str | Path | CatalogueFile, *, options: Options = DEFAULT
) -> CatalogueAdded:
    """Add what a file names, in one transaction: rows of the catalogue, and for each new data class its table.

    What stands there already as the file has it stays; only how long rows of events are kept may change.

    Args:
        target: the database.
        file: a TOML file, or what it holds.
        options: how to connect.

    Raises:
        UsageError: the file cannot be read, or something of it stands in the catalogue otherwise.
        UnknownSchema: as ``catalogue``.
        PermissionDenied: this login may not make tables; nothing was changed.
        Locked: another session held a lock for too long; nothing was changed.
        WriteFailed: any other failure; nothing was changed.
    """
    from mergeguard.storage.importing import catalogue_file  # noqa: PLC0415 - only with a catalogue
    from mergeguard.storage.importing.making import add_to_catalogue  # noqa: PLC0415 - as above

    wanted = file if isinstance(file, catalogue_file.CatalogueFile) else catalogue_file.read_catalogue_file(file)
    with opened_catalogue(target, options) as store:
        return add_to_catalogue(store, wanted)
