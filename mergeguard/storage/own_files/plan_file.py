"""The plan file: written whole or not at all, read with every doubt a refusal.

The ``digest`` in it is the SHA-256 of everything else. It finds an edit, a lost line, a file that was cut off; it is
**no signature**: who can write the file can write a digest that fits. Keep plans where only those may write who may
also apply them. White space is not part of it, nor is the order of keys: a plan may be laid out anew.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import repeat
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any, NoReturn, cast

from mergeguard.core.repair.plan import PLAN_VERSION, Plan
from mergeguard.errors import PlanRefused, Unsupported, UsageError
from mergeguard.storage.own_files.new_file import write_new
from mergeguard.storage.own_files.plan_document import FORMAT, MISSING_HINT, plan_document, plan_from_document

MAX_BYTES = 256 * 1024 * 1024
"""A plan is held in memory several times over while it is read; one of this size changes millions of rows."""
LINE = 240
"""Characters: a row of a table stands on one line if it is no longer."""
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_NESTING = frozenset({dict, list})
_UNUSUAL = re.compile(r"[^\x20-\x7e\n]")
_JOINED_HALVES = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def dumps_plan(plan: Plan) -> str:
    """Write a plan as JSON: one text for one plan, to be read by people too.

    Raises:
        Unsupported: a text of the plan holds the two halves of a character apart, which JSON cannot tell from it whole.
    """
    document = plan_document(plan)
    text = _laid_out(document | {"digest": digest(document)}, "") + "\n"
    if _JOINED_HALVES.search(text):
        raise Unsupported("a row holds the two halves of a character as two characters; no plan file can hold that")
    return _UNUSUAL.sub(_escaped, text)


def loads_plan(text: str, *, origin: str, now: dt.datetime | None) -> Plan:
    """Read a plan; ``origin`` is the file name that messages give.

    Args:
        text: the whole file.
        origin: the name of the file.
        now: the time by which it may have expired; ``None`` to read an expired plan too, for those who only look.

    Raises:
        PlanRefused: the message says why, and the hint what to do.
    """
    document = _parsed(text, origin)
    _check_kind(document, origin)
    _check_digest(document, origin)
    plan = plan_from_document({key: value for key, value in document.items() if key != "digest"}, origin)
    if now is not None and now >= plan.expires:
        raise PlanRefused(
            f"{origin} expired on {plan.expires:%Y-%m-%d at %H:%M:%S} UTC",
            hint="the longer a plan lies, the less its evidence holds; make a new one with 'mergeguard plan'",
        )
    return plan


def save_plan(plan: Plan, path: str | Path, *, replace: bool = False) -> None:
    """Write a plan file that its owner alone can read, for it holds rows of the database; whole or not at all.

    Args:
        plan: what to write.
        path: where to write it.
        replace: whether a file that is there already may go.

    Raises:
        UsageError: the file is there already, or cannot be made there, or the plan is larger than any may be.
        WriteFailed: any other failure; there is no new file.
    """
    content = dumps_plan(plan).encode()
    if len(content) > MAX_BYTES:
        raise UsageError(
            f"the plan would be larger than {MAX_BYTES >> 20} MB, which no plan may be",
            hint="plan for a part at a time",
        )
    write_new(Path(path), content, "plan file", replace=replace)


def load_plan(path: str | Path, *, now: dt.datetime | None) -> Plan:
    """Read a plan file; see ``loads_plan``.

    Raises:
        UsageError: there is no such file, or it may not be read.
        PlanRefused: it is no plan that may be applied.
    """
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            raw = b"" if size > MAX_BYTES else file.read(MAX_BYTES + 1)  # a pipe has no size
    except FileNotFoundError:
        raise UsageError(f"plan file {path} does not exist", hint="'mergeguard plan' makes one") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"plan file {path} cannot be read: {reason}", hint="check the path, and that this account may read it"
        ) from None
    if max(size, len(raw)) > MAX_BYTES:
        raise PlanRefused(
            f"{path} is larger than {MAX_BYTES >> 20} MB, which no plan may be",
            hint="repair part of it at a time, or check that this is the right file",
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        _not_json(str(path), "it is not UTF-8 text")
    return loads_plan(text, origin=str(path), now=now)


def digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hex, of a document whatever its layout and the order of its keys."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _parsed(text: str, origin: str) -> dict[str, Any]:
    try:
        document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except ValueError as error:
        _not_json(origin, str(error))
    except RecursionError:
        _not_json(origin, "it is nested too deeply")
    return document if isinstance(document, dict) else {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _not_json(origin: str, why: str) -> NoReturn:
    raise PlanRefused(
        f"{origin} is no whole JSON text, so it was cut short or is no plan: {why}",
        hint="copy it again from where it was made, or make a new one with 'mergeguard plan'",
    )


def _check_kind(document: Mapping[str, Any], origin: str) -> None:
    version = document.get("version")
    if document.get("format") != FORMAT or type(version) is not int or version < 1:
        raise PlanRefused(f"{origin} is not a plan of MergeGuard", hint="'mergeguard plan TARGET --out FILE' makes one")
    if version > PLAN_VERSION:
        raise PlanRefused(
            f"{origin} was made by a newer MergeGuard (plan version {version}; this one knows {PLAN_VERSION})",
            hint="apply it with the MergeGuard that made it, or make a new plan with this one",
        )


def _check_digest(document: Mapping[str, Any], origin: str) -> None:
    if "digest" not in document:
        raise PlanRefused(f"{origin} is damaged: lacks digest", hint=MISSING_HINT)
    if document["digest"] != digest({key: value for key, value in document.items() if key != "digest"}):
        raise PlanRefused(
            f"{origin} was edited after it was made: its digest differs",
            hint="a plan is applied as it was reviewed; decide otherwise with an override file and make a new plan",
        )


def _laid_out(value: object, indent: str) -> str:
    """Write JSON with an indent of one; what holds no further lists and fits stands on one line."""
    if not isinstance(value, dict | list) or not value:
        return _encoded(value)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    keys, entries = (map(_key, value), list(value.values())) if isinstance(value, dict) else (repeat(""), value)
    if _NESTING.isdisjoint(map(type, entries)):
        texts = [key + _encoded(entry) for key, entry in zip(keys, entries, strict=False)]
        line = opening + ", ".join(texts) + closing
        if len(indent) + len(line) <= LINE:
            return line
    else:
        deeper = indent + " "
        texts = [key + _laid_out(entry, deeper) for key, entry in zip(keys, entries, strict=False)]
    return f"{opening}\n{indent} " + f",\n{indent} ".join(texts) + f"\n{indent}{closing}"


def _encoded(value: object) -> str:
    """Write a value that holds no others. The encoder is slow to begin, and nearly all values are these."""
    kind = type(value)
    if kind is str:
        return encode_basestring(cast("str", value))
    if kind is int:
        return str(value)
    return _JSON.encode(value) if kind is not bool else "true" if value else "false"


@lru_cache(maxsize=1024)
def _key(name: str) -> str:
    return f"{encode_basestring(name)}: "


def _escaped(found: re.Match[str]) -> str:
    """Spell out what a terminal would not show, or show as something else; letters of any script stay."""
    character = found[0]
    return character if character.isprintable() else json.dumps(character)[1:-1]
