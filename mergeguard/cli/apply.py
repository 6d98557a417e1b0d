"""``mergeguard apply``: a reviewed plan, carried out."""

from __future__ import annotations

from typing import Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.applying import Batch, Rate, Yes, ask, carry_out, options_of
from mergeguard.cli.options import Chosen, with_target

PLAN = typer.Argument(help="The plan's file; it names the database and the profile.", metavar="PLAN")


@with_target(profile=False, argument=PLAN)
def apply(
    chosen: Chosen,
    *,
    database: Annotated[
        str | None, typer.Option("--target", help="Another URL of the same database.", metavar="URL")
    ] = None,
    yes: Yes = False,
    rate: Rate = None,
    batch: Batch = None,
) -> None:
    """Carry out PLAN: one short transaction a component, journalled; 'mergeguard undo' takes it back.

    Every row is looked at again first: what changed since the plan was made stops it with exit 5. Interrupted or
    killed, the same call goes on where it ended.
    """
    from mergeguard import api
    from mergeguard.render.applied import applied_text
    from mergeguard.render.plan import plan_summary
    from mergeguard.storage.secrets import masked

    wanted = options_of(rate, batch)
    made = api.load_plan(chosen.target)
    if made.steps:
        terminal.say(plan_summary(made).rstrip("\n"))
        ask(made, yes=yes)
    done = carry_out(made, database, wanted, chosen.options, chosen.settings)
    terminal.write(applied_text(done, made.target.url if database is None else masked(database)), terminal.STDOUT)
