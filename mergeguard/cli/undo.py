"""``mergeguard undo``: a run, or one component of it, taken back to the byte."""

from __future__ import annotations

from typing import Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.applying import Yes
from mergeguard.cli.consent import consent
from mergeguard.cli.options import Chosen, with_target


@with_target()
def undo(
    chosen: Chosen,
    *,
    run: Annotated[str, typer.Argument(help="The run's id, or its first six characters or more.", metavar="RUN")],
    component: Annotated[
        str | None, typer.Option(help="Take back this component of the run alone.", metavar="ID")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the journal.", metavar="TEXT")] = "",
    yes: Yes = False,
) -> None:
    """Put back what a run of 'apply' or 'unmerge' changed in TARGET: every row as it was, or nothing at all."""
    from mergeguard import api
    from mergeguard.render.applied import undone_text

    found, _ = api.journal_run(chosen.target, run, chosen.profile, options=chosen.to_write)
    database = api.identify(chosen.target, chosen.profile, options=chosen.to_write).database
    what = f"component {component} of run {found.run_id}" if component else f"run {found.run_id}"
    doing = f"{what}, {found.kind} of {found.started:%Y-%m-%d %H:%M} UTC by {found.who}, will be taken back."
    consent(database, doing, yes=yes)
    with terminal.progress(chosen.settings) as port:
        done = api.undo(
            chosen.target,
            found.run_id,
            chosen.profile,
            component=component,
            reason=reason,
            options=chosen.to_write,
            progress=port,
        )
    terminal.write(undone_text(done), terminal.STDOUT)
