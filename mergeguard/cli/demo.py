"""``mergeguard demo``: a small database with real merges to try everything on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mergeguard.cli import terminal


def demo(
    *,
    dir: Annotated[  # noqa: A002 - the flag
        Path, typer.Option(help="Folder to make it in; mergeguard-demo by default.", metavar="FOLDER")
    ] = Path("mergeguard-demo"),
    story: Annotated[
        bool,
        typer.Option("--story", help="Tell the whole story on a server of its own: merges, a circle, parked events."),
    ] = False,
) -> None:
    """Create an SQLite database with the reference schema and the merges of the tz history, three real cycles in it."""
    if story:
        from mergeguard.cli.story import tell

        tell(dir)
        return
    from mergeguard import api
    from mergeguard.render.checks import demo_text

    terminal.write(demo_text(api.make_demo(dir)), terminal.STDOUT)
