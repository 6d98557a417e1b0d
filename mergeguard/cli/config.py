"""``mergeguard config show|queue``: which settings are in force, and where each came from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mergeguard.cli import help, terminal  # noqa: A004 - the module of the help pages
from mergeguard.cli.options import CONFIG_HELP, settings_from

app = typer.Typer(help="Show the settings in force.", cls=help.Group, rich_markup_mode=None)


@app.command("show", cls=help.Command)
def show(
    *,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
    config: Annotated[Path | None, typer.Option(help=CONFIG_HELP, metavar="FILE")] = None,
) -> None:
    """Show every setting: flags over environment (MERGEGUARD_*) over mergeguard.toml over defaults."""
    from mergeguard.render.checks import settings_text

    terminal.write(settings_text(settings_from({}, config), origin=origin), terminal.STDOUT)


@app.command("queue", cls=help.Command)
def queue(
    *,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
    config: Annotated[Path | None, typer.Option(help=CONFIG_HELP, metavar="FILE")] = None,
    core_settings: Annotated[
        Path | None,
        typer.Option("--core-settings", help="CoreSettings.config with the processor's settings.", metavar="FILE"),
    ] = None,
) -> None:
    """Show every setting of the event processor: environment over mergeguard.toml over CoreSettings.config."""
    from mergeguard import api
    from mergeguard.render.queue import settings_text

    settings = api.queue_settings(config, core_settings)
    for note in settings.notes:
        terminal.say(f"note: {note}")
    terminal.write(settings_text(settings, origin=origin), terminal.STDOUT)
