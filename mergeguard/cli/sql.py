"""``mergeguard sql show|install|uninstall``: what MergeGuard does, as SQL for people without Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mergeguard.cli import help, terminal  # noqa: A004 - the module of the help pages
from mergeguard.cli.consent import consent
from mergeguard.cli.options import Chosen, with_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mergeguard.storage.scripts.files import Script

app = typer.Typer(
    help="Show, install or remove what MergeGuard does, as SQL for people without Python.",
    cls=help.Group,
    rich_markup_mode=None,
)
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the SQL and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("show", cls=help.Command)
@with_target()
def show(
    chosen: Chosen,
    *,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir", metavar="FOLDER", help="Write the files there; those that are there are replaced."
        ),
    ] = None,
) -> None:
    """Print the SQL scripts for TARGET, filled with the names of its profile, or write them as files."""
    from mergeguard import api

    found = api.sql_scripts(chosen.target, chosen.profile, options=chosen.options)
    if output_dir is None:
        terminal.write(_text(found.files), terminal.STDOUT)
        return
    from mergeguard.storage.scripts.files import save

    for path in save(found.files, output_dir):
        terminal.write(f"{path}\n", terminal.STDOUT)


@app.command("install", cls=help.Command)
@with_target()
def install(chosen: Chosen, *, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Make views, functions and procedures in TARGET that merge, look up and scan, beside the vendor's tables.

    It asks before it does. Run it again after an upgrade of MergeGuard and after a change of the profile.
    """
    from mergeguard import api

    found = api.sql_scripts(chosen.target, chosen.profile, options=chosen.options)
    if dry_run:
        terminal.write(_text(found.installed), terminal.STDOUT)
        return
    _ask(chosen, f"{len(found.installed)} scripts will make objects of their own", yes=yes)
    found = api.sql_install(chosen.target, chosen.profile, options=chosen.to_write)
    terminal.write(_done("installed", found.installed), terminal.STDOUT)


@app.command("uninstall", cls=help.Command)
@with_target()
def uninstall(
    chosen: Chosen,
    *,
    data: Annotated[
        bool,
        typer.Option(
            "--data", help="Also drop the journal, the lookup and our other tables; nothing can be undone then."
        ),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Take away what the scripts made in TARGET, the guard too, and nothing that is not theirs."""
    from mergeguard import api

    found = api.sql_scripts(chosen.target, chosen.profile, options=chosen.options).uninstalling(data=data)
    if dry_run:
        terminal.write(_text(found), terminal.STDOUT)
        return
    also = ", and the journal, the lookup and all our other tables" if data else ""
    _ask(chosen, f"what the scripts made will be dropped, the guard too{also}", yes=yes)
    api.sql_uninstall(chosen.target, chosen.profile, data=data, options=chosen.to_write)
    terminal.write(_done("run", found), terminal.STDOUT)


def _text(files: Sequence[Script]) -> str:
    return "\n".join(script.text for script in files)


def _done(what: str, files: Sequence[Script]) -> str:
    return "".join(f"{what}: {script.dialect}/{script.name}\n" for script in files)


def _ask(chosen: Chosen, what: str, *, yes: bool) -> None:
    from mergeguard import api

    database = api.identify(chosen.target, chosen.profile, options=chosen.to_write).database
    terminal.say(f"in {database} {what}")
    consent(database, f"This changes {database}.", yes=yes)
