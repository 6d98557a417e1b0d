"""``mergeguard guard install|status|prove|remove``: a trigger that refuses what would damage the merges."""

from __future__ import annotations

from typing import Annotated

import typer

from mergeguard.cli import help, terminal  # noqa: A004 - the module of the help pages
from mergeguard.cli.consent import consent
from mergeguard.cli.options import Chosen, with_target
from mergeguard.errors import ExitCode

app = typer.Typer(
    help="Install, look at, try or remove the guard: a trigger that refuses cycles, whoever writes them.",
    cls=help.Group,
    rich_markup_mode=None,
)
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the SQL and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("install", cls=help.Command)
@with_target()
def install(
    chosen: Chosen,
    *,
    constraints: Annotated[
        bool,
        typer.Option("--constraints", help="Also add a unique index, a CHECK and foreign keys, where they can be."),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Put a trigger on the merge table of TARGET that refuses cycles, self-merges and second merges of a guid.

    It touches the merge table itself, and asks before it does. Run it again after an upgrade of MergeGuard.
    """
    from mergeguard import api
    from mergeguard.render.guard import installed_text, script_text

    found = api.propose_guard_install(chosen.target, chosen.profile, constraints=constraints, options=chosen.options)
    if dry_run:
        terminal.write(script_text(found), terminal.STDOUT)
        return
    if found.needed:
        also = ", and constraints" if constraints else ""
        _ask(chosen, f"a trigger will be put on {found.table}{also}, and a table of one row beside it", yes=yes)
        found = api.guard_install(chosen.target, chosen.profile, constraints=constraints, options=chosen.to_write)
    terminal.write(installed_text(found), terminal.STDOUT)


@app.command("status", cls=help.Command)
@with_target()
def status(chosen: Chosen) -> None:
    """Read from the catalogue of TARGET whether the guard stands, enabled and unaltered; exit 1 if not."""
    from mergeguard import api
    from mergeguard.render.guard import status_text

    found = api.guard_status(chosen.target, chosen.profile, options=chosen.options)
    terminal.write(status_text(found), terminal.STDOUT)
    raise typer.Exit(ExitCode.CLEAN if found.ok else ExitCode.FINDINGS)


@app.command("prove", cls=help.Command)
@with_target()
def prove(chosen: Chosen) -> None:
    """Try to write cycles into TARGET and take all of it back; exit 1 if any of them was let through."""
    from mergeguard import api
    from mergeguard.render.guard import proof_text

    found = api.guard_prove(chosen.target, chosen.profile, options=chosen.to_write)
    terminal.write(proof_text(found), terminal.STDOUT)
    raise typer.Exit(ExitCode.CLEAN if found.holds else ExitCode.FINDINGS)


@app.command("remove", cls=help.Command)
@with_target()
def remove(chosen: Chosen, *, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Take the guard off the merge table of TARGET, and nothing that is not its own."""
    from mergeguard import api
    from mergeguard.render.guard import removed_text, script_text

    found = api.propose_guard_removal(chosen.target, chosen.profile, options=chosen.options)
    if dry_run:
        terminal.write(script_text(found), terminal.STDOUT)
        return
    if found.needed:
        _ask(chosen, f"the trigger on {found.table} and the guard's table will be dropped", yes=yes)
        found = api.guard_remove(chosen.target, chosen.profile, options=chosen.to_write)
    terminal.write(removed_text(found), terminal.STDOUT)


def _ask(chosen: Chosen, what: str, *, yes: bool) -> None:
    from mergeguard import api

    database = api.identify(chosen.target, chosen.profile, options=chosen.to_write).database
    terminal.say(f"in {database} {what}")
    consent(database, f"This changes {database}.", yes=yes)
