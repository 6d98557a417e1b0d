"""What the name of a table or column suggests, as a number from 0 to 1: a hint for discovery, never a proof."""

from __future__ import annotations

import re
from collections.abc import Mapping

IDENTITY = frozenset({"guid", "uuid", "gid", "uid", "id"})
OWN_PREFIX = "mergeguard_"

_MERGE_TABLE = {
    **dict.fromkeys(("merge", "merges", "merged", "redirect", "redirects"), 1.0),
    **dict.fromkeys(("superseded", "supersedes", "successor", "successors", "dedup", "consolidated"), 0.8),
    **dict.fromkeys(("alias", "aliases", "replaced", "replacement", "replacements", "duplicate", "duplicates"), 0.7),
    **dict.fromkeys(("renamed", "moved", "retired", "mapping", "map"), 0.4),
}
_OLD = {
    **dict.fromkeys(("old", "loser", "losing"), 1.0),
    **dict.fromkeys(("from", "duplicate", "dup", "alias", "retired", "previous", "prev", "former"), 0.9),
    **dict.fromkeys(("obsolete", "superseded", "redirected", "withdrawn", "victim"), 0.9),
    **dict.fromkeys(("source", "src", "merged", "replaced", "deleted"), 0.7),
    **dict.fromkeys(("original", "orig", "secondary"), 0.5),
}
_NEW = {
    **dict.fromkeys(("new", "survivor", "surviving", "winner", "canonical", "into", "by", "successor"), 1.0),
    **dict.fromkeys(("to", "current", "replacement"), 0.9),
    **dict.fromkeys(("target", "tgt", "dest", "destination", "master", "kept", "keeper"), 0.8),
    **dict.fromkeys(("primary", "final", "redirect", "active"), 0.6),
}
_RESOURCE = {
    **dict.fromkeys(("resource", "resources"), 1.0),
    **dict.fromkeys(("item", "items", "asset", "assets", "entity", "entities"), 0.6),
    **dict.fromkeys(("object", "objects", "device", "devices", "computer", "computers", "node", "nodes"), 0.5),
    **dict.fromkeys(("artist", "party", "person", "customer", "customers", "account", "accounts", "product"), 0.4),
}
_NO_RESOURCE = frozenset(
    {*("inv", "evt", "event", "key", "keys", "association", "associations", "summary", "history", "log", "merge")}
    | {*("type", "types", "class", "classes")}
)
_TIME = {
    **dict.fromkeys(("merged", "at"), 1.0),
    **dict.fromkeys(("when", "time", "timestamp", "date", "on"), 0.8),
    **dict.fromkeys(("created", "added", "inserted"), 0.6),
    **dict.fromkeys(("modified", "updated", "changed"), 0.4),
}
_REASON = {"key": 1.0, "reason": 0.8, "rule": 0.8, "cause": 0.8, "criterion": 0.8, "method": 0.5}
_ROW_ID = {"id": 1.0, "rowid": 1.0, "seq": 0.8, "sequence": 0.8, "no": 0.7, "number": 0.7}
_TYPE = {"type": 1.0, "kind": 0.9, "class": 0.8, "category": 0.7}
_KNOWN = frozenset({*_MERGE_TABLE, *_OLD, *_NEW, *_RESOURCE, *_NO_RESOURCE, *_TIME, *_REASON, *_ROW_ID, *_TYPE})
_VOCABULARY = _KNOWN | IDENTITY | {"name", "value", "component", "software", "parent", "child", "inventory", "row"}
_LONGEST = max(map(len, _VOCABULARY))
_SUFFIX = re.compile(r"\.(csv|tsv|parquet)(\.gz)?$", re.IGNORECASE)
_PART = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+|\d+")


def words(name: str) -> tuple[str, ...]:
    """Cut a name into lower-case words: ``_ResourceGuid``, ``resource_guid`` and ``resourceguid`` are the same.

    A schema before a dot and the suffix of a file are left out. A word without a joint is cut only where known words
    explain all of it.
    """
    parts = _PART.findall(unqualified(name))
    found: list[str] = []
    for part in parts:
        found += _unglued(part.lower()) or [part.lower()]
    return tuple(found)


