"""The file of typed usage uses all that is exported, passes mypy --strict, and runs."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import mergeguard

USAGE = Path(__file__).parents[1] / "typing" / "api.py"


@pytest.fixture
def usage() -> ModuleType:
    spec = importlib.util.spec_from_file_location("typed_usage", USAGE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_runs_on_the_demo_database(usage: ModuleType, tmp_path: Path) -> None:
    usage.main(tmp_path)


def test_it_uses_everything_that_is_exported() -> None:
    tree = ast.parse(USAGE.read_text("utf-8"))
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert set(mergeguard.__all__) <= named | called


def test_every_exported_name_is_there_and_no_other_is() -> None:
    assert sorted(mergeguard.__all__) == dir(mergeguard)
    assert all(getattr(mergeguard, name) is not None for name in mergeguard.__all__)
    with pytest.raises(AttributeError, match="no attribute 'scna'"):
        _ = mergeguard.scna


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, mergeguard; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "mergeguard" in loaded
    assert not {"numpy", "networkx", "sqlalchemy", "typer", "pyarrow"} & set(loaded)
