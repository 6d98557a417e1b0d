"""``mergeguard repair``: plan, show, ask, apply and verify in one call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.applying import Batch, Rate, Yes, ask, carry_out, options_of
from mergeguard.cli.options import Chosen, with_target
from mergeguard.cli.plan import duration, overrides_of, require_free
from mergeguard.errors import ExitCode

if TYPE_CHECKING:  # a help page needs none of these
    from mergeguard.core.repair.plan import Plan
    from mergeguard.integrity.apply import ApplyOptions
    from mergeguard.integrity.planning import PlanOptions


@with_target()
def repair(  # noqa: PLR0913 - one parameter a flag
    chosen: Chosen,
    *,
    out: Annotated[
        Path | None, typer.Option(help="File to keep the plan in; never overwritten.", metavar="FILE")
    ] = None,
    override: Annotated[
        Path | None,
        typer.Option(help="CSV file of what a person decided: component,survivor,who,why.", metavar="FILE"),
    ] = None,
    accept_medium: Annotated[
        bool, typer.Option("--accept-medium", help="Let two agreeing pieces of medium evidence decide.")
    ] = False,
    allow_arbitrary: Annotated[
        bool,
        typer.Option("--allow-arbitrary", help="Where nothing speaks for any guid, take the first in text order."),
    ] = False,
    component: Annotated[
        list[str] | None, typer.Option(help="Repair this component alone; repeatable.", metavar="ID")
    ] = None,
    expires: Annotated[
        str, typer.Option(help="How long you may take to answer, e.g. 2h or 7d.", metavar="TIME")
    ] = "24h",
    references: Annotated[
        bool,
        typer.Option("--references/--no-references", help="Re-point stale references too (default), or not."),
    ] = True,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit 0 even if something was refused.")] = False,
    yes: Yes = False,
    rate: Rate = None,
    batch: Batch = None,
) -> None:
    """Plan the repair of TARGET, show the plan, ask, apply it and check. Exit 1 if a person must decide some of it."""
    from mergeguard.integrity.planning import PlanOptions

    pressing = options_of(rate, batch)
    if out is not None:
        require_free(out, chosen.target, force=False)
    wanted = PlanOptions(
        accept_medium=accept_medium,
        allow_arbitrary=allow_arbitrary,
        overrides=overrides_of(override),
        references=references,
        expires_in=duration(expires),
        only=tuple(component or ()),
    )
    made = _planned(chosen, wanted, out)
    if made.steps:
        _applied(chosen, made, pressing, yes=yes)
    raise typer.Exit(ExitCode.FINDINGS if made.refused and not exit_zero else ExitCode.CLEAN)


def _planned(chosen: Chosen, wanted: PlanOptions, out: Path | None) -> Plan:
    """Plan, keep the plan where it is wanted, and show it."""
    from mergeguard import api
    from mergeguard.integrity.scan import utc_now
    from mergeguard.render.plan import plan_text

    with terminal.progress(chosen.settings) as port:
        made = api.plan(chosen.target, chosen.profile, plan_options=wanted, options=chosen.to_write, progress=port)
    if out is not None:
        api.save_plan(made, out)
    text = plan_text(made, terminal.colours(chosen.settings), terminal.width(), now=utc_now())
    terminal.write(text, terminal.STDOUT)
    return made


def _applied(chosen: Chosen, made: Plan, pressing: ApplyOptions, *, yes: bool) -> None:
    """Ask, apply and say what was done."""
    from mergeguard.render.applied import applied_text

    ask(made, yes=yes)
    done = carry_out(made, chosen.target, pressing, chosen.to_write, chosen.settings)
    terminal.write("\n" + applied_text(done, made.target.url), terminal.STDOUT)
