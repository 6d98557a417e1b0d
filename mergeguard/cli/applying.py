"""What ``apply`` and ``repair`` share: asking first, applying with a progress bar, telling how far it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.consent import consent
from mergeguard.errors import UsageError

if TYPE_CHECKING:  # a help page needs none of these
    from mergeguard.core.repair.plan import Plan
    from mergeguard.integrity.apply import Applied, ApplyOptions
    from mergeguard.storage.settings import Settings
    from mergeguard.storage.source import Options, Progress

Yes = Annotated[
    bool, typer.Option("--yes", help="Do not ask; only where every step is certain or strong, or taken back exactly.")
]
Rate = Annotated[float | None, typer.Option(help="Components a second at most.", metavar="NUMBER")]
Batch = Annotated[
    int | None, typer.Option(help="Components of this call; the same call again goes on.", min=1, metavar="NUMBER")
]


def options_of(rate: float | None, batch: int | None) -> ApplyOptions:
    """Return how hard to press on the database.

    Raises:
        UsageError: the rate is no rate.
    """
    from mergeguard.integrity.apply import ApplyOptions

    if rate is not None and not rate > 0:
        raise UsageError(f"--rate cannot be {rate:g}", hint="give components a second, e.g. 10 or 0.5")
    return ApplyOptions(rate, batch)


def ask(plan: Plan, *, yes: bool) -> None:
    """Ask whether a plan is to be applied.

    Raises:
        UsageError: nobody said so.
    """
    sure = plan.confidence is None or plan.confidence.unattended
    unsure = None if sure else f"the plan has steps that are {plan.confidence.value} only"  # type: ignore[union-attr]
    steps = len(plan.steps)
    doing = f"{steps:,} step{'' if steps == 1 else 's'} will change {plan.target.database} on {plan.target.server}."
    consent(plan.target.database, doing, yes=yes, unsure=unsure)


def carry_out(plan: Plan, target: str | None, wanted: ApplyOptions, options: Options, settings: Settings) -> Applied:
    """Apply a plan; where it is interrupted, say how far it came and how to go on."""
    from mergeguard import api

    with terminal.progress(settings) as port:
        counting = _Counting(port)
        try:
            return api.apply(plan, target, apply_options=wanted, options=options, progress=counting)
        except (KeyboardInterrupt, SystemExit):
            terminal.say(f"{counting.done:,} of {len(plan.steps):,} steps are applied; apply the same plan to go on")
            raise


class _Counting:
    """Passes progress on, and keeps how many steps are done."""

    def __init__(self, port: Progress) -> None:
        self._port = port
        self.done = 0

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        from mergeguard.integrity.apply import PHASE

        if phase == PHASE:
            self.done = done
        self._port(phase, done, total)
