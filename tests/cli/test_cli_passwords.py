"""No output holds a password: not stdout, not stderr, not a report, not the file of a crash; whatever fails."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mergeguard import api

COMMANDS = (
    ("scan",),
    ("scan", "--format", "json"),
    ("doctor",),
    ("lookup", "build"),
    ("lookup", "verify"),
    ("discover",),
    ("resolve",),
    ("explain",),
)
# Long enough and strange enough that it cannot stand in a message by chance.
UNICODE = ("p\u00e4ss", "\u5bc6", "\U0001f511", "\u202e")
FRAGMENTS = st.sampled_from([*";{}@%/:?#&=+'\"\\ ", "}}", "{;", "%25", "PWD=", *UNICODE])
PASSWORDS = st.lists(FRAGMENTS | st.text("abcXYZ019", min_size=1, max_size=4), max_size=6).map(
    lambda parts: "zq7" + "".join(parts) + "vk4"
)
REFUSED = "127.0.0.1:1"
"""Nobody listens there."""


def spellings(password: str) -> set[str]:
    """Every way in which a library might quote it."""
    braced = password.replace("}", "}}")
    encoded = {quote(password), quote(password, safe=""), quote_plus(password)}
    return (
        encoded
        | {password, braced, json.dumps(password)[1:-1]}
        | {repr(password)[1:-1], ascii(password)[1:-1], repr(password.encode())[2:-1], quote(braced, safe="")}
    )


def leaks(password: str, texts: list[str]) -> list[str]:
    return [text for text in texts for spelt in spellings(password) if spelt in text]


def urls(password: str) -> dict[str, str]:
    whole = f"Driver={{No Such Driver}};Server={REFUSED};UID=sa;PWD={{{password.replace('}', '}}')}}};"
    encoded = quote(password, safe="")
    return {
        "postgresql": f"postgresql://reader:{encoded}@{REFUSED}/d",
        "its query": f"postgresql://reader@{REFUSED}/d?password={encoded}",
        "mssql": f"mssql+pyodbc://sa:{encoded}@{REFUSED}/d?driver=No+Such+Driver",
        "odbc_connect": f"mssql+pyodbc:///?odbc_connect={quote_plus(whole)}",
        "a database nobody knows": f"oracle://scott:{encoded}@h/d",
        "a driver nobody has": f"postgresql+asyncpg://u:{encoded}@h/d",
        "no URL": f"postgresql//reader:{encoded}@h/d",
        "no port": f"postgresql://reader:{encoded}@h:port/d",
        "as typed": f"postgresql://reader:{password}@{REFUSED}/d",
        "a file": f"sqlite://reader:{encoded}@/nowhere/d.db",
    }


@contextmanager
def watched() -> Iterator[list[str]]:
    """Yield a list that at the end holds whatever was written to the folder of temporary files or the current one."""
    texts: list[str] = []
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(tempfile, "tempdir", folder):
        before = Path.cwd()
        os.chdir(folder)
        try:
            yield texts
        finally:
            texts += [path.read_text(errors="replace") for path in Path(folder).rglob("*") if path.name != "secret"]
            os.chdir(before)


def words(command: tuple[str, ...], target: str, *flags: str) -> list[str]:
    guid = ["00000000-0000-4000-8000-000000000001"] if command[0] in {"resolve", "explain"} else []
    return [*command, target, *guid, *flags]


@settings(max_examples=60)
@given(PASSWORDS, st.sampled_from(COMMANDS), st.sampled_from(sorted(urls(""))))
@example("zq7}};{@/vk4", ("scan",), "odbc_connect")
@example("zq7;PWD=x@y:vk4", ("doctor",), "odbc_connect")
@example("zq7@:/?#vk4", ("scan",), "as typed")
def test_a_password_in_the_target(call: Callable, password: str, command: tuple[str, ...], kind: str) -> None:
    with watched() as texts:
        ran = call(*words(command, urls(password)[kind]))
    assert ran.code in {2, 3}, ran
    assert leaks(password, [ran.out, ran.err, *texts]) == []


@settings(max_examples=40)
@given(
    password=PASSWORDS,
    command=st.sampled_from(COMMANDS),
    kind=st.sampled_from(["postgresql", "mssql", "odbc_connect", "a file"]),
    place=st.sampled_from(["--password-env", "--password-file", "MERGEGUARD_PASSWORD_ENV", "mergeguard.toml"]),
)
def test_a_password_from_elsewhere(
    password: str, command: tuple[str, ...], kind: str, place: str, call: Callable
) -> None:
    with watched() as texts, mock.patch.dict(os.environ, {"READER": password}):
        Path("secret").write_text(password, "utf-8")
        flags = {"--password-env": [place, "READER"], "--password-file": [place, "secret"]}.get(place, [])
        if place == "mergeguard.toml":
            Path(place).write_text('password_file = "secret"\n')
        with mock.patch.dict(os.environ, {place: "READER"} if place.startswith("MERGEGUARD_") else {}):
            ran = call(*words(command, urls("")[kind], *flags))
    assert ran.code in {2, 3}, ran
    assert leaks(password, [ran.out, ran.err, *texts]) == []


@settings(max_examples=40)
@given(
    password=PASSWORDS,
    kind=st.sampled_from(["postgresql", "its query", "mssql", "odbc_connect", "as typed"]),
    inside=st.booleans(),
    spelt=st.integers(0, 9),
)
def test_a_crash_that_quotes_the_password(password: str, kind: str, inside: bool, spelt: int, call: Callable) -> None:
    ways = sorted(spellings(password))
    quoted = ways[spelt % len(ways)]

    def broken(target: str, *_more: object, options: object, **_others: object) -> None:
        raise LookupError(f"driver said: {quoted!s} for {target} with {options!r}")

    flags = [] if inside else ["--password-env", "READER"]
    environment = mock.patch.dict(os.environ, {"READER": password})
    with watched() as texts, environment, mock.patch.object(api, "scan", broken):
        ran = call("scan", urls(password if inside else "")[kind], *flags)
    assert ran.code == 70
    assert len(texts) == 1
    assert "Traceback" in texts[0]
    assert leaks(password, [ran.out, ran.err, *texts]) == []


@settings(max_examples=30)
@given(password=PASSWORDS, at=st.integers(0, 4))
def test_a_password_in_a_word_that_is_out_of_place(password: str, at: int, call: Callable) -> None:
    target = urls(password)["postgresql"]
    lines = (
        [target],
        ["scan", "merges.csv", target],
        ["scan", "merges.csv", "--profile", target],
        ["scan", "merges.csv", "--config", target],
        ["history", target],
    )
    with watched() as texts:
        ran = call(*lines[at])
    assert ran.code in {2, 3}, ran
    assert leaks(password, [ran.out, ran.err, *texts]) == []


@pytest.mark.parametrize("command", [("scan", "--history", "nights.db"), ("scan", "--format", "html")])
def test_what_is_kept_of_a_scan_holds_no_password(command: tuple[str, ...], call: Callable, demo: Path) -> None:
    target = f"sqlite:///{demo}?password=zq7vk4&pwd=zq7vk4"
    ran = call(*command, target)
    kept = [path.read_bytes().decode("latin-1") for path in Path().iterdir() if path != demo]
    assert leaks("zq7vk4", [ran.out, ran.err, *kept]) == []
