"""The checks by their names: each looks at what the tables hold at one commit, and says what is wrong in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mergeguard.testing.tables import Guid, Tables, current, newest, root, united


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check may look at.

    Attributes:
        start: the tables before the first step.
        before: the tables at the commit before.
        now: the tables at this commit.
        asked: (old, new) of each merge that should be in effect at the end, where none must be refused; empty before.
        maybe: of every merge of which nobody knows, because it crashed or its commit has no answer.
        over: whether all actors are done.
        spelled: how guids are called in a sentence.
    """

    start: Tables
    before: Tables
    now: Tables
    asked: Sequence[tuple[Guid, Guid]] = ()
    maybe: Sequence[tuple[Guid, Guid]] = ()
    over: bool = False
    spelled: Mapping[Guid, str] = field(default_factory=dict)

    def call(self, guid: Guid | None) -> str:
        """Return the short name of a guid."""
        return "nothing" if guid is None else self.spelled.get(guid, str(guid))


Check = Callable[[Seen], str | None]


def forest(seen: Seen) -> str | None:
    """One outgoing row per old, no self-merge, no cycle."""
    counts = Counter(old for old, _ in seen.now.merges)
    for old, count in counts.items():
        if count > 1:
            news = " and ".join(sorted(seen.call(new) for each, new in seen.now.merges if each == old))
            return f"{seen.call(old)} is merged {count} times, into {news}"
    leads = dict(seen.now.merges)
    for old in leads:
        walk = [old]
        while walk[-1] in leads and leads[walk[-1]] not in walk:
            walk.append(leads[walk[-1]])
        if leads.get(walk[-1]) == old:
            return "a cycle: " + " -> ".join(map(seen.call, [*walk, old]))
    return None


def target_live(seen: Seen) -> str | None:
    """Every walk ends at a resource that is live."""
    for old, _ in seen.now.merges:
        at, _, status = current(seen.now, old)
        if status == "dangling":
            return f"{seen.call(old)} leads to {seen.call(at)}, and that is not live"
    return None


def no_shadow(seen: Seen) -> str | None:
    """A live resource has no outgoing row."""
    for old, new in seen.now.merges:
        if old in seen.now.live:
            return f"{seen.call(old)} is merged into {seen.call(new)} and live still"
    return None


def same_type(seen: Seen) -> str | None:
    """What is merged is of one type."""
    for old, new in seen.now.merges:
        kinds = [seen.now.kinds.get(guid, "?") for guid in (old, new)]
        if kinds[0] != kinds[1]:
            return f"{seen.call(old)}, a {kinds[0]}, is merged into {seen.call(new)}, a {kinds[1]}"
    return None


def monotone(seen: Seen) -> str | None:
    """Classes only grow: who had one current has one still."""
    for old, _ in seen.before.merges:
        was, _, _ = current(seen.before, old)
        if was is not None and current(seen.now, old)[0] != current(seen.now, was)[0]:
            return f"{seen.call(old)} was one with {seen.call(was)}, and is not any more"
    return None


def lookup(seen: Seen) -> str | None:
    """The stored lookup is the closure of the log."""
    wanted = {old: current(seen.now, old) for old, _ in seen.now.merges}
    for old in {**wanted, **seen.now.lookup}:
        stored, right = seen.now.lookup.get(old), wanted.get(old)
        if stored != right:
            return f"the lookup leads {seen.call(old)} to {_told(seen, stored)}, the log to {_told(seen, right)}"
    return None


def confluent(seen: Seen) -> str | None:
    """In whatever order they were made, merges make the same classes."""
    if not seen.over or not _is_forest(seen.now):
        return None
    everything = {*seen.start.kinds, *seen.now.kinds}
    found = _classes(everything, seen.now.merges)
    least = _classes(everything, [*seen.start.merges, *seen.asked])
    most = _classes(everything, [*seen.start.merges, *seen.asked, *seen.maybe])
    for guid in sorted(everything):
        if not least[guid] <= found[guid]:
            missing = min(least[guid] - found[guid])
            return f"{seen.call(guid)} and {seen.call(missing)} were to be merged, and are not"
        if not found[guid] <= most[guid]:
            extra = min(found[guid] - most[guid])
            return f"{seen.call(guid)} and {seen.call(extra)} are merged, and nobody asked for it"
    return None


