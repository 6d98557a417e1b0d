"""``mergeguard resolve``: what is each of these guids now?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.options import Chosen, ListFormats, with_target
from mergeguard.errors import ExitCode, UsageError

MAX_LINE = 4096
"""Characters of a line on stdin; a longer one is no id."""


@with_target()
def resolve(
    chosen: Chosen,
    *,
    guid: Annotated[
        list[str], typer.Argument(help="Guids in any usual spelling; '-' reads one a line from stdin.", metavar="GUID")
    ],
    format: ListFormats = None,  # noqa: A002 - the flag
    output: Annotated[
        list[Path] | None, typer.Option(help="File for the answers ('-': stdout).", metavar="FILE")
    ] = None,
) -> None:
    """Answer guid, current, depth and status for each guid; exit 1 if any has no current guid to act on."""
    from mergeguard import api, render

    wanted = terminal.pair_outputs(format or [], output or [], render.RESOLVED_FORMATS, "table")
    terminal.require_places([path for _, path in wanted], chosen.target)
    asked = [text for argument in guid for text in (_from_stdin() if argument == "-" else [argument])]
    with terminal.progress(chosen.settings) as port:
        answers = api.resolve(chosen.target, asked, chosen.profile, options=chosen.options, progress=port)
    rows = [(a.asked, a.guid, a.current, a.depth, a.status) for a in answers]
    for name, path in wanted:
        terminal.write(render.render_resolved(rows, name), path)
    raise typer.Exit(ExitCode.CLEAN if all(a.settled for a in answers) else ExitCode.FINDINGS)


def _from_stdin() -> list[str]:
    try:
        lines = sys.stdin.read().splitlines()
    except UnicodeDecodeError:
        raise UsageError("stdin is not text", hint="give one guid a line, in UTF-8") from None
    return [line.strip()[:MAX_LINE] for line in lines if line.strip()]
