"""The flags that every command with a target shares, declared once and added to each such command."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from mergeguard.errors import UsageError

if TYPE_CHECKING:  # a help page needs none of these
    from mergeguard.storage.profile import ByteOrder, Profile
    from mergeguard.storage.settings import Settings
    from mergeguard.storage.source import Options

_PROFILE = "What the table looks like"
_READING = "Reading"
TARGET_HELP = "SQLAlchemy URL, .db file, or .csv, .tsv, .csv.gz, .parquet file."


def _shared(  # noqa: PLR0913, PLR0917 - one parameter a flag; their help is the documentation
    profile: Annotated[
        str | None, typer.Option(help="Profile file, or the name of a built-in one.", rich_help_panel=_PROFILE)
    ] = None,
    table: Annotated[str | None, typer.Option(help="The merge table.", rich_help_panel=_PROFILE)] = None,
    old_column: Annotated[str | None, typer.Option(help="Column of the old guid.", rich_help_panel=_PROFILE)] = None,
    new_column: Annotated[str | None, typer.Option(help="Column of the new guid.", rich_help_panel=_PROFILE)] = None,
    id_column: Annotated[str | None, typer.Option(help="Column that names a row.", rich_help_panel=_PROFILE)] = None,
    time_column: Annotated[
        str | None, typer.Option(help="Column of the time of the merge.", rich_help_panel=_PROFILE)
    ] = None,
    key_column: Annotated[
        str | None, typer.Option(help="Column of the key that matched.", rich_help_panel=_PROFILE)
    ] = None,
    deleted_value: Annotated[
        list[str] | None,
        typer.Option(help="Value of the new column that means deleted; repeatable.", rich_help_panel=_PROFILE),
    ] = None,
    ids: Annotated[
        str | None, typer.Option(help="'text' accepts ids that are not guids.", rich_help_panel=_PROFILE)
    ] = None,
    byte_order: Annotated[
        str | None,
        typer.Option(help="Order of 16-byte values: 'text' or 'sqlserver'.", rich_help_panel=_PROFILE),
    ] = None,
    lookup_table: Annotated[str | None, typer.Option(help="The lookup table.", rich_help_panel=_PROFILE)] = None,
    live: Annotated[
        str | None,
        typer.Option(help="Which guids are live: TABLE:COLUMN[:OTHER=VALUE...].", rich_help_panel=_PROFILE),
    ] = None,
    live_query: Annotated[
        str | None, typer.Option(help="Query of one column: the live guids.", rich_help_panel=_PROFILE)
    ] = None,
    types: Annotated[
        str | None, typer.Option(help="Where types stand: TABLE:GUID:TYPE.", rich_help_panel=_PROFILE)
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(help="Column that holds guids: TABLE:COLUMN; repeatable.", rich_help_panel=_PROFILE),
    ] = None,
    password_env: Annotated[
        str | None, typer.Option(help="Environment variable with the password.", rich_help_panel=_READING)
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File whose first line is the password.", rich_help_panel=_READING)
    ] = None,
    lock_timeout: Annotated[
        str | None, typer.Option(help="How long to wait for a lock, e.g. 10s.", rich_help_panel=_READING)
    ] = None,
    fast: Annotated[
        bool | None,
        typer.Option("--fast/--no-fast", help="Use the optional fast drivers.", rich_help_panel=_READING),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings file instead of mergeguard.toml.", rich_help_panel=_READING)
    ] = None,
    progress: Annotated[
        str | None, typer.Option(help="Progress on stderr: auto, always, never.", rich_help_panel=_READING)
    ] = None,
) -> None:
    """Hold the shared flags; never called."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A target with everything that flags, environment and files say about how to read it."""

    target: str
    settings: Settings
    profile: Profile
    options: Options


def with_target(
    *, optional: bool = False, settings: Callable[..., None] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command a TARGET argument and the shared flags; its first parameter gets a ``Chosen`` instead.

    ``settings`` declares, as ``_shared`` does, more flags that are settings of the same names. With ``optional`` the
    command may be called without a target and then gets ``None``.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        more = {} if settings is None else inspect.signature(settings).parameters
        shared = inspect.signature(_shared).parameters

        @wraps(command)
        def run(**given: Any) -> None:  # noqa: ANN401 - whatever the flags hold
            own = {name: given.pop(name) or None for name in more}
            flags = {name: given.pop(name) for name in shared}
            target = given.pop("target")
            command(None if target is None else choose(target, flags, own), **given)

        _sign(run, optional=optional, functions=(command, *filter(None, [settings]), _shared))
        return run

    return decorate


def _sign(run: Callable[..., None], *, optional: bool, functions: Sequence[Callable[..., None]]) -> None:
    """Let typer see one signature: TARGET, then the parameters of all the functions, save the command's ``chosen``."""
    parameters = [
        inspect.Parameter(
            "target",
            inspect.Parameter.KEYWORD_ONLY,
            default=None if optional else inspect.Parameter.empty,
            annotation=Annotated[str | None if optional else str, typer.Argument(help=TARGET_HELP, metavar="TARGET")],
        )
    ]
    for function in functions:
        hints = get_type_hints(function, include_extras=True)
        parameters += [
            parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in inspect.signature(function).parameters.items()
            if name != "chosen"
        ]
    run.__signature__ = inspect.Signature(sorted(parameters, key=_has_default))  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def _has_default(parameter: inspect.Parameter) -> bool:
    return parameter.default is not inspect.Parameter.empty


def choose(target: str, flags: Mapping[str, Any], own: Mapping[str, Any]) -> Chosen:
    """Bring flags, environment and files together for one target.

    Raises:
        UsageError: a setting or the profile is wrong.
    """
    from mergeguard.integrity.profiles import Overrides, choose_profile
    from mergeguard.storage.source import Options
    from mergeguard.storage.targets import resolve_password

    said = {"profile", "ids", "password_env", "password_file", "lock_timeout", "fast", "progress"}
    settings = settings_from(
        {**{name: flags[name] for name in said}, "deleted_values": flags["deleted_value"] or None, **own},
        flags["config"],
    )
    overrides = Overrides(
        table=flags["table"],
        old=flags["old_column"],
        new=flags["new_column"],
        row_id=flags["id_column"],
        time=flags["time_column"],
        merge_key=flags["key_column"],
        deleted_values=settings.deleted_values,
        ids=settings.ids,
        byte_order=_byte_order(flags["byte_order"]),
        lookup_table=flags["lookup_table"],
        live=flags["live"],
        live_query=flags["live_query"],
        types=flags["types"],
        references=tuple(flags["reference"] or ()),
    )
    profile = choose_profile(target, settings.profile, overrides)
    password = resolve_password(settings.password_env, settings.password_file)
    return Chosen(target, settings, profile, Options(password, settings.lock_timeout, settings.fast))


def settings_from(flags: Mapping[str, Any], config: Path | None) -> Settings:
    """Resolve the settings of this call; remarks go to stderr.

    Raises:
        UsageError: a setting is wrong.
    """
    from mergeguard.storage.settings import resolve_settings

    settings = resolve_settings(flags, os.environ, Path.cwd(), config)
    for note in settings.notes:
        print(f"note: {note}", file=sys.stderr)
    return settings


def _byte_order(text: str | None) -> ByteOrder | None:
    if text is None or text in {"text", "sqlserver"}:
        return text  # type: ignore[return-value]
    raise UsageError(f"--byte-order cannot be {text!r}", hint="give 'text' or 'sqlserver'")
