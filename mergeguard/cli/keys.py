"""``mergeguard keys``: which resources share the value of a key, before they are merged by it."""

from __future__ import annotations

from typing import Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.options import Chosen, ListFormats, Outputs, with_target


@with_target()
def keys(
    chosen: Chosen,
    *,
    name: Annotated[list[str] | None, typer.Option(help="Only keys of this name; repeatable.", metavar="KEY")] = None,
    limit: Annotated[int, typer.Option(help="How many to list at most.", min=0, metavar="N")] = 1000,
    format: ListFormats = None,  # noqa: A002 - the flag
    output: Outputs = None,
) -> None:
    """List the key values that several live resources of TARGET share, those with the most resources first.

    An import that brings such a key merges them, if the key is one of those that their type is merged by.
    """
    from mergeguard import api
    from mergeguard.render.listing import LIST_FORMATS, render_listing
    from mergeguard.render.resources import keys_listing

    wanted = terminal.pair_outputs(format or [], output or [], LIST_FORMATS, "table")
    terminal.require_places([path for _, path in wanted], chosen.target)
    with terminal.progress(chosen.settings) as port:
        found = api.shared_keys(
            chosen.target, chosen.profile, names=name or (), limit=limit, options=chosen.options, progress=port
        )
    for form, path in wanted:
        terminal.write(render_listing(keys_listing(found), form), path)
