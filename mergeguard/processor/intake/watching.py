"""When to look into the inboxes: at once where the system tells of a change, and now and then anyway."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_STEP_MS: Final = 200
"""Changes that follow each other so closely are one."""

_log = logging.getLogger(__name__)


class FolderWatch:
    """Watches folders in a thread of its own; a folder that cannot be watched is still looked into now and then."""

    def __init__(self, folders: Sequence[Path], stop: threading.Event) -> None:
        self._folders = folders
        self._stop = stop
        self._changed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="inbox-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until so many seconds are over or something has changed; ``False``: it is time to end."""
        self._changed.wait(seconds)
        self._changed.clear()
        return not self._stop.is_set()

    def close(self) -> None:
        """End; ``stop`` is set already."""
        self._changed.set()
        self._thread.join()

    def _watch(self) -> None:
        from watchfiles import watch  # noqa: PLC0415 - comes with the extra `serve`

        try:
            for _ in watch(
                *self._folders,
                watch_filter=None,
                debounce=_STEP_MS,
                step=_STEP_MS // 4,
                stop_event=self._stop,
                rust_timeout=1_000,
                recursive=False,
                raise_interrupt=False,
            ):
                self._changed.set()
        except Exception as failure:  # noqa: BLE001 - a network folder, or no more watches: the rescan goes on
            _log.warning("the inboxes are not watched, only looked into", extra={"why": str(failure)})
