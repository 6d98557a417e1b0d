"""Small answers as text: what the doctor found, the settings in force, what the demo made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mergeguard.render.table import aligned
from mergeguard.render.text import visible
from mergeguard.storage.settings import SETTINGS, Settings

if TYPE_CHECKING:
    from mergeguard.integrity.demo import DemoResult


def checks_text(rows: Sequence[tuple[str, str, bool]]) -> str:
    """List the doctor's checks; a line that is not fine is marked."""
    return aligned(
        [("ok" if fine else "BAD", visible(check), visible(found)) for check, found, fine in rows],
        ("", "check", "found"),
    )


def settings_text(settings: Settings, *, origin: bool) -> str:
    """List every setting and its value, with ``origin`` also where it came from."""
    rows = []
    for setting in SETTINGS:
        value = getattr(settings, setting.name)
        shown = "-" if value is None else ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        rows.append((setting.name, visible(shown) or "-", settings.origin(setting.name)))
    if origin:
        return aligned(rows, ("setting", "value", "from"))
    return aligned([row[:2] for row in rows], ("setting", "value"))


def demo_text(made: DemoResult) -> str:
    """Say what the demo made and what to try on it."""
    return (
        f"{made.database}: {made.merges} merges, {made.live} live guids, profile {made.profile}\n"
        f"try: mergeguard scan {made.database}\n"
        f"     mergeguard explain {made.database} {made.example}    ({made.example_name})\n"
        f"     mergeguard lookup build {made.database}\n"
    )
