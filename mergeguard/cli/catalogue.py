"""``mergeguard catalogue list|show|add``: what kinds of resources, links and data importers take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mergeguard.cli import help, terminal  # noqa: A004 - the module of the help pages
from mergeguard.cli.options import Chosen, with_target

app = typer.Typer(
    help="See and extend what importers take: resource types, association types, data classes with their tables.",
    cls=help.Group,
    rich_markup_mode=None,
)
_TARGET: Any = typer.Argument(
    help="Database with the reference schema: a URL (sqlite://, postgresql://, mssql+pyodbc://) or a .db file.",
    metavar="TARGET",
)


@app.command("list", cls=help.Command)
@with_target(profile=False, argument=_TARGET)
def list_(chosen: Chosen) -> None:
    """List the data classes of TARGET with their tables and columns, its resource types and association types."""
    from mergeguard import api
    from mergeguard.render.data_classes import classes_text

    terminal.write(classes_text(api.catalogue(chosen.target, options=chosen.options)), terminal.STDOUT)


@app.command("show", cls=help.Command)
@with_target(profile=False, argument=_TARGET)
def show(
    chosen: Chosen,
    *,
    output: Annotated[Path, typer.Option(help="File for it ('-': stdout).", metavar="FILE")] = terminal.STDOUT,
) -> None:
    """Write the catalogue of TARGET as a file that 'catalogue add' reads."""
    from mergeguard import api
    from mergeguard.render.data_classes import catalogue_document

    terminal.require_places([output], chosen.target)
    terminal.write(catalogue_document(api.catalogue(chosen.target, options=chosen.options)), output)


@app.command("add", cls=help.Command)
@with_target(profile=False, argument=_TARGET)
def add(
    chosen: Chosen,
    *,
    file: Annotated[Path, typer.Argument(help="A TOML file that names what is to be added.", metavar="FILE")],
) -> None:
    """Add to the catalogue of TARGET what FILE names, and make the tables of its data classes; all of it or nothing."""
    from mergeguard import api
    from mergeguard.render.data_classes import added_text

    added = api.catalogue_add(chosen.target, file, options=chosen.options)
    terminal.write(added_text(added), terminal.STDOUT)
