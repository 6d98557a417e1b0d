"""``mergeguard unmerge``: one merge taken back."""

from __future__ import annotations

from typing import Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.applying import Yes
from mergeguard.cli.consent import consent
from mergeguard.cli.options import Chosen, with_target


@with_target()
def unmerge(
    chosen: Chosen,
    *,
    guid: Annotated[str, typer.Argument(help="The merged-away guid, in any usual spelling.", metavar="GUID")],
    reason: Annotated[str, typer.Option(help="Why, for the journal.", metavar="TEXT")] = "",
    yes: Yes = False,
) -> None:
    """Take one merge of TARGET back: GUID is itself again, and so are the references that the journal knows of.

    It first says what it will do and what no journal tells; 'mergeguard undo' takes it back in turn.
    """
    from mergeguard import api
    from mergeguard.render.applied import proposal_text, unmerged_text

    with terminal.progress(chosen.settings) as port:
        found = api.propose_unmerge(chosen.target, guid, chosen.profile, options=chosen.to_write, progress=port)
    terminal.say(proposal_text(found).rstrip("\n"))
    database = api.identify(chosen.target, chosen.profile, options=chosen.to_write).database
    consent(database, f"{found.guid} will be unmerged in {database}.", yes=yes)
    with terminal.progress(chosen.settings) as port:
        done = api.unmerge(chosen.target, found, chosen.profile, reason=reason, options=chosen.to_write, progress=port)
    terminal.write(unmerged_text(done, found_target(chosen)), terminal.STDOUT)


def found_target(chosen: Chosen) -> str:
    """Return the target as it may be printed."""
    from mergeguard.storage.secrets import masked

    return masked(chosen.target)
