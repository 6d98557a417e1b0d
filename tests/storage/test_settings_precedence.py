"""Settings: who wins, where a value came from, and what is refused."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.errors import UsageError
from mergeguard.storage.setting_values import seconds
from mergeguard.storage.settings import SETTINGS, Settings, default_history, resolve_settings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"

# Per setting: (text in the environment, value in TOML, what a flag gives, what all of them mean), per level another.
VALUES: dict[str, list[tuple[str, object, object, object]]] = {
    "profile": [(name, name, name, name) for name in ("reference", "vendor", "other")],
    "fail_on": [(word, word, word, word) for word in ("warning", "new", "none")],
    "only": [("MG001,MG002", ["MG001", "MG002"], ["MG001", "MG002"], ("MG001", "MG002"))],
    "skip": [("MG003", ["MG003"], ("MG003",), ("MG003",)), (" MG004 , ", ["MG004"], ["MG004"], ("MG004",))],
    "max_findings": [(str(number), number, number, number) for number in (1, 5, 10_000)],
    "max_duration": [("90s", 90, "1m30s", 90.0), ("20m", "20m", 1200, 1200.0), ("2h", "2h", "120m", 7200.0)],
    "lock_timeout": [("0.5", 0.5, "0.5s", 0.5), ("1d", "1d", 86400, 86400.0)],
    "fast": [("no", False, False, False), ("TRUE", True, True, True)],
    "ids": [(word, word, word, word) for word in ("guid", "text")],
    "deleted_values": [("gone,", ["gone", ""], ["gone", ""], ("gone", "")), ("x", ["x"], ["x"], ("x",))],
    "history": [("none", "none", "none", None), ("/h.db", "/h.db", Path("/h.db"), Path("/h.db"))],
    "baseline": [("/known.toml", "/known.toml", "/known.toml", Path("/known.toml"))],
    "password_env": [(name, name, name, name) for name in ("PGPASSWORD", "SECRET")],
    "password_file": [("/run/secret", "/run/secret", "/run/secret", Path("/run/secret"))],
    "colour": [(word, word, word, word) for word in ("always", "never", "auto")],
    "progress": [(word, word, word, word) for word in ("never", "always", "auto")],
    "reports": [("/reports", "/reports", Path("/reports"), Path("/reports"))],
    "report_formats": [("html,sarif", ["html", "sarif"], ["html", "sarif"], ("html", "sarif"))],
    "keep_days": [(str(number), number, number, number) for number in (1, 30)],
    "keep_nights": [(str(number), number, number, number) for number in (1, 30)],
    "metrics_file": [("/m.prom", "/m.prom", Path("/m.prom"), Path("/m.prom"))],
    "repair": [(word, word, word, word) for word in ("safe", "off")],
}


def test_every_setting_has_values_here() -> None:
    assert set(VALUES) == {setting.name for setting in SETTINGS}
    assert set(VALUES) <= set(Settings.__dataclass_fields__)


@st.composite
def given_values(draw: st.DrawFn) -> dict[str, dict[str, tuple[str, object, object, object]]]:
    """Choose for some settings a value at some levels."""
    names = draw(st.sets(st.sampled_from(sorted(VALUES))))
    if {"password_env", "password_file"} <= names:  # two places of one password have a test of their own
        names.remove("password_file")
    return {
        name: {
            level: draw(st.sampled_from(VALUES[name]))
            for level in draw(st.sets(st.sampled_from(("flag", "environment", "file"))))
        }
        for name in names
    }


@given(given_values(), st.booleans())
def test_flags_win_over_environment_over_file_over_defaults(
    chosen: dict[str, dict[str, tuple[str, object, object, object]]], pyproject: bool
) -> None:
    flags: dict[str, object] = dict.fromkeys(VALUES)
    environ: dict[str, str] = {"XDG_STATE_HOME": "/state", "MERGEGUARD_FAIL_ON": ""}
    lines = ["[tool.mergeguard]"] if pyproject else ["# settings"]
    expected: dict[str, tuple[object, str]] = {}
    file = "pyproject.toml" if pyproject else "mergeguard.toml"
    for name, levels in chosen.items():
        if "file" in levels:
            lines.append(f"{name} = {json.dumps(levels['file'][1])}")
            expected[name] = (levels["file"][3], f"{file}:{len(lines)}")
        if "environment" in levels:
            environ[f"MERGEGUARD_{name.upper()}"] = levels["environment"][0]
            expected[name] = (levels["environment"][3], f"environment MERGEGUARD_{name.upper()}")
        if "flag" in levels:
            flags[name] = levels["flag"][2]
            expected[name] = (levels["flag"][3], "flag")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / file).write_text("\n".join(lines))
        settings = resolve_settings(flags, environ, Path(folder))
    defaults = resolve_settings({}, {"XDG_STATE_HOME": "/state"}, Path("/"))
    for name in VALUES:
        value, origin = expected.get(name, (getattr(defaults, name), "default"))
        assert (getattr(settings, name), settings.origin(name)) == (value, origin)


def test_the_defaults() -> None:
    settings = resolve_settings({}, {"XDG_STATE_HOME": "/state"}, Path("/"))
    assert (settings.fail_on, settings.max_findings, settings.lock_timeout, settings.fast) == (
        "error",
        1000,
        10.0,
        True,
    )
    assert (settings.profile, settings.baseline, settings.max_duration, settings.ids) == (None, None, None, None)
    assert settings.history == Path("/state/mergeguard/history.db")
    assert settings.notes == ()


def test_the_history_stands_in_the_folder_of_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_history({"XDG_STATE_HOME": "relative"}) == tmp_path / ".local/state/mergeguard/history.db"
    assert default_history({}) == tmp_path / ".local/state/mergeguard/history.db"


def test_paths_start_from_where_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "night.toml").write_text('baseline = "known.toml"\nprofile = "vendor.toml"\n')
    settings = resolve_settings(
        {"password_file": "secret"}, {"MERGEGUARD_HISTORY": "h.db"}, tmp_path, Path("conf/night.toml")
    )
    assert settings.baseline == tmp_path / "conf" / "known.toml"
    assert settings.profile == str(tmp_path / "conf" / "vendor.toml")
    assert settings.history == tmp_path / "h.db"
    assert settings.password_file == tmp_path / "secret"
    assert settings.origin("baseline") == "night.toml:1"


def test_mergeguard_toml_wins_over_pyproject_and_a_pyproject_without_us_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\nfast = 1\n[tool.other]\nfast = 1\n")
    assert resolve_settings({}, {}, tmp_path).origins == {}
    (tmp_path / "pyproject.toml").write_text("fast = 1\n[tool.mergeguard] # ours\nfast = false\n[tool.z]\nfast = 1\n")
    assert resolve_settings({}, {}, tmp_path).origin("fast") == "pyproject.toml:3"
    (tmp_path / "mergeguard.toml").write_text("colour = 'never'\n")
    assert resolve_settings({}, {}, tmp_path).origins == {"colour": "mergeguard.toml:1"}


def test_the_stronger_place_of_a_password_wins(tmp_path: Path) -> None:
    (tmp_path / "mergeguard.toml").write_text('password_file = "secret"\n')
    settings = resolve_settings({}, {"MERGEGUARD_PASSWORD_ENV": "PGPASSWORD"}, tmp_path)
    assert (settings.password_env, settings.password_file) == ("PGPASSWORD", None)
    settings = resolve_settings({"password_file": "other"}, {"MERGEGUARD_PASSWORD_ENV": "PGPASSWORD"}, tmp_path)
    assert (settings.password_env, settings.password_file) == (None, tmp_path / "other")
    with pytest.raises(UsageError, match="two places"):
        resolve_settings({"password_file": "a", "password_env": "b"}, {}, tmp_path)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("fail_onn = 'error'", "unknown key 'fail_onn'", "did you mean 'fail_on'"),
        ("max-findings = 1", "unknown key 'max-findings'", "did you mean 'max_findings'"),
        ("password = 'hunter2'", "a password is never a setting", "password_env"),
        ("fail_on = 'fatal'", "fail_on (mergeguard.toml:1) cannot be 'fatal'", "error, warning, info, none, new"),
        ("fail_on = ['error']", "cannot be 'list'", "one of"),
        ("max_findings = 0", "cannot be 0", "whole number"),
        ("max_findings = true", "cannot be True", "whole number"),
        ("max_duration = '5 years'", "max_duration (mergeguard.toml:1)", "such as 90s"),
        ("lock_timeout = nan", "cannot be nan", "duration"),
        ("fast = 1", "cannot be 1", "true or false"),
        ("only = [1]", "cannot be 'list'", "list of texts"),
        ("baseline = ''", "cannot be ''", "path of a file"),
        ('baseline = "a\\u0000b"', "baseline", "path of a file"),
        ("baseline = '~nobody-of-that-name/x'", "baseline", "home folder"),
        ("profile = 1", "cannot be 1", "text"),
        ("fast = ", "not valid TOML", "quotes"),
    ],
)
def test_every_mistake_in_the_file_is_named(tmp_path: Path, text: str, message: str, hint: str) -> None:
    (tmp_path / "mergeguard.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        resolve_settings({}, {}, tmp_path)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert "hunter2" not in caught.value.message


def test_a_wrong_flag_or_variable_names_itself(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--max-duration cannot be 'soon'"):
        resolve_settings({"max_duration": "soon"}, {"MERGEGUARD_MAX_DURATION": "20m"}, tmp_path)
    with pytest.raises(UsageError, match=r"^--deleted-value cannot be"):
        resolve_settings({"deleted_values": [1]}, {}, tmp_path)
    with pytest.raises(UsageError, match=r"fast \(environment MERGEGUARD_FAST\)"):
        resolve_settings({}, {"MERGEGUARD_FAST": "maybe"}, tmp_path)
    with pytest.raises(KeyError):
        resolve_settings({"fail-on": "error"}, {}, tmp_path)


def test_a_mistyped_variable_is_remarked_and_a_strange_one_is_not(tmp_path: Path) -> None:
    settings = resolve_settings({}, {"MERGEGUARD_FAILON": "none", "MERGEGUARD_TEST_POSTGRES_URL": "x"}, tmp_path)
    assert len(settings.notes) == 1
    assert "MERGEGUARD_FAILON is not known; did you mean MERGEGUARD_FAIL_ON" in settings.notes[0]


def _closed(_path: Path) -> bool:
    raise PermissionError(errno.EACCES, "Permission denied")


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        resolve_settings({}, {}, tmp_path, Path("missing.toml"))
    with pytest.raises(UsageError, match="cannot be read"):
        resolve_settings({}, {}, tmp_path, tmp_path)
    monkeypatch.setattr(Path, "is_file", _closed)
    with pytest.raises(UsageError, match="cannot be searched for settings: Permission denied"):
        resolve_settings({}, {}, tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9")
    with pytest.raises(UsageError, match="not UTF-8"):
        resolve_settings({}, {}, tmp_path, tmp_path / "latin.toml")
    monkeypatch.undo()
    (tmp_path / "pyproject.toml").write_text("[tool]\nmergeguard = 1\n")
    with pytest.raises(UsageError, match="must be a table"):
        resolve_settings({}, {}, tmp_path)


@given(st.integers(0, 9), st.integers(0, 30), st.integers(0, 90), st.integers(0, 90))
def test_durations_add_up(days: int, hours: int, minutes: int, rest: int) -> None:
    text = "".join(
        f"{value}{unit}" for value, unit in ((days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")) if value
    )
    total = ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if total:
        assert seconds(text) == seconds(total) == seconds(str(total)) == total
    else:
        with pytest.raises(UsageError, match="no duration"):
            seconds(text)


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.text()))
def test_any_value_is_read_or_refused(value: Any) -> None:
    for setting in SETTINGS:
        try:
            resolve_settings({setting.name: value}, {}, Path("/"))
        except UsageError as error:
            assert error.message.startswith("--")  # noqa: PT017 - either outcome is right; a traceback is not


def test_the_reference_page_is_the_table() -> None:
    # To write the page anew: python -m mergeguard.storage.settings
    made = subprocess.run(
        [sys.executable, "-m", "mergeguard.storage.settings"],
        capture_output=True,
        text=True,
        check=True,
        cwd=PAGE.parents[2],
    ).stdout
    assert all(f"| `{setting.name}` |" in made for setting in SETTINGS)
    assert made in PAGE.read_text()


def test_importing_the_settings_stays_light() -> None:
    heavy = "sys.modules.keys() & {'numpy', 'sqlite3', 'sqlalchemy', 'networkx', 'rich'}"
    code = f"import sys; import mergeguard.storage.settings; print({heavy})"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PAGE.parents[2]
    ).stdout
    assert out == "set()\n"
