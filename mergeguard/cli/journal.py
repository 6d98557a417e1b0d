"""``mergeguard journal``: who changed what, when, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.options import Chosen, with_target
from mergeguard.errors import UsageError

FORMATS = ("table", "json", "jsonl")


@with_target()
def journal(
    chosen: Chosen,
    *,
    run: Annotated[
        str | None,
        typer.Argument(help="Tell this run step by step: its id, or its first six characters.", metavar="RUN"),
    ] = None,
    format: Annotated[  # noqa: A002 - the flag
        str, typer.Option(help="table (default), json or jsonl.", metavar="FORMAT")
    ] = "table",
) -> None:
    """List what MergeGuard did to TARGET: runs with who, when and why; of one run, its steps with rule and rows."""
    from mergeguard import api
    from mergeguard.render.journal import run_text, runs_text

    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}", hint=f"the formats here are {', '.join(FORMATS)}")
    if run is None:
        text = runs_text(api.journal(chosen.target, chosen.profile, options=chosen.options), format)
    else:
        found, steps = api.journal_run(chosen.target, run, chosen.profile, options=chosen.options)
        kind = api.identify(chosen.target, chosen.profile, options=chosen.options).kind
        text = run_text(found, steps, kind, format)
    terminal.write(text, terminal.STDOUT)
