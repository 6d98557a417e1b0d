"""``mergeguard merge``: one resource merged into another."""

from __future__ import annotations

from typing import Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.consent import consent
from mergeguard.cli.options import Chosen, with_target
from mergeguard.errors import ExitCode


@with_target()
def merge(
    chosen: Chosen,
    *,
    old: Annotated[str, typer.Argument(help="The guid that is merged away.", metavar="OLD")],
    new: Annotated[str, typer.Argument(help="The guid that it becomes.", metavar="NEW")],
    preview: Annotated[bool, typer.Option("--preview", help="Only say what it would do; nothing is written.")] = False,
    request_id: Annotated[
        str | None, typer.Option(help="An id of your own: the same call again does nothing twice.", metavar="ID")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The key that matched, for the merge's row.", metavar="TEXT")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Merge resource OLD of TARGET into resource NEW, in one transaction that cannot close a cycle.

    It first says what it will do; 'mergeguard undo' takes it back.
    """
    from mergeguard import api
    from mergeguard.render.merged import merged_text, preview_text
    from mergeguard.storage.secrets import masked

    if preview or not yes:
        found = api.merge(chosen.target, old, new, chosen.profile, preview=True, options=chosen.options)
        if preview or found.already:
            terminal.write(preview_text(found), terminal.STDOUT)
            if found.refused is not None:
                raise typer.Exit(ExitCode.PLAN_REFUSED)
            return
        if found.refused is None:
            terminal.say(preview_text(found).removesuffix("nothing was written\n").rstrip("\n"))
            database = api.identify(chosen.target, chosen.profile, options=chosen.options).database
            consent(database, f"{found.old_root} will be merged into {found.new_root} in {database}.", yes=yes)
    merged = api.merge(chosen.target, old, new, chosen.profile, request_id=request_id, key=key, options=chosen.to_write)
    terminal.write(merged_text(merged, masked(chosen.target)), terminal.STDOUT)
