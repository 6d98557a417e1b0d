"""Whether the guids that a decision stands on are still live, or still not."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from mergeguard.core.repair.plan import Image, Step
from mergeguard.integrity.surroundings import Surroundings
from mergeguard.storage.profile import Live, Profile

if TYPE_CHECKING:
    from mergeguard.storage.database.stored_table import Condition
    from mergeguard.storage.rows.database import DatabaseRows


class Alive:
    """Asks for liveness within a transaction where the profile declares a table.

    A query cannot be asked for single guids: what it gave when the run began is held against the plan instead.
    """

    def __init__(self, profile: Profile, around: Surroundings) -> None:
        self._live = profile.live
        self._around = around

    def differences(self, rows: DatabaseRows, step: Step) -> tuple[str, ...]:
        """Return in words which candidates of a step were live in the plan and are not now, or the other way round."""
        told = _told(step)
        if not told or self._live is None:
            return ()
        live = self._now(rows, self._live, list(told))
        return tuple(
            f"{guid} was {_word(live=was)} for the plan and is {_word(live=guid in live)} now"
            for guid, was in told.items()
            if was != (guid in live)
        )

    def learn(self, rows: DatabaseRows, asked: Collection[uuid.UUID]) -> None:
        """Tell the surroundings which of some guids are live in a transaction, where it can be asked."""
        live = self._live
        if live is not None and live.table is not None:
            self._around.learn(asked, self._now(rows, live, list(asked)))

    def asking(self, rows: DatabaseRows, step: Step) -> Sequence[Condition]:
        """Return the question that ``differences`` is about to ask, to be sent along with others."""
        live = self._live
        if live is None or live.table is None or live.guid is None:
            return ()
        return rows.asking(live.table, live.guid, list(_told(step)))

    def _now(self, rows: DatabaseRows, live: Live, asked: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        if live.table is None or live.guid is None:
            return self._around.live(asked) or set()
        column = rows.column(live.table, live.guid)
        images = [image for image in rows.having(live.table, column, asked) if _meets(rows, live, image)]
        found = {rows.guid(live.table, column, image[column]) for image in images}
        return {guid for guid in found if guid is not None}


def _told(step: Step) -> dict[uuid.UUID, bool]:
    """Return what the plan's evidence says about who is live."""
    candidates = step.evidence.get("candidates", ())
    return {uuid.UUID(each["guid"]): each["live"] for each in candidates if each.get("live") is not None}


def _meets(rows: DatabaseRows, live: Live, image: Image) -> bool:
    """Say whether a row meets the profile's filters, which compare texts."""
    table = rows.table(str(live.table))
    cells = ((image[rows.column(str(live.table), column)], value) for column, value in live.where)
    return all(cell is not None and table.spoken(cell) == value for cell, value in cells)


def _word(*, live: bool) -> str:
    return "live" if live else "not live"
