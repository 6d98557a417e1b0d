"""``mergeguard config show``: which settings are in force, and where each came from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mergeguard.cli import help, terminal  # noqa: A004 - the module of the help pages
from mergeguard.cli.options import CONFIG_HELP, settings_from

app = typer.Typer(help="Show the settings in force.", cls=help.Group, rich_markup_mode=None)


@app.callback()
def _config() -> None:
    """Keep ``show`` a word of its own."""


@app.command("show", cls=help.Command)
def show(
    *,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
    config: Annotated[Path | None, typer.Option(help=CONFIG_HELP, metavar="FILE")] = None,
) -> None:
    """Show every setting: flags over environment (MERGEGUARD_*) over mergeguard.toml over defaults."""
    from mergeguard.render.checks import settings_text

    terminal.write(settings_text(settings_from({}, config), origin=origin), terminal.STDOUT)
