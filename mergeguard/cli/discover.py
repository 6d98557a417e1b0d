"""``mergeguard discover``: propose a profile for an unknown database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.options import Chosen, with_target
from mergeguard.errors import ExitCode


@with_target(profile=False)
def discover(
    chosen: Chosen,
    *,
    output: Annotated[
        Path | None, typer.Option(help="Write the proposed profile to this file as well.", metavar="FILE")
    ] = None,
) -> None:
    """Look TARGET over and propose a profile, with the evidence for each line; exit 1 if no merge table is found."""
    from mergeguard import api
    from mergeguard.render.proposal import proposal_text
    from mergeguard.storage.profile_file import dumps_profile

    terminal.require_places([output], chosen.target)
    found = api.discover(chosen.target, options=chosen.options)
    terminal.write(proposal_text(found), terminal.STDOUT)
    if output is not None and found.profile is not None:
        terminal.write(dumps_profile(found.profile), output)
    raise typer.Exit(ExitCode.CLEAN if found.profile is not None else ExitCode.FINDINGS)