def conserved(seen: Seen) -> str | None:
    """No row is lost or moved elsewhere: rows before = rows now + associations to themselves + duplicates."""
    if not _is_forest(seen.now):
        return None
    if seen.now.tickets.keys() != seen.start.tickets.keys():
        return f"{len(seen.start.tickets)} rows of the foreign key became {len(seen.now.tickets)}"
    for number, owner in seen.now.tickets.items():
        wanted = root(seen.now, seen.start.tickets[number])
        if root(seen.now, owner) != wanted:
            return f"ticket {number} belongs to {seen.call(wanted)} and names {seen.call(owner)}"
    having = {root(seen.now, each.guid) for each in seen.start.data} - {
        root(seen.now, one.guid) for one in seen.now.data
    }
    if having:
        return f"all data of {seen.call(min(having))} are gone"
    kept = {(root(seen.now, link.parent), root(seen.now, link.child)) for link in seen.now.links}
    lost = {(link.parent, link.child) for link in united(seen.now, seen.start.links)} - kept
    return f"the association of {' and '.join(map(seen.call, min(lost)))} is gone" if lost else None


def live_refs(seen: Seen) -> str | None:
    """Every reference that led to a live resource does so now: data, both ends of associations, foreign keys."""
    now, start = seen.now, seen.start
    named = [("a datum", datum.guid) for datum in now.data]
    named += [("the parent of an association", link.parent) for link in now.links]
    named += [("the child of an association", link.child) for link in now.links]
    named += [(f"the foreign key of ticket {number}", owner) for number, owner in now.tickets.items()]
    for what, guid in named:
        if guid not in now.live and guid in start.live:
            return f"{what} names {seen.call(guid)}, and that is not live any more"
    return None


def no_artifacts(seen: Seen) -> str | None:
    """No association to itself and no duplicate that merging made."""
    own = {link.id for link in seen.start.links if link.parent == link.child}
    for link in seen.now.links:
        if link.parent == link.child and link.id not in own:
            return f"{seen.call(link.parent)} is associated with itself"
    counts = Counter((link.parent, link.child) for link in seen.now.links)
    started = Counter((link.parent, link.child) for link in seen.start.links)
    for ends, count in counts.items():
        if count > max(1, started[ends]):
            return f"the association of {' and '.join(map(seen.call, ends))} stands there {count} times"
    return None


def newest_wins(seen: Seen) -> str | None:
    """Of the data of a class the newest survives."""
    if not _is_forest(seen.now):
        return None
    kept = {datum.guid: datum for datum in seen.now.data}
    for wanted in newest(seen.now, seen.start.data):
        found = kept.get(wanted.guid)
        if found is not None and found.value != wanted.value:
            return f"{seen.call(wanted.guid)} has the value {found.value!r}, and {wanted.value!r} is newer"
    return None


CHECKS: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        forest,
        target_live,
        no_shadow,
        same_type,
        monotone,
        lookup,
        confluent,
        conserved,
        live_refs,
        no_artifacts,
        newest_wins,
    )
}
"""By name, in the order in which they are asked. ``terminates`` is a check of walkers: see ``walkers``."""


def _is_forest(tables: Tables) -> bool:
    """Whether every guid has one current: for what is derived from it, that must hold first."""
    return all(current(tables, old)[0] is not None for old, _ in tables.merges)


def _told(seen: Seen, answer: tuple[Guid | None, int | None, str] | None) -> str:
    if answer is None:
        return "nothing"
    at, depth, status = answer
    return f"{seen.call(at)} at depth {depth}" if status == "ok" else f"{seen.call(at)} ({status})"


def _classes(everything: set[Guid], pairs: Sequence[tuple[Guid, Guid]]) -> dict[Guid, set[Guid]]:
    found = {guid: {guid} for guid in everything}
    for old, new in pairs:
        both = found.setdefault(old, {old}) | found.setdefault(new, {new})
        for guid in both:
            found[guid] = both
    return found
