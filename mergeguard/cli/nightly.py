"""``mergeguard nightly``: one command for the job that runs every night."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mergeguard.cli import crash, terminal
from mergeguard.cli.options import Chosen, with_target
from mergeguard.cli.scan import apart

if TYPE_CHECKING:  # a help page needs neither
    from mergeguard.integrity.nightly import NightlyOptions
    from mergeguard.storage.settings import Settings


def _settings(  # noqa: PLR0913, PLR0917 - one parameter a flag; their help is the documentation
    reports: Annotated[
        Path | None, typer.Option(help="Folder of the reports; made where it is missing.", metavar="DIR")
    ] = None,
    report_formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="Format of the reports: html and json by default; repeatable.", metavar="FORMAT"),
    ] = None,
    keep_days: Annotated[
        int | None, typer.Option(help="Remove reports older than this; 90 by default.", min=1, metavar="DAYS")
    ] = None,
    metrics_file: Annotated[Path | None, typer.Option(help="File for a metrics collector.", metavar="FILE")] = None,
    history: Annotated[str | None, typer.Option(help="History file, or none.", metavar="FILE")] = None,
    keep_nights: Annotated[
        int | None,
        typer.Option(help="Runs of TARGET that stay in the history; 400 by default.", min=1, metavar="NUMBER"),
    ] = None,
    repair: Annotated[
        str | None,
        typer.Option(help="off (default), or safe: apply what is certain, then scan again.", metavar="WHAT"),
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(help="Exit 1 from this on: error (default), warning, info, none, new.", metavar="SEVERITY"),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(callback=apart, help="Check this rule alone, e.g. MG001; repeatable.", metavar="RULE"),
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(callback=apart, help="Leave this rule out; repeatable.", metavar="RULE")
    ] = None,
    max_findings: Annotated[
        int | None,
        typer.Option(help="Findings of a rule kept in full, 1000 by default.", min=1, metavar="NUMBER"),
    ] = None,
    max_duration: Annotated[
        str | None, typer.Option(help="Stop each scan after this time, e.g. 20m.", metavar="TIME")
    ] = None,
    baseline: Annotated[Path | None, typer.Option(help="File of accepted findings.", metavar="FILE")] = None,
) -> None:
    """Hold the flags of a night, all of them settings; never called."""


@with_target(settings=_settings)
def nightly(chosen: Chosen) -> None:
    """Scan TARGET, keep the night in the history, write reports and metrics; with --repair safe repair as well."""
    from mergeguard import api
    from mergeguard.render.nightly import nightly_text

    settings = chosen.settings
    terminal.require_places([settings.metrics_file], chosen.target)
    options = chosen.options if settings.repair == "off" else chosen.to_write
    with terminal.progress(settings) as port:
        night = api.nightly(
            chosen.target, chosen.profile, nightly_options=_options(settings), options=options, progress=port
        )
    terminal.write(nightly_text(night), terminal.STDOUT)
    for failure in night.failures:
        terminal.say(crash.clean(f"error: {failure.message}"))
        if failure.hint:
            terminal.say(crash.clean(f"hint: {failure.hint}"))
    raise typer.Exit(night.code)


def _options(settings: Settings) -> NightlyOptions:
    from mergeguard.integrity.nightly import NightlyOptions
    from mergeguard.integrity.scan import ScanOptions
    from mergeguard.storage.own_files import baseline

    known = None if settings.baseline is None else baseline.load(settings.baseline)
    return NightlyOptions(
        scan=ScanOptions(settings.only, settings.skip, settings.max_findings, settings.max_duration, known),
        fail_on=settings.fail_on,
        history=settings.history,
        keep_nights=settings.keep_nights,
        reports=settings.reports,
        formats=settings.report_formats,
        keep_days=settings.keep_days,
        metrics_file=settings.metrics_file,
        repair=settings.repair,
    )
