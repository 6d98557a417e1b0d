"""Settings: one table says every name, type and default; each value knows where it came from.

Flags win over the environment, the environment over the file, the file over the defaults. Passwords are no settings:
only the place to find one is.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

from mergeguard.errors import UsageError
from mergeguard.storage import setting_values
from mergeguard.storage.own_files.settings_file import read_file
from mergeguard.storage.shown import shown

FailOn: TypeAlias = Literal["error", "warning", "info", "none", "new"]
Ids: TypeAlias = Literal["guid", "text"]
When: TypeAlias = Literal["auto", "always", "never"]
Repair: TypeAlias = Literal["off", "safe"]

PREFIX: Final = "MERGEGUARD_"
DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class Setting:
    """One entry of the table."""

    name: str
    type: str
    """In words, for the reference page."""
    help: str
    parse: Callable[[object, Path], Any]
    """(value, folder that a relative path starts from) -> typed value."""
    default: object = None
    default_text: str = ""

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, typed; paths are absolute."""

    profile: str | None
    fail_on: FailOn
    only: tuple[str, ...]
    skip: tuple[str, ...]
    max_findings: int
    max_duration: float | None
    """Seconds."""
    lock_timeout: float
    """Seconds."""
    fast: bool
    ids: Ids | None
    deleted_values: tuple[str, ...] | None
    history: Path | None
    """``None`` where no history is kept."""
    baseline: Path | None
    password_env: str | None
    password_file: Path | None
    colour: When
    progress: When
    reports: Path | None
    """Folder of the nightly reports; ``None`` where none are written."""
    report_formats: tuple[str, ...]
    keep_days: int
    keep_nights: int
    metrics_file: Path | None
    repair: Repair
    origins: Mapping[str, str] = field(default_factory=dict)
    """By setting: ``flag``, ``environment MERGEGUARD_X``, ``FILE:LINE`` or ``default``."""
    notes: tuple[str, ...] = ()
    """Remarks for stderr, e.g. an environment variable that looks like a mistyped setting."""

    def origin(self, name: str) -> str:
        """Return where a value came from: ``flag``, ``environment MERGEGUARD_X``, ``FILE:LINE`` or ``default``."""
        return self.origins.get(name, DEFAULT)


