"""The small database of ``merging_world`` with data of which hashes are kept, for merges by SQL."""

from __future__ import annotations

import uuid
from dataclasses import replace

from merging_world import PROFILE

from mergeguard.storage.profile import Classes, Hashes, Reference

CLASS, OTHER, WHOLE = (uuid.uuid5(uuid.NAMESPACE_OID, name) for name in ("class", "other class", "whole class"))
HASHED = replace(
    PROFILE,
    references=(
        *PROFILE.references,
        Reference("Sums", "Guid", time="At", order="Event"),
        Reference("Undated", "Guid", ("Guid",)),
        Reference("Pairs", "One", ("One", "Two")),
        Reference("Pairs", "Two", data_class=str(OTHER).upper()),
        Reference("Whole", "Guid", data_class=str(WHOLE), sets="newest"),
        Reference("Whole", "Friend"),
        Reference("Numbered", "Guid", ("Guid", "Said"), "At", order="Event"),
    ),
    hashes=Hashes("Sums", "Guid", "Class", "Hash", Classes("Catalogue", "Guid", "TableName"), "At", "Event"),
)
