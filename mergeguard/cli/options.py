"""The flags that every command with a target shares, declared once and added to each such command."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_type_hints

import typer

from mergeguard.cli import crash, terminal
from mergeguard.cli.help import HEADINGS
from mergeguard.errors import UsageError

if TYPE_CHECKING:  # a help page needs none of these
    from mergeguard.integrity.profiles import Overrides
    from mergeguard.storage.profile import ByteOrder, Profile
    from mergeguard.storage.settings import Settings
    from mergeguard.storage.source import Options

CONFIG_HELP = "Settings file instead of mergeguard.toml."
TARGET_HELP = (
    "Database URL (sqlite://, postgresql://, mssql+pyodbc://), .db file, or .csv, .tsv, .csv.gz, .parquet file."
)


def _looks(words: str, metavar: str) -> Any:  # noqa: ANN401 - what typer.Option gives
    """Declare a flag that says what the table looks like."""
    return typer.Option(help=words, metavar=metavar, rich_help_panel=HEADINGS[1])


def _reads(words: str, metavar: str) -> Any:  # noqa: ANN401 - what typer.Option gives
    """Declare a flag that says how to read."""
    return typer.Option(help=words, metavar=metavar, rich_help_panel=HEADINGS[2])


def _profile_flags(  # noqa: PLR0913, PLR0917 - one parameter a flag; their help is the documentation
    profile: Annotated[str | None, _looks("Profile file, or the name of a built-in one.", "FILE")] = None,
    table: Annotated[str | None, _looks("The merge table.", "NAME")] = None,
    old_column: Annotated[str | None, _looks("Column of the old guid.", "NAME")] = None,
    new_column: Annotated[str | None, _looks("Column of the new guid.", "NAME")] = None,
    id_column: Annotated[str | None, _looks("Column that names a row.", "NAME")] = None,
    time_column: Annotated[str | None, _looks("Column of the time of the merge.", "NAME")] = None,
    key_column: Annotated[str | None, _looks("Column of the key that matched.", "NAME")] = None,
    deleted_value: Annotated[
        list[str] | None, _looks("Value of the new column that means deleted; repeatable.", "TEXT")
    ] = None,
    ids: Annotated[str | None, _looks("guid, or text: accept ids that are not guids.", "KIND")] = None,
    byte_order: Annotated[str | None, _looks("Order of 16-byte values: text or sqlserver.", "ORDER")] = None,
    lookup_table: Annotated[str | None, _looks("The lookup table.", "NAME")] = None,
    live: Annotated[
        str | None, _looks("Which guids are live; behind it :COLUMN=VALUE filters.", "TABLE:COLUMN")
    ] = None,
    live_query: Annotated[str | None, _looks("Query of one column: the live guids.", "SQL")] = None,
    types: Annotated[str | None, _looks("Where the type of a guid stands.", "TABLE:GUID:TYPE")] = None,
    reference: Annotated[list[str] | None, _looks("Column that holds guids; repeatable.", "TABLE:COLUMN")] = None,
) -> None:
    """Hold the flags of the profile; never called."""


def _reading_flags(
    password_env: Annotated[str | None, _reads("Environment variable that holds the password.", "NAME")] = None,
    password_file: Annotated[Path | None, _reads("File whose first line is the password.", "FILE")] = None,
    lock_timeout: Annotated[str | None, _reads("How long to wait for a lock; 10s by default.", "TIME")] = None,
    fast: Annotated[
        bool | None,
        typer.Option(
            "--fast/--no-fast",
            help="Use the optional fast drivers where they are installed (default), or not.",
            rich_help_panel=HEADINGS[2],
        ),
    ] = None,
    config: Annotated[Path | None, _reads(CONFIG_HELP, "FILE")] = None,
    progress: Annotated[str | None, _reads("Progress on stderr: auto (on a terminal), always, never.", "WHEN")] = None,
) -> None:
    """Hold the flags of reading; never called."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A target with everything that flags, environment and files say about how to read it."""

    target: str
    settings: Settings
    profile: Profile
    options: Options
    config: Path | None = None
    """The settings file that was asked for."""

    @property
    def to_write(self) -> Options:
        """How to open the target where the command's name says that it writes."""
        return replace(self.options, recover=True)


ListFormats: TypeAlias = Annotated[
    list[str] | None, typer.Option(help="table (default), json, jsonl, csv or tsv.", metavar="FORMAT")
]
"""Of what is a list of rows."""
Outputs: TypeAlias = Annotated[list[Path] | None, typer.Option(help="File for it ('-': stdout).", metavar="FILE")]
"""A file for each format."""


