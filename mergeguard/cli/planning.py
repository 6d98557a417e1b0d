"""What ``plan`` and ``repair`` share: the flags that say what may decide, and the file of the plan."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.errors import ExitCode, UsageError

if TYPE_CHECKING:  # a help page needs none of these
    from mergeguard.cli.options import Chosen
    from mergeguard.core.repair.plan import Plan
    from mergeguard.integrity.planning import PlanOptions

Decisions = Annotated[
    Path | None,
    typer.Option("--override", help="CSV file of what a person decided: component,survivor,who,why.", metavar="FILE"),
]
AcceptMedium = Annotated[
    bool, typer.Option("--accept-medium", help="Let two agreeing pieces of medium evidence decide.")
]
AllowArbitrary = Annotated[
    bool,
    typer.Option("--allow-arbitrary", help="Where nothing speaks for any guid, take the first in text order."),
]
Components = Annotated[
    list[str] | None, typer.Option("--component", help="Plan for this component alone; repeatable.", metavar="ID")
]
Expires = Annotated[str, typer.Option(help="How long the plan may be applied, e.g. 2h or 7d.", metavar="TIME")]
References = Annotated[
    bool, typer.Option("--references/--no-references", help="Re-point stale references too (default), or not.")
]
ExitZero = Annotated[bool, typer.Option("--exit-zero", help="Exit 0 even if something was refused.")]
EXPIRES = "24h"


def plan_options_of(
    *,
    override: Path | None,
    accept_medium: bool,
    allow_arbitrary: bool,
    component: list[str] | None,
    expires: str,
    references: bool,
) -> PlanOptions:
    """Return what may decide; the file of decisions is read here.

    Raises:
        UsageError: a duration that is none, or a file of decisions that cannot be read.
    """
    from mergeguard.integrity.planning import PlanOptions
    from mergeguard.storage.own_files.overrides import load_overrides
    from mergeguard.storage.setting_values import seconds

    return PlanOptions(
        accept_medium=accept_medium,
        allow_arbitrary=allow_arbitrary,
        overrides={} if override is None else load_overrides(override),
        references=references,
        expires_in=timedelta(seconds=seconds(expires)),
        only=tuple(component or ()),
    )


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


def made_plan(chosen: Chosen, wanted: PlanOptions, *, to_apply: bool) -> Plan:
    """Plan with a progress bar; ``to_apply`` where the same call goes on to write."""
    from mergeguard import api

    options = chosen.to_write if to_apply else chosen.options
    with terminal.progress(chosen.settings) as port:
        return api.plan(chosen.target, chosen.profile, plan_options=wanted, options=options, progress=port)


def exit_code(made: Plan, *, exit_zero: bool) -> ExitCode:
    """Return 1 where a person must decide some of it, unless that is not wanted."""
    return ExitCode.FINDINGS if made.refused and not exit_zero else ExitCode.CLEAN
