"""``mergeguard merges``: the *Merged Resources* report."""

from __future__ import annotations

from typing import Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.options import Chosen, ListFormats, Outputs, with_target


@with_target()
def merges(
    chosen: Chosen,
    *,
    limit: Annotated[int, typer.Option(help="How many to list at most.", min=0, metavar="N")] = 1000,
    format: ListFormats = None,  # noqa: A002 - the flag
    output: Outputs = None,
) -> None:
    """List the merged resources of TARGET, the newest first: old, current, time, and which key, rule or person.

    The key of a merge that no key made is No Match.
    """
    from mergeguard import api
    from mergeguard.render.listing import LIST_FORMATS, render_listing
    from mergeguard.render.resources import merges_listing

    wanted = terminal.pair_outputs(format or [], output or [], LIST_FORMATS, "table")
    terminal.require_places([path for _, path in wanted], chosen.target)
    with terminal.progress(chosen.settings) as port:
        found = api.merged_resources(chosen.target, chosen.profile, limit=limit, options=chosen.options, progress=port)
    for name, path in wanted:
        terminal.write(render_listing(merges_listing(found), name), path)
