"""``mergeguard plan``: what a repair would do, written into a file for a person to review."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.options import Chosen, with_target
from mergeguard.cli.planning import (
    EXPIRES,
    AcceptMedium,
    AllowArbitrary,
    Components,
    Decisions,
    ExitZero,
    Expires,
    References,
    exit_code,
    made_plan,
    plan_options_of,
    require_free,
)


@with_target()
def plan(  # noqa: PLR0913 - one parameter a flag
    chosen: Chosen,
    *,
    out: Annotated[Path, typer.Option(help="File for the plan; never overwritten without --force.", metavar="FILE")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    override: Decisions = None,
    accept_medium: AcceptMedium = False,
    allow_arbitrary: AllowArbitrary = False,
    component: Components = None,
    expires: Expires = EXPIRES,
    references: References = True,
    exit_zero: ExitZero = False,
) -> None:
    """Write down how TARGET would be repaired; nothing is changed. Exit 1 if a person must decide some of it."""
    from mergeguard import api
    from mergeguard.render.plan import plan_summary

    require_free(out, chosen.target, force=force)
    wanted = plan_options_of(
        override=override,
        accept_medium=accept_medium,
        allow_arbitrary=allow_arbitrary,
        component=component,
        expires=expires,
        references=references,
    )
    made = made_plan(chosen, wanted, to_apply=False)
    if made.steps or made.refused:
        api.save_plan(made, out, replace=force)
    coloured = terminal.colours(chosen.settings)
    terminal.write(plan_summary(made, colour=coloured, width=terminal.width()), terminal.STDOUT)
    raise typer.Exit(exit_code(made, exit_zero=exit_zero))
