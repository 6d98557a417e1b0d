"""``mergeguard explain``: the story of one guid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.options import Chosen, with_target


@with_target()
def explain(
    chosen: Chosen,
    *,
    guid: Annotated[str, typer.Argument(help="The guid, in any usual spelling.", metavar="GUID")],
    format: Annotated[  # noqa: A002 - the flag
        list[str] | None, typer.Option(help="table (words, default), json, markdown, svg or dot.", metavar="FORMAT")
    ] = None,
    output: Annotated[
        list[Path] | None, typer.Option(help="File for the answer ('-': stdout).", metavar="FILE")
    ] = None,
) -> None:
    """Say in words, as a path and as a picture where one guid of TARGET leads and why."""
    from mergeguard import api, render

    wanted = terminal.pair_outputs(format or [], output or [], render.EXPLANATION_FORMATS, "table")
    terminal.require_places([path for _, path in wanted], chosen.target)
    with terminal.progress(chosen.settings) as port:
        answer = api.explain(chosen.target, guid, chosen.profile, options=chosen.options, progress=port)
    for name, path in wanted:
        terminal.write(render.render_explanation(answer, name), path)
