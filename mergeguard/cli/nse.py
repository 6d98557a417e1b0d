"""``mergeguard nse make|check``: notification-server events, made and looked over without a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mergeguard.cli import crash, help, terminal  # noqa: A004 - the module of the help pages
from mergeguard.cli.options import Chosen, with_target
from mergeguard.errors import ExitCode, MalformedEvent, UsageError

if TYPE_CHECKING:
    from mergeguard.core.nse.message import Message

app = typer.Typer(
    help="Make events from a description, and check those that are there, without a server.",
    cls=help.Group,
    rich_markup_mode=None,
)
_CATALOGUE: Any = typer.Option(
    "--catalogue", help="A database: check classes, types and cells against its catalogue, too.", metavar="TARGET"
)


@app.command("make", cls=help.Command)
def make(
    file: Annotated[
        Path | None, typer.Argument(help="A TOML file that says what is in the event.", metavar="FILE")
    ] = None,
    output: Annotated[Path, typer.Option(help="File for the event ('-': stdout).", metavar="FILE")] = terminal.STDOUT,
    *,
    example: Annotated[bool, typer.Option("--example", help="Print a description to begin with.")] = False,
) -> None:
    """Make an event from a description; 'mergeguard post' sends it to a server."""
    from mergeguard import api
    from mergeguard.core.nse.description import EXAMPLE

    if example == (file is not None):
        what = "both a description and --example" if example else "nothing to make an event from"
        raise UsageError(what, hint="'mergeguard nse make --example' prints a description to begin with")
    terminal.require_places([output], str(file or ""))
    # In ASCII: a console's code page, which may lack a letter, does not get to replace it.
    text = EXAMPLE if file is None else api.make_event(file).decode().encode("ascii", "xmlcharrefreplace").decode()
    terminal.write(text, output)


@app.command("check", cls=help.Command)
@with_target(optional=True, profile=False, argument=_CATALOGUE)
def check(
    chosen: Chosen | None,
    *,
    files: Annotated[list[Path], typer.Argument(help="Files of one event each.", metavar="FILE")],
) -> None:
    """Read events as the server does, and say of each what is in it or what is wrong; exit 1 if any is."""
    from mergeguard import api
    from mergeguard.render.text import visible

    if chosen is not None:
        api.catalogue(chosen.target, options=chosen.options)  # what is wrong with TARGET is told once, not of each file
    worst = ExitCode.CLEAN
    for path in files:
        try:
            said = _counted(_checked(path, chosen))
        except MalformedEvent as error:
            said, worst = error.message, max(worst, ExitCode.FINDINGS)
        except UsageError as error:  # of the file: the next one may be a better one
            terminal.say(crash.clean(f"error: {error.message}\nhint: {error.hint}"))
            worst = ExitCode.UNCHECKED
            continue
        terminal.write(visible(f"{path}: {said}") + "\n", terminal.STDOUT)
    raise typer.Exit(worst)


def _checked(path: Path, chosen: Chosen | None) -> Message:
    from mergeguard import api

    return api.read_event(path) if chosen is None else api.check_event(path, chosen.target, options=chosen.options)


def _counted(message: Message) -> str:
    counts = {
        "resource": len(message.resources),
        "key": sum(len(each.keys) for each in message.resources),
        "association": len(message.associations),
        "block": len(message.data),
        "row": sum(len(each.rows) for each in message.data),
    }
    parts = ", ".join(f"{count:,} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if count)
    return f"to {message.recipient or 'nobody'}: {parts or 'nothing'}"
