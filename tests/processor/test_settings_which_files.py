"""Which files hold the settings of a server, and what of a folder for dead events is taken from one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.errors import UsageError
from mergeguard.processor.bad_folders import read_bad_folders
from mergeguard.processor.settings_file import CORE_SETTINGS, USUAL, SettingsFile, files_of, read_settings

NAMES = st.none() | st.sampled_from(["one.toml", "folder/two.config", "/three.config"])


@given(stands=st.booleans(), config=NAMES, core=NAMES, named=st.none() | st.sampled_from(["four.config", ""]))
def test_the_file_that_was_asked_for_stands_in_place_of_the_usual_one(
    tmp_path_factory: pytest.TempPathFactory, stands: bool, config: str | None, core: str | None, named: str | None
) -> None:
    folder = tmp_path_factory.mktemp("files")
    if stands:
        (folder / USUAL).touch()
    environ = {} if named is None else {CORE_SETTINGS: named}
    found = files_of(environ, folder, config and Path(config), core and Path(core))  # type: ignore[arg-type]
    first = [folder / config] if config else [folder / USUAL] * stands
    second = [folder / name for name in (core or named,) if name]
    assert found == (*first, *second)


def test_the_environment_is_read_where_it_is_given(tmp_path: Path) -> None:
    file = tmp_path / "mergeguard.toml"
    file.write_text("[event_queue]\nevent_retry_limit = 5\n")
    assert read_settings([file]).event_retry_limit == 5
    assert read_settings([file], {"MERGEGUARD_EVENT_RETRY_LIMIT": "6"}).event_retry_limit == 6


def test_the_log_says_that_settings_were_read_again_and_why_they_were_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    times = iter(range(0, 10_000, 1000))
    file = tmp_path / "mergeguard.toml"
    file.write_text("[event_queue]\n")
    settings = SettingsFile([file], clock=lambda: float(next(times)))
    with caplog.at_level(logging.INFO):
        file.write_text("[event_queue]\nevent_retry_limit = 61\n")
        settings.current()
        file.write_text("[event_queue]\nevent_retry_limit = 'many'\n")
        settings.current()
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "settings are read again"),
        ("ERROR", "settings are wrong"),
    ]
    assert caplog.records[1].why == settings.complaint


@pytest.mark.parametrize(
    "given_", ['exception="X"', 'folder="Y"', 'exception=" " folder="Y"', 'exception="X" folder=""']
)
def test_an_exception_without_a_folder_and_a_folder_without_an_exception_are_refused(
    tmp_path: Path, given_: str
) -> None:
    file = tmp_path / "BadNSEFolders.config"
    file.write_text(f"<all>\n<map {given_} />\n</all>")
    with pytest.raises(UsageError, match=":2: an exception and a folder belong together"):
        read_bad_folders(file)


@given(st.text("aZ0._- /é", min_size=1, max_size=130))
def test_an_exception_that_nobody_named_has_a_folder_of_its_own_name_that_any_system_takes(name: str) -> None:
    folder = read_bad_folders(None).folder_of(name)
    assert 1 <= len(folder) <= 100
    assert not set(folder) & {"/", " "}
    assert folder == folder.strip(".")
