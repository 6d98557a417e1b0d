"""Reads the Transact-SQL of our scripts: routines, views, and the statements that their bodies consist of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

FOLDER = Path(__file__).parents[1] / "sql" / "mssql"
Node: TypeAlias = tuple[Any, ...]
TOKEN = re.compile(
    r"--[^\n]*|/\*.*?\*/|N?'(?:[^']|'')*'|\[(?:[^\]]|\]\])*\]|@@?\w+|#\w+|[A-Za-z_]\w*|\d+|[<>]=|<>|\s+|.", re.DOTALL
)
_STARTS = {"SET", "SELECT", "INSERT", "UPDATE", "DELETE", "BEGIN", "RETURN", "BREAK", "THROW", "EXEC", "ROLLBACK"}
_STARTS |= {"COMMIT", "WHILE", "IF", "DECLARE", "CREATE"}
_HEAD = re.compile(
    r"ALTER (PROCEDURE|FUNCTION) \[mergeguard\]\.\[(\w+)\](.*?)^(?:AS|RETURNS TABLE AS RETURN)\b",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Routine:
    """A procedure or a function."""

    name: str
    parameters: tuple[tuple[str, str, str | None], ...]
    """Name, type, default."""
    body: tuple[Node, ...]
    returns: tuple[str, str] | None = None
    """Of a function that returns a table of its own: its variable, and what it declares."""
    select: str = ""
    """Of an inline function: its SELECT."""


def tokens(text: str) -> list[str]:
    """Cut a text up; comments are gone and blanks are one each."""
    found = (match[0] for match in TOKEN.finditer(text))
    return [" " if one.isspace() else one for one in found if not one.startswith(("--", "/*"))]


@cache
def routines(files: tuple[str, ...]) -> dict[str, Routine]:
    """Read the procedures and functions of some files."""
    found = {}
    for name in files:
        for batch in re.split(r"(?m)^GO$", (FOLDER / name).read_text()):
            head = _HEAD.search(batch)
            if head is not None:
                found[head[2]] = _routine(head, batch[head.end() :])
    return found


def views(files: Sequence[str]) -> dict[str, str]:
    """Read the views of some files; those of ``00_names.sql`` are the test's to make."""
    found = (
        re.findall(r"(?ms)^ALTER VIEW \[mergeguard\]\.\[(\w+)\] AS$(.*?);\nGO$", (FOLDER / name).read_text())
        for name in files
    )
    return dict(pair for pairs in found for pair in pairs)


def _routine(head: re.Match[str], rest: str) -> Routine:
    declared, _, returns = head[3].partition("RETURNS ")
    declared = declared.partition("WITH EXECUTE")[0].strip()
    if declared.startswith("("):
        declared = declared[1:-1]
    parameters = tuple(_parameter(part) for part in split(declared) if part.strip())
    if head[0].endswith("RETURN"):
        return Routine(head[2], parameters, (), select=rest.strip().rstrip(";"))
    table = re.match(r"(@\w+) TABLE (\(.*\))\s*$", returns.strip(), re.DOTALL)
    made = None if table is None else (table[1], table[2])
    return Routine(head[2], parameters, tuple(Parser(tokens(rest)).all()), made)


def _parameter(text: str) -> tuple[str, str, str | None]:
    match = re.fullmatch(r"\s*@(\w+)\s+(\w+(?:\([^)]*\))?)\s*(?:=\s*(.*?))?\s*(?:OUTPUT)?\s*", text, re.DOTALL)
    assert match is not None, text
    return match[1], match[2], match[3]


def split(text: str, at: str = ",") -> list[str]:
    """Cut at commas that stand in no brackets."""
    parts, depth = [""], 0
    for one in tokens(text):
        depth += (one == "(") - (one == ")")
        if one == at and not depth:
            parts.append("")
        else:
            parts[-1] += one
    return parts


class Parser:
    """Turns tokens into statements."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        left = (word for word in self.words[self.at :] if word != " ")
        return next((word.upper() for place, word in enumerate(left) if place == ahead), "")

    def take(self) -> str:
        while self.words[self.at] == " ":
            self.at += 1
        self.at += 1
        return self.words[self.at - 1]

    def all(self, until: str = "") -> Iterator[Node]:
        while self.peek() and self.peek() != until:
            if self.peek() == ";":
                self.take()
            else:
                yield self.statement()

    def statement(self) -> Node:
        word = self.peek()
        if word == "BEGIN" and self.peek(1) == "TRY":
            return self.guarded()
        if word == "BEGIN" and self.peek(1) != "TRANSACTION":
            self.take()
            inner = tuple(self.all("END"))
            self.take()
            return ("block", inner)
        if word in {"IF", "WHILE"}:
            self.take()
            condition, body = self.until_start(), self.statement()
            other = None
            if word == "IF" and self.after_semicolon() == "ELSE":
                self.at = next(at for at in range(self.at, len(self.words)) if self.words[at].upper() == "ELSE") + 1
                other = self.statement()
            return (word.lower(), condition, body, other)
        return ("plain", self.until(";"))

    def guarded(self) -> Node:
        parts = []
        for _ in range(2):
            self.take(), self.take()
            parts.append(tuple(self.all("END")))
            self.take(), self.take()
        return ("try", *parts)

    def after_semicolon(self) -> str:
        return self.peek(1) if self.peek() == ";" else self.peek()

    def until_start(self) -> str:
        start, depth = self.at, 0
        while depth or self.words[self.at].upper() not in _STARTS:
            depth += (self.words[self.at] == "(") - (self.words[self.at] == ")")
            self.at += 1
        return "".join(self.words[start : self.at])

    def until(self, end: str) -> str:
        start, depth = self.at, 0
        while self.at < len(self.words) and (depth or self.words[self.at] != end):
            depth += (self.words[self.at] == "(") - (self.words[self.at] == ")")
            self.at += 1
        return "".join(self.words[start : self.at]).strip()
