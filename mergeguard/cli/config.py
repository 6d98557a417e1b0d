"""``mergeguard config show``: which settings are in force, and where each came from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.options import settings_from

app = typer.Typer(help="The settings in force.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _config() -> None:
    """Keep ``show`` a word of its own."""


@app.command("show")
def show(
    *,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
    config: Annotated[Path | None, typer.Option(help="Settings file instead of mergeguard.toml.")] = None,
) -> None:
    """Show every setting: flags over environment (MERGEGUARD_*) over mergeguard.toml over defaults."""
    from mergeguard.render.checks import settings_text

    terminal.write(settings_text(settings_from({}, config), origin=origin), terminal.STDOUT)
