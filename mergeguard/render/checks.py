"""Small answers as text: what the doctor found, the settings in force, what the demo made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mergeguard.render.table import aligned
from mergeguard.render.text import columns, visible
from mergeguard.storage.settings import SETTINGS, Settings

if TYPE_CHECKING:
    from mergeguard.integrity.demo import DemoResult


def checks_text(rows: Sequence[tuple[str, str, bool]]) -> str:
    """List the doctor's checks, each that is not fine marked, and end with the verdict."""
    width = max((columns(visible(check)) for check, _, _ in rows), default=0)
    lines = [
        f"{'ok ' if fine else 'BAD'}  {visible(check)}{' ' * (width - columns(visible(check)))}  {visible(found)}"
        for check, found, fine in rows
    ]
    bad = sum(not fine for _, _, fine in rows)
    verdict = f"{bad} of {len(rows)} checks would stop a scan" if bad else "nothing would stop a scan"
    return "\n".join([*lines, "", verdict]) + "\n"


def settings_text(settings: Settings, *, origin: bool) -> str:
    """List every setting and its value, with ``origin`` also where it came from."""
    rows = []
    for setting in SETTINGS:
        value = getattr(settings, setting.name)
        rows.append((setting.name, visible(_shown(value)) or "-", settings.origin(setting.name)))
    if origin:
        return aligned(rows, ("setting", "value", "from"))
    return aligned([row[:2] for row in rows], ("setting", "value"))


def _shown(value: object) -> str:
    """Spell a value as one would give it: durations in seconds, truth in small letters."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.15g}s"
    return "-" if value is None else str(value)


def demo_text(made: DemoResult) -> str:
    """Say what the demo made and what to try on it."""
    return (
        f"{made.database}: {made.merges} merges, {made.live} live guids, profile {made.profile}\n"
        f"try: mergeguard scan {made.database}\n"
        f"     mergeguard explain {made.database} {made.example}    ({made.example_name})\n"
        f"     mergeguard lookup build {made.database}\n"
    )
