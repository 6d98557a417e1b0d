"""``mergeguard show``: a plan as people read it, as JSON, or as a script to run by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.options import CONFIG_HELP, settings_from
from mergeguard.errors import UsageError

if TYPE_CHECKING:  # a help page needs it not
    from mergeguard.core.repair.plan import Plan

FORMATS = ("table", "json")


def show(
    plan: Annotated[Path, typer.Argument(help="The plan's file.", metavar="PLAN")],
    *,
    component: Annotated[
        str | None, typer.Option(help="Show this component alone, and all of it.", metavar="ID")
    ] = None,
    sql: Annotated[
        bool, typer.Option("--sql", help="Write a script that does the same, for a DBA to run by hand.")
    ] = False,
    format: Annotated[  # noqa: A002 - the flag
        str, typer.Option(help="table (words, default) or json.", metavar="FORMAT")
    ] = "table",
    output: Annotated[Path, typer.Option(help="File for the answer ('-': stdout).", metavar="FILE")] = terminal.STDOUT,
    config: Annotated[Path | None, typer.Option(help=CONFIG_HELP, metavar="FILE")] = None,
) -> None:
    """Show what a plan would do, component by component; no database is opened. An expired plan can be shown too."""
    from mergeguard import api

    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}", hint=f"the formats here are {', '.join(FORMATS)}")
    if sql and (component is not None or format != "table"):
        raise UsageError("--sql writes the whole plan as SQL", hint="leave --component and --format out")
    terminal.require_places([output], str(plan))
    settings = settings_from({}, config)
    made = api.load_plan(plan, expired=True)
    if sql:
        from mergeguard.render.plan_script import plan_script

        text = plan_script(made)
    elif format == "json":
        text = _json(made)
    else:
        text = _words(made, component, colour=output == terminal.STDOUT and terminal.colours(settings))
    terminal.write(text, output)


def _json(made: Plan) -> str:
    from mergeguard.storage.own_files.plan_file import dumps_plan

    return dumps_plan(made)


def _words(made: Plan, component: str | None, *, colour: bool) -> str:
    from mergeguard.integrity.scan import utc_now
    from mergeguard.render.plan import plan_text

    return plan_text(made, colour, terminal.width(), component=component, now=utc_now())
