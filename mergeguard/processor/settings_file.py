"""The settings in force: read from their files and the environment, and read again when a file has changed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from mergeguard.errors import UsageError
from mergeguard.processor.settings import Settings
from mergeguard.processor.settings_given import Given, from_core_settings, from_environment, from_toml

USUAL: Final = "mergeguard.toml"
CORE_SETTINGS: Final = "MERGEGUARD_CORE_SETTINGS"
"""The variable that names a ``CoreSettings.config``."""
ONLY_AT_START: Final = ("event_queue_path",)
"""What a running server keeps: its files lie there."""
_log = logging.getLogger(__name__)
_Stamp: TypeAlias = tuple[int, int, int] | None


def read_settings(files: Sequence[Path] = (), environ: Mapping[str, str] | None = None) -> Settings:
    """Bring the environment and files together.

    Args:
        files: the stronger ones first; each is TOML (``.toml``: its table ``event_queue``) or else XML of the kind of
            ``CoreSettings.config``.
        environ: stronger than every file.

    Raises:
        UsageError: a file cannot be read, a name is unknown, a value does not fit, or two contradict each other.
    """
    places = [from_environment(environ or {}, Path.cwd()), *map(_from_file, files)]
    together = Given()
    for place in reversed(places):
        together.values.update(place.values)
        together.origins.update(place.origins)
    notes = tuple(note for place in places for note in place.notes)
    return Settings(**together.values, origins=together.origins, notes=notes)


def files_of(
    environ: Mapping[str, str], cwd: Path, config: Path | None = None, core_settings: Path | None = None
) -> tuple[Path, ...]:
    """Return the files to read, the stronger first: TOML, then the one of XML.

    ``config`` stands in place of ``mergeguard.toml`` of the current folder, ``core_settings`` in place of what
    ``MERGEGUARD_CORE_SETTINGS`` names.
    """
    toml = cwd / (config or USUAL)
    named = core_settings or environ.get(CORE_SETTINGS)
    files = [toml] if config is not None or toml.is_file() else []
    return (*files, cwd / named) if named else tuple(files)


class SettingsFile:
    """Settings that follow their files while a server runs. Safe to use from several threads.

    A file that turns bad, or away, does not stop a server: the last good settings stay in force, and ``complaint``
    says what is wrong until it is mended.
    """

    def __init__(
        self,
        files: Sequence[Path] = (),
        environ: Mapping[str, str] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the settings.

        Args:
            files: as ``read_settings`` takes them.
            environ: likewise.
            clock: seconds that only grow; files are looked at every ``settings_interval_seconds``.

        Raises:
            UsageError: as ``read_settings``.
        """
        self._files = tuple(files)
        self._environ = dict(environ or {})
        self._clock = clock
        self._lock = threading.Lock()
        self._stamps = self._look()
        self._looked = clock()
        self._settings = read_settings(self._files, self._environ)
        self._complaint: str | None = None

    @property
    def complaint(self) -> str | None:
        """Why the newest files are not in force; ``None`` where they are."""
        return self._complaint

    def current(self) -> Settings:
        """Return the settings in force, read again when a file has changed since it was last looked at."""
        with self._lock:
            if self._clock() - self._looked >= self._settings.settings_interval_seconds:
                self._refresh()
            return self._settings

    def _refresh(self) -> None:
        self._looked = self._clock()
        stamps = self._look()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            self._settings = self._kept(read_settings(self._files, self._environ))
            self._complaint = None
            _log.info("settings are read again", extra={"notes": list(self._settings.notes)})
        except UsageError as error:
            self._complaint = f"{error.message}; the settings from before stay in force"
            _log.error("settings are wrong", extra={"why": self._complaint})

    def _kept(self, settings: Settings) -> Settings:
        """Leave as it was what only a new start may change, and say so."""
        notes = settings.notes
        for name in ONLY_AT_START:
            if getattr(settings, name) != getattr(self._settings, name):
                notes += (f"{settings.origin(name)}: {name} changes at the next start",)
        return replace(settings, notes=notes, event_queue_path=self._settings.event_queue_path)

    def _look(self) -> tuple[_Stamp, ...]:
        """Return what tells that a file has changed, read before the file itself: a change in between is seen next."""
        return tuple(map(_stamp, self._files))


def _from_file(path: Path) -> Given:
    return from_toml(path) if path.suffix.lower() == ".toml" else from_core_settings(path)


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
