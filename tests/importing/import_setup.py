"""Makes a database with the reference schema and the classes of tests/importing, and the importer that works on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from importing.import_cases import CATALOGUE, COMPUTER

from mergeguard import api
from mergeguard.processor.importers.importer import Importer
from mergeguard.processor.importers.merging import KeyMerging
from mergeguard.resources.merge import prepare_merges
from mergeguard.storage.importing.catalogue_file import CatalogueFile, ResourceType
from mergeguard.storage.importing.making import add_to_catalogue
from mergeguard.storage.importing.opening import import_store, open_import_store
from mergeguard.storage.importing.references import reference_profile
from mergeguard.storage.profile import Profile
from mergeguard.storage.profile_file import builtin_profile
from mergeguard.storage.source import Options
from mergeguard.storage.targets import open_target
from mergeguard.testing.systems import schedulable

if TYPE_CHECKING:
    from importing.import_world import World

WANTED = CatalogueFile(
    types=(ResourceType(COMPUTER, "Computer", (), tuple(sorted(CATALOGUE.merge_keys[COMPUTER]))),),
    associations=tuple(CATALOGUE.associations.values()),
    classes=tuple(CATALOGUE.classes.values()),
)


def prepare(url: str) -> None:
    """Make what is missing."""
    with closing(open_import_store(url)) as store:
        store.create()
        if not add_to_catalogue(store, WANTED).nothing:
            api.build_lookup(url, builtin_profile("reference"))


def profile_of(url: str) -> Profile:
    """The profile that merges and importers go by."""
    with closing(open_target(url, builtin_profile("reference"), Options())) as source:
        return reference_profile(source)


@contextmanager
def importer_of(world: World, wrap: Callable[[Any], Any]) -> Iterator[Importer]:
    """The importer of a world, with whatever is to stand between it and its store."""
    source = open_target(world.url, world.profile, Options(lock_timeout=20))
    if world.steps:
        schedulable(source)
    ready, store = prepare_merges(source, world.profile), import_store(source)
    with world.engine.connect() as connection:
        store.catalogue(connection)  # who reads it first lets others wait, which is no step of a schedule
    try:
        yield Importer(wrap(store), lambda: world.settings, KeyMerging(ready))
    finally:
        source.close()
