"""``EventCopyFolder``: each event is copied before it is processed, for people who want to look at what came in."""

from __future__ import annotations

import logging
from pathlib import Path

from mergeguard.core.events import Event
from mergeguard.errors import MergeGuardError
from mergeguard.processor.backup_files import write_event

_log = logging.getLogger(__name__)


def copy_event(event: Event, body: bytes, folder: Path) -> bool:
    """Copy an event; a try that comes again finds its copy and leaves it.

    A copy is for looking at: where it cannot be written the log says so and the event is processed all the same.
    """
    try:
        write_event(event, body, folder, "the copy of an event")
    except (MergeGuardError, OSError) as error:
        _log.warning("an event was not copied", extra={"event": event.id, "why": str(error)})
        return False
    return True