def with_target(
    *,
    optional: bool = False,
    profile: bool = True,
    settings: Callable[..., None] | None = None,
    argument: Any = None,  # noqa: ANN401 - what typer.Argument gives
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command a TARGET argument and the shared flags; its first parameter gets a ``Chosen`` instead.

    ``settings`` declares, as ``_reading_flags`` does, more flags that are settings of the same names. With ``optional``
    the command may be called without a target and then gets ``None``; without ``profile`` it knows no profile.
    ``argument`` describes what stands in the place of TARGET where that is no target.
    """
    shared = (_profile_flags, _reading_flags) if profile else (_reading_flags,)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        """Return the command as typer is to call it: all flags in, one ``Chosen`` out."""
        own_names = [] if settings is None else [*inspect.signature(settings).parameters]
        shared_names = [name for function in shared for name in inspect.signature(function).parameters]

        @wraps(command)
        def run(**given: Any) -> None:  # noqa: ANN401 - whatever the flags hold
            own = {name: given.pop(name) for name in own_names}
            flags = {name: given.pop(name) for name in shared_names}
            target = given.pop("target")
            command(None if target is None else choose(target, flags, own), **given)

        functions = (command, *filter(None, [settings]), *shared)
        _sign(run, argument or typer.Argument(help=TARGET_HELP, metavar="TARGET"), functions, optional=optional)
        return run

    return decorate


def _sign(
    run: Callable[..., None],
    argument: Any,  # noqa: ANN401 - what typer.Argument gives
    functions: Sequence[Callable[..., None]],
    *,
    optional: bool,
) -> None:
    """Let typer see one signature: TARGET, then the parameters of all the functions, save the command's ``chosen``."""
    parameters = [
        inspect.Parameter(
            "target",
            inspect.Parameter.KEYWORD_ONLY,
            default=None if optional else inspect.Parameter.empty,
            annotation=Annotated[str | None if optional else str, argument],
        )
    ]
    for function in functions:
        parameters += _parameters(function)
    run.__signature__ = inspect.Signature(sorted(parameters, key=_has_default))  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


@cache  # the shared flags are the same for every command, and reading their annotations is what help pages pay for
def _parameters(function: Callable[..., None]) -> list[inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    return [
        parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "chosen"
    ]


def _has_default(parameter: inspect.Parameter) -> bool:
    return parameter.default is not inspect.Parameter.empty


def choose(target: str, flags: Mapping[str, Any], own: Mapping[str, Any]) -> Chosen:
    """Bring flags, environment and files together for one target.

    ``flags`` without those of the profile gives a profile that says nothing.

    Raises:
        UsageError: a setting or the profile is wrong.
    """
    from mergeguard.integrity.profiles import choose_profile
    from mergeguard.storage.profile import Profile
    from mergeguard.storage.source import Options
    from mergeguard.storage.targets import resolve_password

    names = ("profile", "ids", "password_env", "password_file", "lock_timeout", "fast", "progress")
    said = {name: flags.get(name) for name in names}
    settings = settings_from({**said, "deleted_values": flags.get("deleted_value"), **own}, flags["config"])
    password = resolve_password(settings.password_env, settings.password_file)
    crash.keep_out(password)
    profile = Profile()
    if "profile" in flags:
        profile = choose_profile(target, settings.profile, _overrides(flags, settings))
    options = Options(password, settings.lock_timeout, settings.fast)
    return Chosen(target, settings, profile, options, flags["config"])


def _overrides(flags: Mapping[str, Any], settings: Settings) -> Overrides:
    from mergeguard.integrity.profiles import Overrides

    return Overrides(
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


def settings_from(flags: Mapping[str, Any], config: Path | None) -> Settings:
    """Resolve the settings of this call; remarks go to stderr.

    Raises:
        UsageError: a setting is wrong.
    """
    from mergeguard.storage.settings import resolve_settings

    try:
        settings = resolve_settings(flags, os.environ, Path.cwd(), config)
    except OSError as failure:  # started in a folder that this account may not enter, or that is gone
        raise UsageError(
            f"the current folder cannot be searched for settings: {failure.strerror}",
            hint="start from another folder, or name the settings file with --config",
        ) from None
    for note in settings.notes:
        terminal.say(f"note: {note}")
    return settings


def _byte_order(text: str | None) -> ByteOrder | None:
    if text is None or text in {"text", "sqlserver"}:
        return text  # type: ignore[return-value]
    raise UsageError(f"--byte-order cannot be {text!r}", hint="give 'text' or 'sqlserver'")