_WHEN = setting_values.one_of("auto", "always", "never")
SETTINGS: Final = (
    Setting("profile", "path or name", "Profile file, or the name of a built-in profile.", setting_values.profile),
    Setting(
        "fail_on",
        "error, warning, info, none or new",
        "Lowest severity that makes the exit code 1; `new`: findings that were not there the night before.",
        setting_values.one_of("error", "warning", "info", "none", "new"),
        "error",
    ),
    Setting("only", "list of rules", "Check these rules alone.", setting_values.rules, (), "all rules"),
    Setting("skip", "list of rules", "Leave these rules out.", setting_values.rules, (), "no rule"),
    Setting(
        "max_findings", "whole number", "Findings of a rule kept in full; all are counted.", setting_values.whole, 1000
    ),
    Setting(
        "max_duration",
        "duration",
        "Stop after this time; what is not read by then makes the verdict *incomplete*.",
        setting_values.duration,
        default_text="no limit",
    ),
    Setting(
        "lock_timeout",
        "duration",
        "How long to wait for a lock of another session.",
        setting_values.duration,
        10.0,
        "`10s`",
    ),
    Setting(
        "fast",
        "true or false",
        "Use the optional fast drivers where they are installed.",
        setting_values.yes_or_no,
        default=True,
    ),
    Setting(
        "ids",
        "guid or text",
        "`text` accepts ids that are not guids.",
        setting_values.one_of("guid", "text"),
        default_text="what the profile says",
    ),
    Setting(
        "deleted_values",
        "list of texts",
        "Values of the new column that mean *deleted, no successor*; the empty text also means NULL.",
        setting_values.texts,
        default_text="what the profile says",
    ),
    Setting(
        "history",
        "path or none",
        "File that keeps each night's counts and fingerprints (`scan --remember`); `none` keeps nothing.",
        setting_values.path_or_none,
        default_text="`$XDG_STATE_HOME/mergeguard/history.db`",
    ),
    Setting("baseline", "path", "File of accepted findings.", setting_values.path),
    Setting("password_env", "name", "Environment variable that holds the password.", setting_values.text),
    Setting("password_file", "path", "File whose first line is the password.", setting_values.path),
    Setting("colour", "auto, always or never", "Colour in what is printed for people.", _WHEN, "auto"),
    Setting("progress", "auto, always or never", "Progress on stderr; `auto` shows it on a terminal.", _WHEN, "auto"),
    Setting("reports", "path", "Folder of the reports of `nightly`; made where it is missing.", setting_values.path),
    Setting(
        "report_formats",
        "list of formats",
        "Formats of the reports of `nightly` (`--format`).",
        setting_values.rules,
        ("html", "json"),
        "`html`, `json`",
    ),
    Setting(
        "keep_days",
        "whole number",
        "Days after which `nightly` removes a report that it wrote.",
        setting_values.whole,
        90,
    ),
    Setting(
        "keep_nights",
        "whole number",
        "Runs of a target that `nightly` leaves in the history.",
        setting_values.whole,
        400,
    ),
    Setting("metrics_file", "path", "File of metrics that `nightly` writes.", setting_values.path),
    Setting(
        "repair",
        "off or safe",
        "Whether `nightly` repairs what is certain (`safe`), or writes nothing to the target (`off`).",
        setting_values.one_of("off", "safe"),
        "off",
    ),
)
"""Every setting there is; the reference page is made from it."""
_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}
_FLAGS: Final = {"deleted_values": "--deleted-value", "report_formats": "--format"}
"""The flags that are not called as their setting is: each of them gives one value of several."""


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as somebody gave it."""

    value: object
    origin: str
    folder: Path
    rank: int
    """0 for a flag, 1 for the environment, 2 for the file."""


def default_history(environ: Mapping[str, str]) -> Path | None:
    """Return where the history stands unless told otherwise: ``$XDG_STATE_HOME/mergeguard/history.db``.

    ``None`` for an account that has neither a folder of state nor a home.
    """
    state = environ.get("XDG_STATE_HOME") or environ.get("LOCALAPPDATA")
    try:
        # The XDG rules: a relative path there is invalid and is to be ignored.
        folder = Path(state) if state and Path(state).is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return folder / "mergeguard" / "history.db"


def resolve_settings(
    flags: Mapping[str, object], environ: Mapping[str, str], cwd: Path, config: Path | None = None
) -> Settings:
    """Bring flags, environment and file together.

    Args:
        flags: by setting name; ``None`` and an empty list mean that the flag was not given.
        environ: the environment.
        cwd: the current folder; ``mergeguard.toml`` there is read, else ``[tool.mergeguard]`` of ``pyproject.toml``.
        config: a file to read instead.

    Raises:
        UsageError: an unknown key, a value that does not fit, or a file that cannot be read.
    """
    cwd = cwd.absolute()
    from_file = read_file(cwd, config, _BY_NAME)
    given = {name: _Given(one.value, one.place, one.folder, 2) for name, one in from_file.items()}
    variables = {setting.variable: setting.name for setting in SETTINGS}
    for variable, name in variables.items():
        if environ.get(variable):
            given[name] = _Given(environ[variable], f"environment {variable}", cwd, 1)
    for name, value in flags.items():
        if name not in _BY_NAME:
            raise KeyError(f"no such setting: {name}")
        if value is not None and value not in ([], ()):  # a repeatable flag that was not given
            given[name] = _Given(value, "flag", cwd, 0)
    _keep_one_password_place(given)
    values = {setting.name: setting.default for setting in SETTINGS}
    values["history"] = None if "history" in given else default_history(environ)
    values.update({name: _parsed(_BY_NAME[name], one) for name, one in given.items()})
    origins = {name: one.origin for name, one in given.items()}
    return Settings(**cast("dict[str, Any]", values), origins=origins, notes=_suspicious(environ, variables))


def _parsed(setting: Setting, given: _Given) -> object:
    try:
        return setting.parse(given.value, given.folder)
    except setting_values.Wrong as wrong:
        place = _flag(setting.name) if given.rank == 0 else f"{setting.name} ({given.origin})"
        raise UsageError(f"{place} cannot be {shown(given.value)}", hint=f"give {wrong}") from None


def _flag(name: str) -> str:
    """Return the flag that gives a setting."""
    return _FLAGS.get(name) or "--" + name.replace("_", "-")


def _keep_one_password_place(given: dict[str, _Given]) -> None:
    """Let the stronger of two places of the password win; refuse two of one strength."""
    variable, file = given.get("password_env"), given.get("password_file")
    if variable is None or file is None:
        return
    if variable.rank == file.rank:
        raise UsageError(
            f"the password has two places: password_env ({variable.origin}) and password_file ({file.origin})",
            hint="keep one of the two",
        )
    del given["password_file" if variable.rank < file.rank else "password_env"]


def _suspicious(environ: Mapping[str, str], variables: Iterable[str]) -> tuple[str, ...]:
    """Name variables that look like a mistyped setting; others with our prefix may be somebody else's."""
    known = list(variables)
    notes = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
            notes += [f"the environment variable {name} is not known; did you mean {near[0]}?"] if near else []
    return tuple(notes)


def reference_table() -> str:
    """Return the table of the reference page: every setting as Markdown."""
    lines = ["| setting | type | default | environment | meaning |", "|---|---|---|---|---|"]
    for setting in SETTINGS:
        plain = "none" if setting.default is None else f"`{str(setting.default).lower()}`"
        shown = setting.default_text or plain
        lines.append(f"| `{setting.name}` | {setting.type} | {shown} | `{setting.variable}` | {setting.help} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference_table())
