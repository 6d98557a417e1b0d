"""``mergeguard history``: what is new, fixed and recurring since the nights before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.options import CONFIG_HELP, settings_from
from mergeguard.errors import UsageError


def history(
    target: Annotated[
        str | None, typer.Argument(help="Target as it was scanned; without it all are listed.", metavar="TARGET")
    ] = None,
    *,
    history: Annotated[str | None, typer.Option("--history", help="History file.", metavar="FILE")] = None,
    nights: Annotated[
        int,
        typer.Option(help="How many nights to show; 14 by default.", min=1, max=10_000, metavar="NUMBER"),
    ] = 14,
    config: Annotated[Path | None, typer.Option(help=CONFIG_HELP, metavar="FILE")] = None,
) -> None:
    """Show the nights that 'scan --remember' kept: counts, and which findings are new, fixed or recurring."""
    from mergeguard.integrity import history as kept
    from mergeguard.render.nights import nights_text, targets_text

    settings = settings_from({"history": history}, config)
    if settings.history is None:
        raise UsageError("no history is kept", hint='give --history FILE, or take history = "none" out')
    if target is None:
        terminal.write(targets_text(kept.targets(settings.history)), terminal.STDOUT)
        return
    name = _as_reported(target)
    text = nights_text(name, kept.nights(settings.history, name, nights), kept.trend(settings.history, name))
    terminal.write(text, terminal.STDOUT)


def _as_reported(target: str) -> str:
    """Return how a scan's report calls a target: ``tz.db`` is ``sqlite:///tz.db`` there. Nothing is opened."""
    from contextlib import closing

    from mergeguard.storage.profile import Profile
    from mergeguard.storage.secrets import masked
    from mergeguard.storage.targets import open_target

    try:
        with closing(open_target(target, Profile())) as source:
            return source.info.target
    except UsageError:
        return masked(target)  # no target by now, but it may have been one, or have been typed from the list
