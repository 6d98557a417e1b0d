"""What becomes of the rows of two resources that become one: the newest datum stays, and of links no more than may.

Built on ``core.repair.references``; here a row of the survivor itself may give way to a newer one.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mergeguard.core.repair.plan import Action, RowChange
from mergeguard.core.repair.references import Fate, Held, Place, Rewrite, Spell, beaten, rewrite

Most: TypeAlias = Callable[[Held], int | None]
"""A link -> how many of its type one parent may have; ``None`` for any number."""


@dataclass(frozen=True, slots=True)
class Links:
    """What a table of links needs beside its place."""

    parent: str
    type: str
    most: Most


@dataclass(frozen=True, slots=True)
class Outdated:
    """All rows of one of the two resources go: the other's were loaded later, as a whole."""

    column: str
    """Says whose data a row is."""
    guid: uuid.UUID
    """Whose rows go: the old root or the new one."""


@dataclass(frozen=True, slots=True)
class Survived:
    """What becomes of the rows of one table."""

    moved: tuple[Rewrite, ...]
    """Rows of the old root, without those that are outnumbered."""
    outnumbered: tuple[Rewrite, ...] = ()
    """Links of the old root beyond the most that are allowed; they are deleted."""
    replaced: tuple[Rewrite, ...] = ()
    """Rows of the new root that give way to newer ones; they are deleted."""

    @property
    def every(self) -> tuple[Rewrite, ...]:
        """All of them."""
        return (*self.moved, *self.outnumbered, *self.replaced)

    @property
    def changes(self) -> list[RowChange]:
        """The changes in an order that no unique key minds: rows go before others take their place."""
        kept = {id(made.into): made.into for made in self.moved if made.into and made.into.action is Action.KEEP}
        gone = [made.change for made in self.every if made.change.after is None]
        doomed = {_name(change) for change in gone}
        stay = {_name(into): into for into in kept.values() if _name(into) not in doomed}
        return [*stay.values(), *gone, *(made.change for made in self.every if made.change.after is not None)]


def survive(
    place: Place,
    rows: Sequence[Held],
    old: uuid.UUID,
    new: uuid.UUID,
    spell: Spell,
    links: Links | None = None,
    outdated: Outdated | None = None,
) -> Survived:
    """Say what becomes of each row that holds ``old``, and which rows of ``new`` give way.

    ``rows`` are all that hold ``old``, and all that hold ``new`` in a column that ``place.unique`` or ``outdated``
    names.
    """
    late = [] if outdated is None else sorted((held for held in rows if _is(outdated, held)), key=_of_image)
    rows = rows if outdated is None else [held for held in rows if not _is(outdated, held)]
    gone = beaten(place, rows, {old: new})
    kept = [held for at, held in enumerate(rows) if at not in gone]
    replaced = tuple(_replaced(place, rows[at]) for at in sorted(gone))
    moved = rewrite(place, kept, {old: new}, spell)
    if outdated is not None and outdated.guid == old:
        moved = (*moved, *(_outdated(place, held, old, new) for held in late))
    elif outdated is not None:
        replaced = (*replaced, *(_replaced(place, held) for held in late))
    if links is None:
        return Survived(moved, (), replaced)
    return _counted(place, kept, Survived(moved, (), replaced), new, links)


def _counted(place: Place, kept: Sequence[Held], found: Survived, new: uuid.UUID, links: Links) -> Survived:
    """Keep of the links that the new root is the parent of only the newest, as many as there may be of each type."""
    by_image = {_image(held.image): held for held in kept}
    own = [held for held in kept if held.guids.get(links.parent) == new and not _is_moved(held, found)]
    arrived = [made for made in found.moved if made.fate is Fate.CHANGED and links.parent in made.stale]
    outnumbered: list[Rewrite] = []
    replaced = list(found.replaced)
    groups: dict[object, list[tuple[Held, Rewrite | None]]] = {}
    for held in own:
        groups.setdefault(_type(held, links), []).append((held, None))
    for made in arrived:
        held = by_image[_image(made.change.before or {})]
        groups.setdefault(_type(held, links), []).append((held, made))
    for group in groups.values():
        most = links.most(group[0][0])
        if not most or all(made is None for _, made in group):
            continue
        # Of equally new links those of the survivor stay.
        ranked = sorted(group, key=lambda each: _image(each[0].image))
        ranked.sort(key=lambda each: (each[0].age, each[1] is None), reverse=True)
        replaced += [_replaced(place, held) for held, made in ranked[most:] if made is None]
        outnumbered += [_outnumbered(made) for _, made in ranked[most:] if made is not None]
    dropped = {_name(made.change) for made in outnumbered}
    moved = tuple(made for made in found.moved if made.fate is not Fate.CHANGED or _name(made.change) not in dropped)
    return Survived(moved, tuple(outnumbered), tuple(replaced))


def _is_moved(held: Held, found: Survived) -> bool:
    return any(made.change.before is held.image for made in found.moved)


def _type(held: Held, links: Links) -> object:
    return held.guids.get(links.type, held.image[links.type])


def _replaced(place: Place, held: Held) -> Rewrite:
    change = RowChange(Action.COLLAPSE, place.table, held.image, None)
    return Rewrite(change, Fate.COLLAPSED, {}, frozenset(held.guids.values()))


def _outnumbered(made: Rewrite) -> Rewrite:
    change = RowChange(Action.COLLAPSE, made.change.table, made.change.before, None)
    return Rewrite(change, Fate.COLLAPSED, made.stale, made.guids)


def _is(outdated: Outdated, held: Held) -> bool:
    return held.guids.get(outdated.column) == outdated.guid


def _outdated(place: Place, held: Held, old: uuid.UUID, new: uuid.UUID) -> Rewrite:
    change = RowChange(Action.COLLAPSE, place.table, held.image, None)
    stale = {column: (old, new) for column in place.columns if held.guids.get(column) == old}
    return Rewrite(change, Fate.COLLAPSED, stale, frozenset((*held.guids.values(), new)))


def _of_image(held: Held) -> str:
    return _image(held.image)


def _name(change: RowChange) -> tuple[str, str]:
    return change.table, _image(change.before or {})


def _image(image: Mapping[str, str | None]) -> str:
    return json.dumps(sorted(image.items()))
