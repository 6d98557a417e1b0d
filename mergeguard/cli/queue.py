"""``mergeguard queue ...``: the event queue of a database, for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mergeguard.cli import help, terminal  # noqa: A004 - the module of the help pages
from mergeguard.cli.consent import consent
from mergeguard.cli.options import Chosen, ListFormats, Outputs, with_target
from mergeguard.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mergeguard.processor.settings import Settings

app = typer.Typer(
    help="See how the event queue is, what waits in it, what died and why; retry, drop or export dead events.",
    cls=help.Group,
    rich_markup_mode=None,
)
_TARGET: Any = typer.Argument(
    help="Database of the queue: a URL (sqlite://, postgresql://, mssql+pyodbc://) or a .db file.", metavar="TARGET"
)
CoreSettings = Annotated[
    Path | None,
    typer.Option("--core-settings", help="CoreSettings.config with the processor's settings.", metavar="FILE"),
]
Number = Annotated[str, typer.Argument(help="The event's id, as 'queue list' shows it.", metavar="EVENT")]
Form = Annotated[str, typer.Option("--format", help="table (default) or json.", metavar="FORMAT")]
Limit = Annotated[int, typer.Option(help="How many to list at most.", min=0, metavar="N")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
_FORMS = ("table", "json")
_STATUSES = ("pending", "parked", "dead")


@app.command("status", cls=help.Command)
@with_target(profile=False, argument=_TARGET)
def status(
    chosen: Chosen,
    *,
    over: Annotated[
        str | None, typer.Option(help="Look twice, so long apart, and count the rates in between.", metavar="TIME")
    ] = None,
    limit: Limit = 20,
    format: Annotated[  # noqa: A002 - the flag
        list[str] | None, typer.Option(help="table (default), json or prometheus.", metavar="FORMAT")
    ] = None,
    output: Outputs = None,
    core_settings: CoreSettings = None,
) -> None:
    """Show the Event Queue Statistics of TARGET: depth, bytes, ages and rates of each queue, its chains and leases."""
    from mergeguard import api
    from mergeguard.processor.metrics import exposition
    from mergeguard.processor.report import MOST_CHAINS
    from mergeguard.render.queue import status_text
    from mergeguard.render.queue_json import status_json
    from mergeguard.render.text import visible
    from mergeguard.storage.secrets import masked
    from mergeguard.storage.setting_values import seconds

    wanted = terminal.pair_outputs(format or [], output or [], (*_FORMS, "prometheus"), "table")
    terminal.require_places([path for _, path in wanted], chosen.target)
    found = api.queue_status(
        chosen.target,
        settings=_settings(chosen, core_settings),
        options=chosen.options,
        limit=max(limit, MOST_CHAINS),
        over=None if over is None else seconds(over),
    )
    shown = replace(found, chains=found.chains[:limit], dead=found.dead[:limit])
    written: dict[str, Callable[[], str]] = {
        "table": lambda: status_text(shown),
        "json": lambda: status_json(shown),
        "prometheus": lambda: exposition(found, visible(masked(chosen.target))),
    }
    for name, path in wanted:
        terminal.write(written[name](), path)


@app.command("list", cls=help.Command)
@with_target(profile=False, argument=_TARGET)
def list_(
    chosen: Chosen,
    *,
    status: Annotated[
        list[str] | None,
        typer.Option(help="Only these: pending, parked or dead; may be repeated.", metavar="STATUS"),
    ] = None,
    pending: Annotated[
        bool, typer.Option("--pending", help="Those that wait, parked or not, or are in process.")
    ] = False,
    dead: Annotated[bool, typer.Option("--dead", help="Dead ones, with the reason.")] = False,
    source: Annotated[str | None, typer.Option(help="Only those of this agent.", metavar="GUID")] = None,
    limit: Limit = 100,
    format: Annotated[  # noqa: A002 - the flag
        str, typer.Option(help="table (default), json or jsonl.", metavar="FORMAT")
    ] = "table",
) -> None:
    """List the events of TARGET: those in line in the order of registration, then dead ones, the oldest first.

    In line an event is pending, or parked: then it and those behind it wait until the merges of its guids are mended.
    """
    from mergeguard import api
    from mergeguard.render.queue import events_text
    from mergeguard.render.queue_json import events_json

    _known(format, (*_FORMS, "jsonl"))
    wanted = _statuses(status or (), pending=pending, dead=dead)
    which = {name: name in wanted for name in _STATUSES}
    found = api.queue_list(chosen.target, **which, source=source, limit=limit, options=chosen.options)
    terminal.write(events_text(*found) if format == "table" else events_json(*found, format), terminal.STDOUT)


@app.command("show", cls=help.Command)
@with_target(profile=False, argument=_TARGET)
def show(
    chosen: Chosen,
    *,
    event: Number,
    format: Form = "table",  # noqa: A002 - the flag
    core_settings: CoreSettings = None,
) -> None:
    """Show one event of TARGET with its body; what a terminal would obey is spelt out."""
    from mergeguard import api
    from mergeguard.render.queue import event_text
    from mergeguard.render.queue_json import event_json

    _known(format, _FORMS)
    settings = _settings(chosen, core_settings)
    found = api.queue_show(chosen.target, _id(event), settings=settings, options=chosen.options)
    terminal.write(event_json(found) if format == "json" else event_text(found), terminal.STDOUT)


@app.command("parked", cls=help.Command)
@with_target(profile=False, argument=_TARGET)
def parked(
    chosen: Chosen,
    *,
    limit: Limit = 100,
    format: Form = "table",  # noqa: A002 - the flag
) -> None:
    """List the parked events of TARGET: they hold their lines until the merges of their guids are mended."""
    from mergeguard import api
    from mergeguard.render.queue_json import parked_json
    from mergeguard.render.queue_parked import parked_text

    _known(format, _FORMS)
    found = api.queue_parked(chosen.target, limit=limit, options=chosen.options)
    terminal.write(parked_json(found) if format == "json" else parked_text(found), terminal.STDOUT)


@app.command("wake", cls=help.Command)
@with_target(argument=_TARGET)
def wake(
    chosen: Chosen,
    *,
    events: Annotated[
        list[str] | None, typer.Argument(help="Ids of events; those that are mended without any.", metavar="EVENT")
    ] = None,
    format: Form = "table",  # noqa: A002 - the flag
) -> None:
    """Let parked events of TARGET go on at once: those whose guids all lead somewhere by now, or those named.

    Servers that run do so by themselves. It loses nothing: an event that leads nowhere yet is parked again, no try is
    counted, and its line keeps its order.
    """
    from mergeguard import api
    from mergeguard.render.queue_json import woken_json
    from mergeguard.render.queue_parked import woken_text

    _known(format, _FORMS)
    wanted = [_id(text) for text in events or ()]
    done = api.queue_wake(chosen.target, wanted, profile=chosen.profile, options=chosen.options)
    terminal.write(woken_json(done) if format == "json" else woken_text(done), terminal.STDOUT)


@app.command("sources", cls=help.Command)
@with_target(argument=_TARGET)
def sources(
    chosen: Chosen,
    *,
    format: ListFormats = None,  # noqa: A002 - the flag
    output: Outputs = None,
) -> None:
    """List the sources of waiting events of TARGET that were merged away, and what each is now."""
    from mergeguard import api
    from mergeguard.render.listing import LIST_FORMATS, render_listing
    from mergeguard.render.resources import sources_listing

    wanted = terminal.pair_outputs(format or [], output or [], LIST_FORMATS, "table")
    terminal.require_places([path for _, path in wanted], chosen.target)
    found = api.queue_sources(chosen.target, chosen.profile, options=chosen.options)
    for name, path in wanted:
        terminal.write(render_listing(sources_listing(found), name), path)


@app.command("retry", cls=help.Command)
@with_target(profile=False, argument=_TARGET)
def retry(chosen: Chosen, *, event: Number, yes: Yes = False) -> None:
    """Register a dead event of TARGET again, at the end of its line.

    It asks before it does where later events of its source and priority are done: it would come after them.
    """
    from mergeguard import api
    from mergeguard.processor.by_hand import database_name

    number = _id(event)
    found = api.queue_show(chosen.target, number, options=chosen.options)
    if found.later_done:
        later = f"{found.later_done:,} later event{'s' if found.later_done > 1 else ''}"
        terminal.say(f"warning: {later} of its source and priority are done; event {event} would come after them")
        consent(database_name(chosen.target), "This breaks the order of one source.", yes=yes)
    new = api.queue_retry(chosen.target, number, options=chosen.options)
    terminal.write(f"event {event} waits again, as event {new}\n", terminal.STDOUT)


@app.command("drop", cls=help.Command)
@with_target(profile=False, argument=_TARGET)
def drop(chosen: Chosen, *, event: Number, yes: Yes = False, core_settings: CoreSettings = None) -> None:
    """Remove a dead event from TARGET for ever, its body too; it asks before it does."""
    from mergeguard import api
    from mergeguard.processor.by_hand import database_name

    number, settings = _id(event), _settings(chosen, core_settings)
    api.queue_show(chosen.target, number, settings=settings, options=chosen.options)
    consent(database_name(chosen.target), f"Event {event} will be gone for ever; 'queue export' keeps a copy.", yes=yes)
    api.queue_drop(chosen.target, number, settings=settings, options=chosen.options)
    terminal.write(f"event {event} is dropped\n", terminal.STDOUT)


@app.command("export", cls=help.Command)
@with_target(profile=False, argument=_TARGET)
def export(
    chosen: Chosen,
    *,
    folder: Annotated[Path, typer.Argument(help="Folder for the files; made where it is missing.", metavar="FOLDER")],
    events: Annotated[
        list[str] | None, typer.Argument(help="Ids of events; all dead ones without any.", metavar="EVENT")
    ] = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="Remove each dead one from the queue once it is written.")
    ] = False,
    core_settings: CoreSettings = None,
) -> None:
    """Write events of TARGET to a folder, byte for byte, each dead one with a .log that says why it died."""
    from mergeguard import api
    from mergeguard.render.queue import exported_text

    done = api.queue_export(
        chosen.target,
        folder,
        [_id(text) for text in events or ()],
        drop=drop,
        settings=_settings(chosen, core_settings),
        options=chosen.options,
    )
    terminal.write(exported_text(done, str(folder)), terminal.STDOUT)
    raise typer.Exit(ExitCode.FINDINGS if done.left else ExitCode.CLEAN)


@app.command("doctor", cls=help.Command)
@with_target(profile=False, argument=_TARGET)
def doctor(
    chosen: Chosen,
    *,
    format: Form = "table",  # noqa: A002 - the flag
    core_settings: CoreSettings = None,
) -> None:
    """Prove that no chain of TARGET is stranded, no lease forgotten, no body lost.

    Exit 1 if there is something to act on, dead events included; 3 if something could not be looked at.
    """
    from mergeguard import api
    from mergeguard.render.queue import checks_text
    from mergeguard.render.queue_json import checks_json

    _known(format, _FORMS)
    settings = _settings(chosen, core_settings)
    checks = api.queue_doctor(chosen.target, settings=settings, options=chosen.options)
    terminal.write(checks_json(checks) if format == "json" else checks_text(checks), terminal.STDOUT)
    if any(check.fine is False for check in checks):
        raise typer.Exit(ExitCode.FINDINGS)
    raise typer.Exit(ExitCode.CLEAN if all(check.fine for check in checks) else ExitCode.UNCHECKED)


def _settings(chosen: Chosen, core_settings: Path | None) -> Settings:
    """Return the processor's settings; remarks go to stderr."""
    from mergeguard import api

    settings = api.queue_settings(chosen.config, core_settings)
    for note in settings.notes:
        terminal.say(f"note: {note}")
    return settings


def _statuses(named: Sequence[str], *, pending: bool, dead: bool) -> frozenset[str]:
    """Return which events are listed: all where nobody says."""
    unknown = [name for name in named if name not in _STATUSES]
    if unknown:
        raise UsageError(f"unknown status {unknown[0]!r}", hint=f"an event is {', '.join(_STATUSES[:-1])} or dead")
    wanted = {*named, *(_STATUSES[:-1] if pending else ()), *(_STATUSES[-1:] if dead else ())}
    return frozenset(wanted or _STATUSES)


def _known(form: str, forms: tuple[str, ...]) -> None:
    if form not in forms:
        raise UsageError(f"unknown format {form!r}", hint=f"the formats here are {', '.join(forms)}")


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise UsageError(f"{text[:40]!r} is no event's id", hint="'mergeguard queue list TARGET' shows the ids")
    return int(text)
