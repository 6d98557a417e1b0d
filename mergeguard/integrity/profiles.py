"""Choose the profile of a target: a file or a built-in one, corrected by what the user says in passing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mergeguard.errors import UsageError
from mergeguard.storage.profile import ByteOrder, Ids, Live, Profile, Reference, Types
from mergeguard.storage.profile_file import builtin_names, builtin_profile, load_profile
from mergeguard.storage.targets import is_file_target


@dataclass(frozen=True, slots=True)
class Overrides:
    """What flags say about the profile; ``None`` and empty leave it as it is."""

    table: str | None = None
    old: str | None = None
    new: str | None = None
    row_id: str | None = None
    time: str | None = None
    merge_key: str | None = None
    deleted_values: tuple[str, ...] | None = None
    ids: Ids | None = None
    byte_order: ByteOrder | None = None
    lookup_table: str | None = None
    live: str | None = None
    """``TABLE:COLUMN`` or ``TABLE:COLUMN:OTHER=VALUE``; several filters are joined by ``:``."""
    live_query: str | None = None
    types: str | None = None
    """``TABLE:GUID:TYPE``."""
    references: tuple[str, ...] = ()
    """``TABLE:COLUMN`` each."""


def choose_profile(
    target: str, base: Profile | str | Path | None = None, overrides: Overrides | None = None
) -> Profile:
    """Return the profile to read a target with.

    ``base`` is a profile, the path of a profile file or the name of a built-in one. Without it a database is read by
    the reference schema's profile; a file, or a database whose merge table or columns the overrides name, as a table
    of merges with nothing beside it.

    Raises:
        ProfileError: the profile file is wrong.
        UsageError: there is no such profile, or an override cannot be read.
    """
    said = overrides or Overrides()
    return _overridden(_base(target, base, said), said)


def _base(target: str, base: Profile | str | Path | None, said: Overrides) -> Profile:
    if isinstance(base, Profile):
        return base
    if base is None:
        reference = builtin_profile("reference")
        merge = reference.merge
        # Who names the merge table or its columns otherwise has another schema in mind than the built-in one.
        told = ((said.table, merge.table), (said.old, merge.old), (said.new, merge.new))
        other = any(name is not None and name != usual for name, usual in told)
        return Profile(name="flags") if other or is_file_target(target) else reference
    if str(base) in builtin_names():
        return builtin_profile(str(base))
    return load_profile(base)


def _overridden(profile: Profile, said: Overrides) -> Profile:
    table = said.table
    if table is not None and table != profile.merge.table:
        # Another table has other columns beside old and new; the base profile cannot know them.
        merge = replace(profile.merge, table=table, row_id=None, time=None, merge_key=None)
        profile = replace(profile, merge=merge)
    told = {
        "old": said.old,
        "new": said.new,
        "row_id": said.row_id,
        "time": said.time,
        "merge_key": said.merge_key,
        "deleted_values": said.deleted_values,
        "ids": said.ids,
        "byte_order": said.byte_order,
    }
    merge = replace(profile.merge, **{name: value for name, value in told.items() if value is not None})  # type: ignore[arg-type]
    profile = replace(profile, merge=merge)
    if said.lookup_table is not None:
        profile = replace(profile, lookup=replace(profile.lookup, table=said.lookup_table))
    if said.live is not None or said.live_query is not None:
        profile = replace(profile, live=_live(said))
    if said.types is not None:
        profile = replace(profile, types=Types(*_parts(said.types, 3, "--types TABLE:GUID:TYPE")))
    if said.references:
        parts = (_parts(text, 2, "--reference TABLE:COLUMN") for text in said.references)
        declared = tuple(Reference(table, column) for table, column in parts)
        profile = replace(profile, references=(*profile.references, *declared))
    return profile


def _live(said: Overrides) -> Live:
    if said.live is not None and said.live_query is not None:
        raise UsageError("--live and --live-query say the same thing twice", hint="give one of them")
    if said.live is None:
        return Live(query=said.live_query)
    table, _, rest = said.live.partition(":")
    guid, *filters = rest.split(":")
    if not table or not guid or any("=" not in text for text in filters):
        raise UsageError(f"--live {said.live!r} cannot be read", hint="give TABLE:COLUMN or TABLE:COLUMN:OTHER=VALUE")
    where = tuple((text.partition("=")[0], text.partition("=")[2]) for text in filters)
    return Live(table=table, guid=guid, where=where)


def _parts(text: str, count: int, shape: str) -> list[str]:
    parts = text.split(":")
    if len(parts) != count or not all(parts):
        raise UsageError(f"{text!r} cannot be read", hint=f"give {shape}")
    return parts
