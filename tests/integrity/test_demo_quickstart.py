"""scripts/quickstart.sh with the real commands; only the installation, which needs the network, stands in."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mergeguard.core.guids import text_id

SCRIPT = Path(__file__).parents[2] / "scripts" / "quickstart.sh"
MAIN = "import sys; from mergeguard.cli import main; sys.exit(main())"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder like a developer's checkout, in which the package is installed already."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    bin_folder = tmp_path / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    program(bin_folder / "python", "echo 'Editable project location: here'")
    program(bin_folder / "mergeguard", f"exec '{sys.executable}' -c '{MAIN}' \"$@\"")
    return tmp_path


def program(file: Path, body: str) -> None:
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def quickstart(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", checkout / "scripts" / "quickstart.sh"], capture_output=True, text=True, check=False, cwd="/"
    )


def test_the_guids_in_the_script_are_those_of_the_names_beside_them() -> None:
    text = SCRIPT.read_text("utf-8")
    found = re.findall(r"^(\w+)=([0-9a-f-]{36})", text, re.MULTILINE)
    names = {"shiprock": "America/Shiprock", "us_pacific": "US/Pacific", "calcutta": "Asia/Calcutta"}
    assert dict(found) == {variable: str(text_id(name)) for variable, name in names.items()}


def test_it_ends_well_with_a_report_and_says_that_the_scan_found_something(checkout: Path) -> None:
    (checkout / "mergeguard-demo").mkdir()
    (checkout / "mergeguard-demo" / "tz.db").write_bytes(b"left over from the run before")
    done = quickstart(checkout)
    assert done.returncode == 0, done.stderr
    assert "Exit code 1 is right here" in done.stdout
    assert "It lies on a cycle of 2 guids" in done.stdout
    assert "mergeguard_lookup created: 315 rows" in done.stdout
    assert "<html" in (checkout / "mergeguard-demo" / "report.html").read_text("utf-8")


def test_it_stops_at_the_first_command_that_does_not_end_as_it_should(checkout: Path) -> None:
    program(checkout / ".venv" / "bin" / "mergeguard", 'if [ "$1" = scan ]; then exit 3; fi')
    done = quickstart(checkout)
    assert done.returncode == 1
    assert "mergeguard scan mergeguard-demo/tz.db --profile reference` ended with exit code 3" in done.stderr
    assert "Explain" not in done.stdout


def test_without_a_python_new_enough_it_says_so(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(checkout / ".venv")
    program(checkout / "old-python", "exit 1")
    monkeypatch.setenv("PYTHON", str(checkout / "old-python"))
    done = quickstart(checkout)
    assert done.returncode == 1
    assert "Python 3.11 or later was not found" in done.stderr
    assert not (checkout / ".venv").exists()
