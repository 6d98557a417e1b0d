"""``mergeguard post``: events as an agent posts them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mergeguard.cli import crash, terminal
from mergeguard.errors import ExitCode, UsageError

_STDIN = "-"


def post(
    files: Annotated[list[str], typer.Argument(help="Files of one event each; '-' is stdin.", metavar="FILE")],
    url: Annotated[str, typer.Option(help="The server.", metavar="URL")] = "http://127.0.0.1:8080",
    source: Annotated[
        str | None, typer.Option(help="The agent that the events are of; none by default.", metavar="GUID")
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(help="0 to 4095; by default what the file's name says, or 0.", min=0, max=4095, metavar="NUMBER"),
    ] = None,
    patience: Annotated[
        str, typer.Option(help="How long to wait for a server that is busy or away; 0s: one try.", metavar="TIME")
    ] = "5m",
) -> None:
    """Post events to a server, in the order given, each as often as it takes; prints the id of each."""
    from mergeguard import api
    from mergeguard.storage.setting_values import seconds

    waiting = 0.0 if patience.strip() in {"0", "0s"} else seconds(patience)
    refused = 0
    for name in files:
        body = sys.stdin.buffer.read() if name == _STDIN else Path(name)
        try:
            said = api.post_event(body, url=url, source=source, priority=priority, patience=waiting)
        except UsageError as error:  # the next file may be a better one
            told = error.message.removeprefix(f"{name} ")  # what is wrong with the file begins with its name
            terminal.say(crash.clean(f"{name}: {told}"))
            refused += 1
        else:
            terminal.write(f"{name}: {said}\n", terminal.STDOUT)
    if refused:
        terminal.say(f"{refused} of {len(files)} refused")
        raise typer.Exit(ExitCode.USAGE)
