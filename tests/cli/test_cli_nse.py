"""``mergeguard nse``: events made from a description, and checked, as a user meets it."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import mergeguard
from mergeguard.errors import MalformedEvent, UsageError

SAMPLES = Path(__file__).parents[1] / "data" / "nse"
BASIC = "{1592B913-72F3-4C36-91D2-D4EDA21D2F96}: 1 resource, 4 keys, 3 associations, 6 blocks, 40 rows"


@pytest.fixture
def basic(folder: Path) -> Path:
    return Path(shutil.copy(SAMPLES / "basic_inventory.nse", folder / "basic.nse")).relative_to(folder)


def test_the_example_becomes_an_event_that_is_read(call: Callable, folder: Path) -> None:
    example = call("nse", "make", "--example")
    (folder / "event.toml").write_text(example.out)
    made = call("nse", "make", "event.toml", "--output", "event.nse")
    checked = call("nse", "check", "event.nse")
    assert (made.code, made.out, made.err) == (0, "", "")
    counted = "1 resource, 2 keys, 1 block, 1 row"
    assert (checked.code, checked.out) == (0, f"event.nse: to 1592b913-72f3-4c36-91d2-d4eda21d2f96: {counted}\n")
    assert call("nse", "make", "event.toml").out == (folder / "event.nse").read_text()


def test_a_letter_that_a_console_may_lack_arrives(call: Callable, folder: Path) -> None:
    (folder / "event.toml").write_text('to = "Ångström 日本"', "utf-8")
    made = call("nse", "make", "event.toml").out
    assert made.isascii()
    assert mergeguard.read_event(made.encode()).recipient == "Ångström 日本"


def test_each_file_is_answered_and_the_worst_tells_the_code(call: Callable, folder: Path, basic: Path) -> None:
    (folder / "bad.nse").write_text("<message>\n<body><inventory><x/></inventory></body></message>")
    (folder / "packed").write_bytes(gzip.compress(basic.read_bytes()))
    good = call("nse", "check", basic, "packed")
    assert (good.code, good.out.splitlines(), good.err) == (0, [f"basic.nse: to {BASIC}", f"packed: to {BASIC}"], "")
    bad = call("nse", "check", "bad.nse", basic)
    refusal = "bad.nse: line 2, <inventory>: <x> may not stand in it"
    assert (bad.code, bad.out.splitlines()) == (1, [refusal, f"basic.nse: to {BASIC}"])
    away = call("nse", "check", "bad.nse", "away.nse", basic)
    assert (away.code, away.out) == (3, bad.out)
    assert away.err.splitlines() == [
        "error: away.nse cannot be read: No such file or directory",
        "hint: check the path",
    ]


def test_what_an_event_says_never_reaches_the_terminal(call: Callable, folder: Path) -> None:
    (folder / "bell.nse").write_text("<message><to>a\x85\u202eb</to></message>", "utf-8")
    assert call("nse", "check", "bell.nse").out == "bell.nse: to a\\x85\\u202eb: nothing\n"


CATALOGUED = """
[[data]]
class = "2b2a934a-b000-57f1-83f0-b840d59f1df2"
resource = "740184d3-f507-47a9-b170-8bf2f81e099c"
rows = [["PC", "example", "Example OS"]]
"""


def test_a_catalogue_takes_more_than_it_does_not_know(call: Callable, folder: Path, demo: Path) -> None:
    (folder / "good.nse").write_bytes(mergeguard.make_event(CATALOGUED))
    (folder / "class.nse").write_bytes(mergeguard.make_event(CATALOGUED.replace("2b2a", "2b2b")))
    (folder / "cell.nse").write_bytes(mergeguard.make_event(CATALOGUED.replace('"Example OS"', '"", 4')))
    checked = call("nse", "check", "good.nse", "class.nse", "cell.nse", "--catalogue", demo)
    good, unknown, wide = checked.out.splitlines()
    assert (checked.code, good) == (1, "good.nse: to nobody: 1 block, 1 row")
    assert unknown.startswith("class.nse: line 8, <resource>: the data class of its rows 2b2b934a-")
    assert wide.startswith("cell.nse: line 9, <row>: ")
    assert call("nse", "check", "good.nse", "class.nse").code == 0


def test_a_catalogue_that_is_none_is_told_once(call: Callable, folder: Path, basic: Path) -> None:
    (folder / "empty.db").touch()
    assert call("nse", "check", basic, basic, "--catalogue", "away.db").refused(3, "away.db")
    assert call("nse", "check", basic, basic, "--catalogue", "empty.db").refused(3, "empty.db has no catalogue")
    assert call("nse", "check", basic, "--catalogue", "klingon://x").refused(2, "klingon")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b"<message/>" * 9)[:-9], "the body is not whole gzip"),
        (b"", "line 1, column 1: no element found"),
        (b"\xff\xfe\x00", "line 1, column "),
    ],
    ids=["cut short", "empty", "half a character"],
)
def test_a_file_that_is_damaged_is_a_finding(call: Callable, folder: Path, content: bytes, words: str) -> None:
    (folder / "damaged").write_bytes(content)
    checked = call("nse", "check", "damaged")
    assert (checked.code, checked.err) == (1, "")
    assert checked.out.startswith(f"damaged: {words}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing to make an event from"),
        (("event.toml", "--example"), "both a description and --example"),
        (("away.toml",), "away.toml cannot be read: No such file or directory"),
        (("bad.toml",), "bad.toml is no TOML"),
        (("latin.toml",), "latin.toml, line 2: this is not UTF-8 text"),
        (("wrong.toml",), "wrong.toml: unknown key 'too' in the top level"),
        (("event.toml", "--output", "away/event.nse"), "its folder does not exist"),
        (("event.toml", "--output", "event.toml"), "it is the target"),
    ],
)
def test_make_tells_what_it_cannot_use(call: Callable, folder: Path, arguments: tuple[str, ...], words: str) -> None:
    (folder / "event.toml").write_text('to = "x"')
    (folder / "bad.toml").write_text("to = ")
    (folder / "latin.toml").write_bytes(b"# x\nto = '\xe4'")
    (folder / "wrong.toml").write_text("too = 1")
    assert call("nse", "make", *arguments).refused(2, words)


def test_a_description_of_any_size_is_not_read(call: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mergeguard.api.nse._MOST_DESCRIPTION", 1 << 20)
    (folder / "event.toml").write_text("#" * (1 << 20))
    assert call("nse", "make", "event.toml").code == 0
    (folder / "event.toml").write_text("#" * ((1 << 20) + 1))
    assert call("nse", "make", "event.toml").refused(2, "event.toml is larger than 1 MB")


def test_a_character_that_xml_has_not_is_refused(call: Callable, folder: Path) -> None:
    (folder / "event.toml").write_text('to = "a\\u0000"')
    assert call("nse", "make", "event.toml").refused(3, "holds U+0000, which XML has no way to write")


def test_a_file_that_may_not_be_read_is_told(call: Callable, monkeypatch: pytest.MonkeyPatch, nobody: Callable) -> None:
    with TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        monkeypatch.chdir(name)
        Path("basic.nse").write_bytes(b"<message/>")
        Path("basic.nse").chmod(0)
        call("nse", "check", "nowhere.nse")  # all that it imports is imported now
        with nobody():
            refused = call("nse", "check", "basic.nse")
    assert "Permission denied" in refused.err


def test_the_api_reads_bodies_and_files_and_writes_what_it_read(basic: Path) -> None:
    message = mergeguard.read_event(basic)
    assert (
        message == mergeguard.read_event(basic.read_bytes()) == mergeguard.read_event(gzip.compress(basic.read_bytes()))
    )
    assert mergeguard.write_event(message) == basic.read_bytes()
    assert mergeguard.read_event(mergeguard.make_event('to = "x"')).recipient == "x"
    with pytest.raises(UsageError, match="the description is no TOML"):
        mergeguard.make_event("to = ")
    with pytest.raises(MalformedEvent, match=r"^line 1: it is no message but <x>$"):
        mergeguard.read_event(b"<x/>")
