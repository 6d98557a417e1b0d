"""The lookup as text: what a build did, how it compares, and the whole of it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from mergeguard.core import guids
from mergeguard.core.closure import STATUS_TEXTS
from mergeguard.core.lookup import Lookup
from mergeguard.integrity.lookup import Built, Verified
from mergeguard.render.text import visible

HEADS = ("old", "current", "depth", "status")
_CHUNK = 65_536


def built(done: Built, table: str) -> str:
    """Say what a build wrote."""
    verb = "created" if done.created else "unchanged" if not done.written and not done.deleted else "updated"
    return (
        f"{visible(table)} {verb}: {done.rows:,} rows ({_statuses(done.statuses)}); "
        f"{done.written:,} written, {done.deleted:,} deleted\n"
    )


def verified(found: Verified, table: str) -> str:
    """Say how the stored lookup compares with the rows."""
    table = visible(table)
    if not found.exists:
        return f"{table} is not there; 'mergeguard lookup build' makes it from {found.rows:,} olds\n"
    if not found.drift:
        return f"{table} agrees with the rows: {found.rows:,} olds\n"
    return (
        f"{table} differs from the rows: {found.different:,} answered differently, {found.missing:,} missing, "
        f"{found.extra:,} too many, of {found.rows:,} olds; 'mergeguard lookup build' mends it\n"
    )


def exported(found: Lookup, form: str) -> str:
    """Write the whole lookup as ``csv``, ``tsv`` or ``jsonl``, guids in lower-case text."""
    if form == "jsonl":
        return "".join(
            json.dumps(
                {"old": str(old), "current": None if now is None else str(now), "depth": depth, "status": status}
            )
            + "\n"
            for old, now, depth, status in found
        )
    gap = "," if form == "csv" else "\t"
    return gap.join(HEADS) + "\n" + "".join(_lines(found, at, gap) for at in range(0, len(found), _CHUNK))


def _lines(found: Lookup, at: int, gap: str) -> str:
    part = slice(at, at + _CHUNK)
    olds = guids.to_texts(np.ascontiguousarray(found.olds[part])).tolist()
    currents = guids.to_texts(np.ascontiguousarray(found.currents[part])).tolist()
    columns = (found.has_current[part].tolist(), found.depths[part].tolist(), found.statuses[part].tolist())
    return "".join(
        f"{old.decode()}{gap}{now.decode() if has else ''}{gap}{depth if has else ''}{gap}{STATUS_TEXTS[status]}\n"
        for old, now, has, depth, status in zip(olds, currents, *columns, strict=True)
    )


def _statuses(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in counts.items() if count) or "empty"
