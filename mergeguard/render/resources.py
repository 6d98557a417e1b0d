"""Reports about resources as lists: shared keys, duplicates, merged resources, sources that were merged away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mergeguard.render.listing import Listing
from mergeguard.render.text import visible
from mergeguard.resources.duplicates import DuplicateOutcome, Duplicates
from mergeguard.resources.merged_resources import MergedResources
from mergeguard.resources.moved_sources import MovedSource
from mergeguard.resources.shared_keys import SharedKeys

MERGED_HEADS: Final = (
    "row", "old", "old_name", "new", "current", "current_name", "status", "merged_at", "key", "who",
)  # fmt: skip


def merges_listing(found: MergedResources) -> Listing:
    """List merged resources."""
    rows = [
        (
            each.row_id,
            each.old,
            each.old_name,
            each.new,
            each.current,
            each.current_name,
            each.status,
            each.time,
            each.key,
            each.who,
        )
        for each in found.merges
    ]
    return Listing("merges", MERGED_HEADS, rows, found.rows, "nothing was ever merged")


def keys_listing(found: SharedKeys) -> Listing:
    """List shared keys."""
    rows = [(each.name, each.value, each.resources, each.guids, each.names) for each in found.keys]
    heads = ("key", "value", "resources", "guids", "names")
    return Listing("keys", heads, rows, found.values, "no two resources share the value of a key")


def duplicates_listing(found: Duplicates, made: Sequence[DuplicateOutcome] = ()) -> Listing:
    """List what the task would merge and what became of it, then what it leaves to a person."""
    outcome = {each.duplicate: _outcome(each) for each in made}
    rows: list[tuple[object, ...]] = [
        (pair.name, pair.value, pair.old, pair.old_name, pair.new, pair.new_name, outcome.get(pair, "would be merged"))
        for pair in found.pairs
    ]
    rows += [(each.name, each.value, each.guids, "", None, "", f"left alone: {each.why}") for each in found.left]
    heads = ("key", "value", "old", "old_name", "new", "new_name", "outcome")
    more = {"pairs": len(found.pairs), "left": len(found.left)}
    return Listing("duplicates", heads, rows, len(rows), "there are no duplicates", more)


def sources_listing(found: Sequence[MovedSource]) -> Listing:
    """List sources of queued events that were merged away."""
    rows = [(each.source, each.current, each.status, each.events, each.oldest) for each in found]
    heads = ("source", "current", "status", "events", "oldest")
    return Listing("sources", heads, rows, len(found), "no event waits whose source was merged away")


def _outcome(made: DuplicateOutcome) -> str:
    if made.refused is not None:
        return f"refused ({made.refused.reason}): {visible(made.refused.message)}"
    if made.merged is not None and made.merged.already:
        return "they were one already"
    return f"merged: run {made.merged.run_id}" if made.merged is not None else "would be merged"