def unqualified(name: str) -> str:
    """Return a table's own name, without its schema or the suffix of its file."""
    return _SUFFIX.sub("", name).rpartition(".")[2]


def _unglued(word: str) -> list[str] | None:
    """Cut a word into known words, the longest first; ``None`` where that does not explain all of it."""
    # From the end: where a word begins behind which all is explained, and where it ends. Each place is looked at once,
    # so that a name of any length, from a file's first line perhaps, costs no more than its length.
    ends = {len(word): len(word)}
    for start in range(len(word) - 2, -1, -1):
        for end in range(min(len(word), start + _LONGEST), start + 1, -1):
            if end in ends and word[start:end] in _VOCABULARY:
                ends[start] = end
                break
    if 0 not in ends:
        return None
    found, at = [], 0
    while at < len(word):
        found.append(word[at : ends[at]])
        at = ends[at]
    return found


def _best(name: str, scores: Mapping[str, float]) -> float:
    return max((scores.get(word, 0.0) for word in words(name)), default=0.0)


def merge_table(name: str) -> float:
    """Say how much a table sounds like one of merges."""
    return _best(name, _MERGE_TABLE)


def old_column(name: str) -> float:
    """Say how much a column sounds like the old guid; a bare ``guid`` does a little."""
    if _best(name, _NEW) >= 0.9:  # replaced_by, merged_into
        return 0.0
    return max(_best(name, _OLD), 0.4 if bare(name) else 0.0)


def new_column(name: str) -> float:
    """Say how much a column sounds like the new guid."""
    return _best(name, _NEW)


def resource_table(name: str) -> float:
    """Say how much a table sounds like the one of resources; two good words are better than one."""
    said = words(name)
    if _NO_RESOURCE & set(said):
        return 0.0
    return min(1.0, sum(_RESOURCE.get(word, 0.0) for word in said) / 1.6)


def time_column(name: str) -> float:
    """Say how much a column sounds like the time of a merge."""
    return _best(name, _TIME)


def reason_column(name: str) -> float:
    """Say how much a column sounds like the key that made two resources one."""
    return _best(name, _REASON)


def row_id_column(name: str) -> float:
    """Say how much a column sounds like the id of a row."""
    last = words(name)[-1:]
    return _ROW_ID.get(last[0], 0.0) if last else 0.0


def type_column(name: str) -> float:
    """Say how much a column sounds like the type of something."""
    return _best(name, _TYPE)


def bare(name: str) -> bool:
    """Say whether a column is called guid, id or the like and nothing else, as an identity is."""
    said = words(name)
    return bool(said) and set(said) <= IDENTITY


def identity_column(name: str, table: str) -> bool:
    """Say whether a column may identify the row's own resource: ``Guid``, ``ResourceGuid``, ``Hosts.host_id``."""
    said = set(words(name))
    own = {form for word in words(table) for form in (word, word.removesuffix("s"))}
    return bool(said & IDENTITY) and said <= IDENTITY | _RESOURCE.keys() | own


def guid_column(name: str) -> bool:
    """Say whether the name alone claims that guids stand there."""
    return bool(set(words(name)) & (IDENTITY - {"id"}))


def resource_reference(name: str) -> bool:
    """Say whether a column is called like a reference to a resource and not like one to its type."""
    said = set(words(name))
    return guid_column(name) and bool(said & _RESOURCE.keys()) and not said & _TYPE.keys()


def data_class(name: str) -> bool:
    """Say whether a table is called like inventory or event data."""
    return words(name)[:1] in {("inv",), ("evt",)}


def view_like(name: str) -> bool:
    """Say whether a name follows the habits of views: ``vItem``, ``vRM_Computer``, ``v_item``, ``item_view``."""
    last = unqualified(name)
    return re.match(r"v(_|[A-Z])", last) is not None or words(last)[-1:] == ("view",)
