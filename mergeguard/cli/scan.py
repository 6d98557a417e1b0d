"""``mergeguard scan``: what is wrong with the merges, and how bad is it?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mergeguard.cli import terminal
from mergeguard.cli.options import Chosen, with_target
from mergeguard.errors import ExitCode, UsageError

if TYPE_CHECKING:  # a help page needs neither
    from mergeguard.core.findings import ScanReport
    from mergeguard.core.trend import Trend
    from mergeguard.storage.settings import Settings


def apart(rules: list[str] | None) -> list[str] | None:
    """Take ``MG001,MG002`` for two rules, as the environment variables do."""
    if not rules:
        return None
    names = [name.strip() for given in rules for name in given.split(",")]
    if not any(names):  # an unset variable of a script; to check everything instead would be a surprise
        raise UsageError("--only or --skip names no rule", hint="'mergeguard scan --list-rules' shows them all")
    return names


def _settings(  # noqa: PLR0913, PLR0917 - one parameter a flag; their help is the documentation
    only: Annotated[
        list[str] | None,
        typer.Option(callback=apart, help="Check this rule alone, e.g. MG001 or cycle; repeatable.", metavar="RULE"),
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(callback=apart, help="Leave this rule out; repeatable.", metavar="RULE")
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(help="Exit 1 from this on: error (default), warning, info, none, new.", metavar="SEVERITY"),
    ] = None,
    max_findings: Annotated[
        int | None,
        typer.Option(
            help="Findings of a rule kept in full, 1000 by default; all are counted.",
            min=1,
            metavar="NUMBER",
        ),
    ] = None,
    max_duration: Annotated[str | None, typer.Option(help="Stop after this time, e.g. 20m.", metavar="TIME")] = None,
    baseline: Annotated[Path | None, typer.Option(help="File of accepted findings.", metavar="FILE")] = None,
    history: Annotated[
        str | None, typer.Option(help="History file, or none; a file implies --remember.", metavar="FILE")
    ] = None,
    colour: Annotated[
        str | None, typer.Option(help="Colour: auto (on a terminal), always, never.", metavar="WHEN")
    ] = None,
) -> None:
    """Hold the flags of a scan that are settings; never called."""


@with_target(optional=True, settings=_settings)
def scan(  # noqa: PLR0913 - one parameter a flag
    chosen: Chosen | None,
    *,
    format: Annotated[  # noqa: A002 - the flag
        list[str] | None,
        typer.Option(
            help="table (default), json, jsonl, sarif, junit, markdown, html, dot, svg, prometheus; repeatable.",
            metavar="FORMAT",
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(help="File for a report ('-': stdout); the suffix may name the format.", metavar="FILE"),
    ] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit 0 whatever is found.")] = False,
    write_baseline: Annotated[
        Path | None, typer.Option(help="Write a draft baseline that accepts what is found.", metavar="FILE")
    ] = None,
    remember: Annotated[
        bool, typer.Option("--remember", help="Keep this night's counts and fingerprints in the history.")
    ] = False,
    list_rules: Annotated[bool, typer.Option("--list-rules", help="List the rules and exit.")] = False,
    explain: Annotated[str | None, typer.Option(help="Explain a rule, e.g. MG001, and exit.", metavar="RULE")] = None,
) -> None:
    """Check every rule over one read-only snapshot of TARGET; nothing is written to it."""
    if list_rules or explain:
        terminal.write(_about_rules(explain), terminal.STDOUT)
        return
    if chosen is None:
        raise UsageError("scan what?", hint="give a TARGET: a database URL, or a .db, .csv, .tsv or .parquet file")
    from mergeguard import render

    wanted = terminal.pair_outputs(format or [], output or [], render.FORMATS, "table")
    terminal.require_places([*(path for _, path in wanted), write_baseline], chosen.target)
    history = _history(chosen.settings, asked=remember)
    report = _scan(chosen)
    for name, path in wanted:
        coloured = path == terminal.STDOUT and terminal.colours(chosen.settings)
        terminal.write(render.render_scan(report, name, colour=coloured, width=terminal.width()), path)
    if write_baseline is not None:
        _write_baseline(report, chosen.settings.baseline, write_baseline)
    trend = None if history is None else _remember(report, history)
    code = ExitCode.CLEAN if exit_zero else _verdict(report, chosen.settings.fail_on, trend)
    raise typer.Exit(code)


def _scan(chosen: Chosen) -> ScanReport:
    from mergeguard import api
    from mergeguard.integrity.scan import ScanOptions
    from mergeguard.storage.own_files import baseline

    settings = chosen.settings
    known = None if settings.baseline is None else baseline.load(settings.baseline)
    wanted = ScanOptions(settings.only, settings.skip, settings.max_findings, settings.max_duration, known)
    with terminal.progress(settings) as port:
        return api.scan(chosen.target, chosen.profile, scan_options=wanted, options=chosen.options, progress=port)


def _history(settings: Settings, *, asked: bool) -> Path | None:
    """Return the history to keep this night in; ``None`` where nobody wants one."""
    wanted = "--remember" if asked else "--fail-on new" if settings.fail_on == "new" else None
    if wanted is not None and settings.history is None:
        raise UsageError(f"{wanted} needs a history", hint='give --history FILE, or take history = "none" out')
    return settings.history if wanted is not None or settings.origin("history") != "default" else None


def _remember(report: ScanReport, history: Path) -> Trend:
    from mergeguard.integrity.history import remember
    from mergeguard.render.nights import summary

    trend = remember(report, history)
    terminal.say(summary(trend))
    return trend


def _write_baseline(report: ScanReport, known: Path | None, path: Path) -> None:
    from mergeguard.storage.own_files import baseline

    text = baseline.draft(report) if known is None else baseline.draft(report, baseline.load(known))
    terminal.write(text, path)


def _verdict(report: ScanReport, fail_on: str, trend: Trend | None) -> ExitCode:
    from mergeguard.integrity.verdict import verdict

    return verdict(report, fail_on, trend)


def _about_rules(asked: str | None) -> str:
    from mergeguard.render.catalogue import rule_list, rule_page

    if asked is None:
        return rule_list()
    from mergeguard.integrity.scan import find_rule

    return rule_page(find_rule(asked))
