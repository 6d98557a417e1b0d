"""``mergeguard serve``: the server of the event queue."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from mergeguard.cli import crash, terminal
from mergeguard.cli.options import Chosen, with_target
from mergeguard.errors import ExitCode, UsageError

_TARGET: Any = typer.Argument(
    help="Database of the queue: a URL (sqlite://, postgresql://, mssql+pyodbc://) or a .db file.", metavar="TARGET"
)
_LEVELS = ("debug", "info", "warning", "error")


@with_target(profile=False, argument=_TARGET)
def serve(  # noqa: PLR0913 - one parameter a flag
    chosen: Chosen,
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; this machine alone by default.", metavar="ADDRESS")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 is any that is free.", min=0, max=65_535, metavar="NUMBER")
    ] = 8080,
    intake_only: Annotated[bool, typer.Option("--intake-only", help="Take events in, handle none.")] = False,
    workers_only: Annotated[bool, typer.Option("--workers-only", help="Handle events, take none in.")] = False,
    handler: Annotated[
        str,
        typer.Option(
            help="What is done with events: import (default) into the reference schema, or store them.", metavar="KIND"
        ),
    ] = "import",
    core_settings: Annotated[
        Path | None,
        typer.Option("--core-settings", help="CoreSettings.config with the processor's settings.", metavar="FILE"),
    ] = None,
    log_level: Annotated[
        str, typer.Option(help="Least that is logged: debug, info (default), warning, error.", metavar="LEVEL")
    ] = "info",
) -> None:
    """Take events in over HTTP and from folders, and handle them, until SIGTERM or Ctrl-C; its tables are in TARGET."""
    from mergeguard import api
    from mergeguard.processor.logs import json_lines

    if log_level not in _LEVELS:
        raise UsageError(f"unknown log level {log_level!r}", hint=f"give one of {', '.join(_LEVELS)}")
    stop = threading.Event()
    with json_lines(sys.stderr, crash.clean, log_level), _stopped_by_signals(stop):
        ended = api.serve(
            chosen.target,
            stop,
            host=None if workers_only else host,
            port=port,
            workers=not intake_only,
            handler=handler,
            config=chosen.config,
            core_settings=core_settings,
            options=chosen.options,
        )
    if not ended:
        terminal.say("some events were still running at the end of StopSeconds; their leases will be taken over")
        raise typer.Exit(ExitCode.INCOMPLETE)


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Set ``stop`` at the first signal; a second one ends the process on the spot, and loses nothing by it."""

    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED)
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
