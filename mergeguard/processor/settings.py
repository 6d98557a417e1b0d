"""Settings of the event processor: one typed value that holds together, and what follows from it.

Which there are is in ``settings_declared``, where they are read from in ``settings_file``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from mergeguard.core.events import Queue
from mergeguard.errors import UsageError
from mergeguard.processor.settings_declared import Declared
from mergeguard.processor.settings_entry import Entry, entry_of

LEGACY_FOLDERS: Final = ("EvtQFast", "EvtQLarge", "EvtQPriority", "EvtQSlow")
"""The folders of the time before events were registered; a file put there is still taken in."""
DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class Settings(Declared):
    """Every setting of the event processor, checked, with where each came from.

    Raises:
        UsageError: a value is out of its limits, or two of them contradict each other.
    """

    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    """By setting: ``environment MERGEGUARD_X``, ``FILE:LINE`` or ``default``."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """Remarks for people, such as a name in the file that looks mistyped."""

    def __post_init__(self) -> None:
        for entry in ENTRIES:
            _check(entry, getattr(self, entry.name))
        if not self.fast_queue_threshold <= self.slow_queue_threshold <= self.large_queue_threshold:
            raise UsageError(
                f"the thresholds of the queues do not ascend: {self._thresholds_in_words()}",
                hint="give FastQueueThreshold <= SlowQueueThreshold <= LargeQueueThreshold",
            )

    def origin(self, name: str) -> str:
        """Return where a value came from: ``environment MERGEGUARD_X``, ``FILE:LINE`` or ``default``."""
        return self.origins.get(name, DEFAULT)

    def _thresholds_in_words(self) -> str:
        names = ("fast_queue_threshold", "slow_queue_threshold", "large_queue_threshold")
        return ", ".join(f"{getattr(self, name)} ({name}, {self.origin(name)})" for name in names)

    @property
    def queue_folder(self) -> Path:
        """Folder of the payload files."""
        return self.event_queue_path / "EvtQueue"

    @property
    def inbox_folder(self) -> Path:
        """Folder that files are taken in from."""
        return self.event_queue_path / "EvtInbox"

    @property
    def legacy_folders(self) -> tuple[Path, ...]:
        """The old folders of the queues, which are inboxes now."""
        return tuple(self.event_queue_path / name for name in LEGACY_FOLDERS)

    @property
    def backup_folder(self) -> Path | None:
        """Folder of the dead events; a rooted path stands for itself."""
        folder = self.event_failure_backup_folder
        return None if folder is None else self.event_queue_path / folder

    @property
    def copy_folder(self) -> Path | None:
        """Folder of the copies; a rooted path stands for itself."""
        return None if self.event_copy_folder is None else self.event_queue_path / self.event_copy_folder

    @property
    def file_limit(self) -> int:
        """Most bytes of pending files; 0: no limit."""
        return self.max_file_queue_kb * 1024

    @property
    def lease(self) -> dt.timedelta:
        """How long a claim holds without being renewed."""
        return dt.timedelta(seconds=self.lease_seconds)

    @property
    def threads(self) -> Mapping[Queue, int]:
        """Workers of each queue."""
        counts = (self.priority_threads, self.fast_threads, self.normal_threads, self.slow_threads, self.large_threads)
        return dict(zip(Queue, counts, strict=True))


QueueSettings: TypeAlias = Settings
"""The same by the name that it has outside this package, where other things have settings too."""
ENTRIES: Final[tuple[Entry, ...]] = tuple(entry_of(one) for one in dataclasses.fields(Settings) if one.metadata)
"""Every setting there is, in the order of the reference page."""


def _check(entry: Entry, value: object) -> None:
    words = entry.outside(value) if isinstance(value, int | float | str) else None
    if words:
        raise UsageError(f"{entry.names[1]} cannot be {value}", hint=f"give {words}")
