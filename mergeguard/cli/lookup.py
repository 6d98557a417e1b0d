"""``mergeguard lookup build|verify|export``: the derived table old -> current."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mergeguard.cli import help, terminal  # noqa: A004 - the module of the help pages
from mergeguard.cli.options import Chosen, with_target
from mergeguard.errors import ExitCode

app = typer.Typer(
    help="Build, verify or export the lookup: the derived table old -> current.",
    cls=help.Group,
    rich_markup_mode=None,
)
EXPORT_FORMATS = ("csv", "tsv", "jsonl")


@app.command("build", cls=help.Command)
@with_target()
def build(chosen: Chosen) -> None:
    """Write the lookup table of TARGET in one transaction; on a rebuild only the rows that changed."""
    from mergeguard import api
    from mergeguard.render.lookups import built

    with terminal.progress(chosen.settings) as port:
        done = api.build_lookup(chosen.target, chosen.profile, options=chosen.options, progress=port)
    terminal.write(built(done, chosen.profile.lookup.table), terminal.STDOUT)


@app.command("verify", cls=help.Command)
@with_target()
def verify(chosen: Chosen) -> None:
    """Hold the stored lookup of TARGET against the rows; exit 1 if it differs. Nothing is written."""
    from mergeguard import api
    from mergeguard.render.lookups import verified

    with terminal.progress(chosen.settings) as port:
        found = api.verify_lookup(chosen.target, chosen.profile, options=chosen.options, progress=port)
    terminal.write(verified(found, chosen.profile.lookup.table), terminal.STDOUT)
    raise typer.Exit(ExitCode.FINDINGS if found.drift or not found.exists else ExitCode.CLEAN)


@app.command("export", cls=help.Command)
@with_target()
def export(
    chosen: Chosen,
    *,
    format: Annotated[  # noqa: A002 - the flag
        list[str] | None, typer.Option(help="csv (default), tsv or jsonl.", metavar="FORMAT")
    ] = None,
    output: Annotated[
        list[Path] | None, typer.Option(help="File for the lookup ('-': stdout).", metavar="FILE")
    ] = None,
) -> None:
    """Work the lookup out from the rows of TARGET and write it as text; TARGET is only read."""
    from mergeguard import api
    from mergeguard.render.lookups import exported

    wanted = terminal.pair_outputs(format or [], output or [], EXPORT_FORMATS, "csv")
    terminal.require_places([path for _, path in wanted], chosen.target)
    with terminal.progress(chosen.settings) as port:
        found = api.lookup(chosen.target, chosen.profile, options=chosen.options, progress=port)
    for name, path in wanted:
        terminal.write(exported(found, name), path)
