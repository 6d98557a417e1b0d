"""``mergeguard plan``: what a repair would do, written into a file for a person to review."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.options import Chosen, with_target
from mergeguard.errors import ExitCode, UsageError

if TYPE_CHECKING:  # a help page needs none of these
    from datetime import timedelta

    from mergeguard.core.repair.evidence import Override
    from mergeguard.core.repair.plan import Plan
    from mergeguard.integrity.planning import PlanOptions


@with_target()
def plan(  # noqa: PLR0913 - one parameter a flag
    chosen: Chosen,
    *,
    out: Annotated[Path, typer.Option(help="File for the plan; never overwritten without --force.", metavar="FILE")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    override: Annotated[
        Path | None,
        typer.Option(help="CSV file of what a person decided: component,survivor,who,why.", metavar="FILE"),
    ] = None,
    accept_medium: Annotated[
        bool, typer.Option("--accept-medium", help="Let two agreeing pieces of medium evidence decide.")
    ] = False,
    allow_arbitrary: Annotated[
        bool,
        typer.Option("--allow-arbitrary", help="Where nothing speaks for any guid, take the first in text order."),
    ] = False,
    component: Annotated[
        list[str] | None, typer.Option(help="Plan for this component alone; repeatable.", metavar="ID")
    ] = None,
    expires: Annotated[
        str, typer.Option(help="How long the plan may be applied, e.g. 2h or 7d.", metavar="TIME")
    ] = "24h",
    references: Annotated[
        bool,
        typer.Option("--references/--no-references", help="Re-point stale references too (default), or not."),
    ] = True,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit 0 even if something was refused.")] = False,
) -> None:
    """Write down how TARGET would be repaired; nothing is changed. Exit 1 if a person must decide some of it."""
    from mergeguard import api
    from mergeguard.integrity.planning import PlanOptions
    from mergeguard.render.plan import plan_summary

    require_free(out, chosen.target, force=force)
    wanted = PlanOptions(
        accept_medium=accept_medium,
        allow_arbitrary=allow_arbitrary,
        overrides=overrides_of(override),
        references=references,
        expires_in=duration(expires),
        only=tuple(component or ()),
    )
    made = _plan(chosen, wanted)
    if made.steps or made.refused:
        api.save_plan(made, out, replace=force)
    coloured = terminal.colours(chosen.settings)
    terminal.write(plan_summary(made, colour=coloured, width=terminal.width()), terminal.STDOUT)
    raise typer.Exit(ExitCode.FINDINGS if made.refused and not exit_zero else ExitCode.CLEAN)


def _plan(chosen: Chosen, wanted: PlanOptions) -> Plan:
    from mergeguard import api

    with terminal.progress(chosen.settings) as port:
        return api.plan(chosen.target, chosen.profile, plan_options=wanted, options=chosen.options, progress=port)


def require_free(out: Path, target: str, *, force: bool) -> None:
    """Refuse a file for the plan that cannot be written, or is there already, before the long read.

    Raises:
        UsageError: that is the reason.
    """
    terminal.require_places([out], target)
    if out == terminal.STDOUT:
        raise UsageError("a plan is a file that 'apply' reads", hint="name a file: --out plan.json")
    if out.exists() and not force:
        raise UsageError(f"{out} exists already", hint="name another file, or overwrite it with --force")


def overrides_of(path: Path | None) -> dict[str, Override]:
    """Read what a person decided; nothing, where there is no file."""
    from mergeguard.storage.own_files.overrides import load_overrides

    return {} if path is None else load_overrides(path)


def duration(text: str) -> timedelta:
    """Read a duration such as ``2h``."""
    from datetime import timedelta

    from mergeguard.storage.setting_values import seconds

    return timedelta(seconds=seconds(text))
