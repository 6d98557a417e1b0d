"""The package as a library: what is public, that it says what it raises, and that asking for it costs nothing."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import mergeguard
from mergeguard import api, errors

HEAVY = {"numpy", "networkx", "sqlalchemy", "rich", "pyodbc", "pyarrow", "psycopg"}
FUNCTIONS = [name for name in mergeguard.__all__ if inspect.isfunction(getattr(mergeguard, name))]
CLASSES = [name for name in mergeguard.__all__ if inspect.isclass(getattr(mergeguard, name))]


def test_all_is_sorted_complete_and_what_dir_says() -> None:
    assert mergeguard.__all__ == sorted(set(mergeguard.__all__))
    assert dir(mergeguard) == mergeguard.__all__
    told = {name for names in mergeguard._HOMES.values() for name in names}
    assert told == set(mergeguard.__all__) - {"__version__"}


def test_what_a_type_checker_sees_is_what_is_loaded() -> None:
    """The imports under TYPE_CHECKING and the table of homes say the same."""
    tree = ast.parse(Path(mergeguard.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {node.module: tuple(alias.name for alias in node.names) for node in block.body}
    assert seen == mergeguard._HOMES


def test_every_function_of_the_api_is_public() -> None:
    found = {name: value for name, value in vars(api).items() if inspect.isfunction(value)}
    own = {name for name, value in found.items() if value.__module__.startswith(api.__name__)}
    assert {name for name in own if not name.startswith("_")} <= set(mergeguard.__all__)


@pytest.mark.parametrize("name", mergeguard.__all__)
def test_every_name_resolves_to_one_thing(name: str) -> None:
    assert getattr(mergeguard, name) is getattr(mergeguard, name)


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(AttributeError, match="'mergeguard' has no attribute 'scna'"):
        _ = mergeguard.scna


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_does_and_what_it_raises(name: str) -> None:
    story = inspect.getdoc(getattr(mergeguard, name)) or ""
    assert story.partition("\n")[0].endswith(".")
    _, _, raises = story.partition("Raises:\n")
    named = [line.strip().partition(":")[0] for line in raises.splitlines() if line.startswith("    ")]
    assert named
    assert all(issubclass(getattr(errors, error, type(None)), errors.MergeGuardError) for error in named)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_type_of_ours_in_a_signature_is_public(name: str) -> None:
    signature = inspect.signature(getattr(mergeguard, name))
    words = " ".join(str(parameter.annotation) for parameter in signature.parameters.values())
    named = set(re.findall(r"[A-Z]\w+", f"{words} {signature.return_annotation}"))
    # Names of Python's own, and the aliases that the module itself explains.
    pythons = {"Path", "UUID", "None", "Sequence", "Iterable", "Collection", "Callable"}
    assert named - pythons - {"ProfileLike", "Progress", "Guids"} <= set(mergeguard.__all__)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_says_what_it_is(name: str) -> None:
    story = vars(getattr(mergeguard, name)).get("__doc__") or ""
    assert not story.startswith(f"{name}("), "a dataclass without words of its own"
    assert len(story) > 20


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_typed(name: str) -> None:
    signature = inspect.signature(getattr(mergeguard, name))
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(parameter.annotation is not inspect.Parameter.empty for parameter in signature.parameters.values())


@pytest.mark.parametrize(
    "program",
    [
        "import mergeguard",
        "import sys; sys.argv = ['mergeguard', '--help']; from mergeguard.cli import main; main()",
        "import sys; sys.argv = ['mergeguard', 'lookup', 'build', '--help']; from mergeguard.cli import main; main()",
        "import sys; sys.argv = ['mergeguard', '--version']; from mergeguard.cli import main; main()",
        "import sys; sys.argv = ['mergeguard', 'scna']; from mergeguard.cli import main; main()",
    ],
    ids=["import", "help", "help of a command", "version", "a mistake"],
)
def test_what_answers_at_once_imports_nothing_heavy(program: str) -> None:
    watch = "import atexit, sys; atexit.register(lambda: print('loaded', *sys.modules));"
    ran = subprocess.run([sys.executable, "-c", f"{watch} {program}"], capture_output=True, check=False, text=True)
    assert "Traceback" not in ran.stderr
    loaded = {name.partition(".")[0] for name in ran.stdout.partition("loaded ")[2].split()}
    assert "mergeguard" in loaded
    assert loaded & HEAVY == set()


def test_a_file_is_scanned_without_what_databases_need(cycle: Path) -> None:
    program = "import mergeguard, sys; print(mergeguard.scan('cycle.csv').rows, *sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    rows, *loaded = ran.stdout.split()
    assert rows == "3"
    assert {name.partition(".")[0] for name in loaded} & {
        "sqlalchemy",
        "pyodbc",
        "psycopg",
        "networkx",
        "rich",
    } == set()


def test_the_library_answers_as_the_commands_do(call: Callable, demo: Path) -> None:
    report = mergeguard.scan(demo)
    graph = mergeguard.load(demo)
    guid = "5401209a-65d4-5317-b31c-4e80491e0fe0"
    [answer] = mergeguard.resolve(demo, [guid])
    assert report.rows == 445
    assert graph.number_of_nodes() > 400
    assert call("resolve", demo, guid, "--format", "tsv").out.split("\t")[-3:] == [
        str(answer.current),
        str(answer.depth),
        f"{answer.status}\n",
    ]
    assert mergeguard.explain(demo, guid).current == answer.current
    assert len(mergeguard.lookup(demo)) == 315
    assert not mergeguard.verify_lookup(demo).exists
    assert mergeguard.build_lookup(demo).rows == 315
    assert not mergeguard.verify_lookup(demo).drift
    assert mergeguard.discover(demo).profile is not None
    assert all(fine for _, _, fine in mergeguard.doctor(demo))
