"""The pages' examples are files that MergeGuard reads."""

from __future__ import annotations

import re
from pathlib import Path

from mergeguard.storage.own_files import baseline
from mergeguard.storage.settings import resolve_settings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def example(page: str) -> str:
    (text,) = re.findall(r"```toml\n(.*?)```", (REFERENCE / page).read_text(), re.DOTALL)
    return str(text)


def test_the_baseline_page_shows_a_baseline() -> None:
    first, second = baseline.loads(example("baseline.md"), "known.toml").accepted
    assert (first.fingerprint, second.fingerprint) == ("3f9a0c11d27b8e54", None)


def test_the_baseline_page_names_every_key() -> None:
    page = (REFERENCE / "baseline.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(baseline.KEYS)


def test_the_settings_page_shows_a_settings_file(tmp_path: Path) -> None:
    (tmp_path / "mergeguard.toml").write_text(example("settings.md"))
    settings = resolve_settings({}, {}, tmp_path)
    assert (settings.fail_on, settings.max_duration, settings.skip) == ("new", 1200.0, ("MG003",))
