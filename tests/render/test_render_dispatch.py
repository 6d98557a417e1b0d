"""The front door: every format there is, a plain word for one that there is not, and a light import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mergeguard import render
from mergeguard.core.findings import Explanation, ScanReport
from mergeguard.errors import UsageError


def test_every_format_ends_with_one_newline_and_is_the_same_twice(report: ScanReport) -> None:
    for form in render.FORMATS:
        text = render.render_scan(report, form)
        assert text == render.render_scan(report, form)
        assert text.endswith("\n")
        assert not text.endswith("\n\n")


def test_an_unknown_format_names_the_known_ones(report: ScanReport, explanation: Explanation) -> None:
    calls = (
        lambda: render.render_scan(report, "xml"),
        lambda: render.render_explanation(explanation, "sarif"),
        lambda: render.render_resolved([], "html"),
    )
    for call, known in zip(calls, (render.FORMATS, render.EXPLANATION_FORMATS, render.RESOLVED_FORMATS), strict=True):
        with pytest.raises(UsageError, match="unknown format") as told:
            call()
        assert told.value.hint is not None
        assert all(form in told.value.hint for form in known)


def test_importing_the_package_loads_no_format_and_no_numpy() -> None:
    heavy = ("mergeguard.render.", "mergeguard.core", "numpy", "networkx", "rich")
    code = f"import sys, mergeguard.render; print([name for name in sys.modules if name.startswith({heavy})])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_no_format_needs_networkx_or_a_driver() -> None:
    names = ", ".join(repr(name) for name in set(render._SCAN_MODULES.values()) | {"table", "explained", "resolved"})
    code = (
        f"import sys, importlib; [importlib.import_module('mergeguard.render.' + name) for name in ({names})]; "
        "print([m for m in ('networkx', 'sqlalchemy', 'rich', 'typer') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
