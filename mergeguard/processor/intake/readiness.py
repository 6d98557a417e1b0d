"""Whether this server can take events in now: its database answers, its folders can be written, nobody stopped it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio.to_thread

from mergeguard.errors import MergeGuardError
from mergeguard.processor.intake.payloads import writable
from mergeguard.storage.queue.store import EventStore

OK: Final = "ok"
_PATIENCE: Final = 5.0
"""Seconds until a database that does not answer counts as away."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Readiness:
    """Looks after the parts; any number of questions at once cost one look."""

    store: EventStore
    folder: Path
    """Of the payload files."""
    closed: Callable[[], str | None]
    """Why no posts are taken in."""
    patience: float = _PATIENCE
    _look: asyncio.Task[str] | None = field(default=None, init=False)

    async def parts(self) -> Mapping[str, str]:
        """Return what each part is like: ``ok``, or what is wrong, in words."""
        folder = await anyio.to_thread.run_sync(writable, self.folder)
        return {
            "database": await self._database(),
            "folder": OK if folder else "cannot be written",
            "server": self.closed() or OK,
        }

    async def _database(self) -> str:
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(anyio.to_thread.run_sync(self._asked))
        try:
            return await asyncio.wait_for(asyncio.shield(self._look), self.patience)
        except TimeoutError:
            return "does not answer"

    def _asked(self) -> str:
        try:
            self.store.now()
        except MergeGuardError as failure:
            _log.debug("the database is not ready", extra={"error": failure.id, "why": failure.message})
            return failure.id
        return OK
