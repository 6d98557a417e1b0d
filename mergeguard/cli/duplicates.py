"""``mergeguard duplicates``: one machine known twice, made one again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.consent import consent
from mergeguard.cli.options import Chosen, ListFormats, Outputs, with_target
from mergeguard.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mergeguard.resources.duplicates import DuplicateOutcome, Duplicates


@with_target()
def duplicates(
    chosen: Chosen,
    *,
    merge: Annotated[bool, typer.Option("--merge", help="Merge them; without it nothing is written.")] = False,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Key that tells a machine; repeatable. Without it serialnumber, systemnumber and barcode.",
            metavar="KEY",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    format: ListFormats = None,  # noqa: A002 - the flag
    output: Outputs = None,
) -> None:
    """Find an unmanaged resource of TARGET that a managed one is by its serial number, system number or barcode.

    With --merge each is merged into the managed one, in a transaction of its own. Exit 5 if one was refused.
    """
    from mergeguard import api
    from mergeguard.render.listing import LIST_FORMATS, render_listing
    from mergeguard.render.resources import duplicates_listing

    wanted = terminal.pair_outputs(format or [], output or [], LIST_FORMATS, "table")
    terminal.require_places([path for _, path in wanted], chosen.target)
    with terminal.progress(chosen.settings) as port:
        found = api.find_duplicates(chosen.target, chosen.profile, by=by or (), options=chosen.options, progress=port)
    made = _merged(chosen, found, yes=yes) if merge else ()
    for form, path in wanted:
        terminal.write(render_listing(duplicates_listing(found, made), form), path)
    if any(each.refused is not None for each in made):
        raise typer.Exit(ExitCode.PLAN_REFUSED)


def _merged(chosen: Chosen, found: Duplicates, *, yes: bool) -> Sequence[DuplicateOutcome]:
    from mergeguard import api
    from mergeguard.render.words import counted

    if not found.pairs:
        return ()
    database = api.identify(chosen.target, chosen.profile, options=chosen.options).database
    doing = f"{counted(len(found.pairs), 'resource')} will be merged into managed ones in {database}."
    consent(database, doing, yes=yes)
    return api.merge_duplicates(chosen.target, found.pairs, chosen.profile, options=chosen.to_write)
