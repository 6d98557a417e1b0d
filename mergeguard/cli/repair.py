"""``mergeguard repair``: plan, show, ask, apply and verify in one call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.applying import Batch, Rate, Yes, ask, carry_out, options_of
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
    override: Decisions = None,
    accept_medium: AcceptMedium = False,
    allow_arbitrary: AllowArbitrary = False,
    component: Components = None,
    expires: Expires = EXPIRES,
    references: References = True,
    exit_zero: ExitZero = False,
    yes: Yes = False,
    rate: Rate = None,
    batch: Batch = None,
) -> None:
    """Plan the repair of TARGET, show the plan, ask, apply it and check. Exit 1 if a person must decide some of it."""
    pressing = options_of(rate, batch)
    if out is not None:
        require_free(out, chosen.target, force=False)
    wanted = plan_options_of(
        override=override,
        accept_medium=accept_medium,
        allow_arbitrary=allow_arbitrary,
        component=component,
        expires=expires,
        references=references,
    )
    made = _planned(chosen, wanted, out)
    if made.steps:
        _applied(chosen, made, pressing, yes=yes)
    raise typer.Exit(exit_code(made, exit_zero=exit_zero))


def _planned(chosen: Chosen, wanted: PlanOptions, out: Path | None) -> Plan:
    """Plan, keep the plan where it is wanted, and show it."""
    from mergeguard import api
    from mergeguard.integrity.scan import utc_now
    from mergeguard.render.plan import plan_text

    made = made_plan(chosen, wanted, to_apply=True)
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
