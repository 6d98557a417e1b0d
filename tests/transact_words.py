"""Turns the expressions of our Transact-SQL into those of PostgreSQL."""

from __future__ import annotations

import re
from functools import cache

from transact_parser import TOKEN, split, tokens

SCHEMA = "transact"
"""Where the views of ``00_names.sql`` stand as tables."""
_TYPES = {"uniqueidentifier": "uuid", "bit": "smallint", "int": "integer", "bigint": "bigint", "datetime2": "timestamp"}


@cache
def prepared(text: str) -> tuple[str, ...]:
    """Turn all that does not depend on a call into PostgreSQL's words."""
    said: list[str] = []

    def mask(word: str) -> str:
        """Keep a text out of what is changed."""
        if not word.endswith("'"):
            return word
        said.append(word)
        return f"'{len(said) - 1}'"

    text = "".join(map(mask, tokens(_paths("".join(tokens(text))))))
    text = re.sub(r"\s*OPTION \([\w ]+\)| WITH \([A-Z, ]+\)| COLLATE DATABASE_DEFAULT", "", text)
    text = _converted(_applied(_tops(text)).replace("COLLATE Latin1_General_BIN2", 'COLLATE "C"'))
    return tuple(said[int(word[1:-1])] if re.fullmatch(r"'\d+'", word) else word for word in tokens(text))


IDENTITY = "GENERATED ALWAYS AS IDENTITY"
WORDS = {
    "COUNT_BIG": "COUNT",
    "LEN": "length",
    "DATALENGTH": "octet_length",
    "JSON_QUERY": "json_at",
    "JSON_VALUE": "json_at",
}


def names(text: str) -> str:
    text = text.replace("[mergeguard]", f'"{SCHEMA}"')
    return re.sub(r"\[(\w+)\]", r'"\1"', text)


def type_of(kind: str) -> str:
    base = re.match(r"\w+", kind.strip())[0].lower()  # type: ignore[index]
    return _TYPES.get(base, "text")


def typed(columns: str) -> str:
    return re.sub(
        r"\b(uniqueidentifier|bit|bigint|int|datetime2|n?varchar|char)\b(\(\w+\))?",
        lambda match: type_of(match[1]),
        columns,
    )


def at_keyword(text: str, keyword: str) -> tuple[str, str]:
    """Cut at the first keyword that stands in no brackets."""
    head, depth = "", 0
    words = tokens(text)
    for at, word in enumerate(words):
        depth += (word == "(") - (word == ")")
        if not depth and word.upper() == keyword:
            return head, "".join(words[at:])
        head += word
    return head, ""


def _closing(text: str, start: int) -> int:
    """Return where the bracket that opens at ``start`` closes."""
    depth = 0
    for match in TOKEN.finditer(text, start):
        depth += (match[0] == "(") - (match[0] == ")")
        if not depth:
            return match.start()
    raise ValueError(text[start:])


def _tops(text: str) -> str:
    """Turn TOP into LIMIT, at the end of its own SELECT."""
    while match := re.search(r"SELECT\s+TOP \((\d+)\)", text):
        depth, end = 0, len(text)
        for token in TOKEN.finditer(text, match.end()):
            depth += (token[0] == "(") - (token[0] == ")")
            if depth < 0:
                end = token.start()
                break
        text = f"{text[: match.start()]}SELECT{text[match.end() : end]} LIMIT {match[1]}{text[end:]}"
    return text


def _paths(text: str) -> str:
    """Turn the one way of joining texts that SQL Server has had for long into an aggregate."""
    found = re.search(
        r"STUFF\(\(\s*SELECT TOP \(50\) N' ' \+ (.*?)\s+FROM (.*?) FOR XML PATH\(N''\)\s*\), 1, 1, N''\)",
        text,
        re.DOTALL,
    )
    if found is None:
        return text
    made = f"(SELECT string_agg(z.[e], ' ') FROM (SELECT TOP (50) {found[1]} AS [e] FROM {found[2]}) AS z)"
    return text[: found.start()] + made + text[found.end() :]


def _applied(text: str) -> str:
    text = text.replace("CROSS APPLY", "CROSS JOIN LATERAL")
    while match := re.search(r"OUTER APPLY \(", text):
        end = _closing(text, match.end() - 1) + 1
        alias = re.match(r"\s*AS \w+", text[end:])
        assert alias is not None
        joined = f"LEFT JOIN LATERAL {text[match.end() - 1 : end]}{alias[0]} ON true"
        text = f"{text[: match.start()]}{joined}{text[end + alias.end() :]}"
    return text


def _converted(text: str) -> str:
    """Turn CONVERT into CAST."""
    while match := re.search(r"\b(TRY_)?CONVERT\(", text):
        end = _closing(text, match.end() - 1)
        kind, value, *style = split(text[match.end() : end])
        made = f"CAST({value} AS {type_of(kind)})"
        if style:
            made = f"{SCHEMA}.moment({value})"
        if match[1] and type_of(kind) == "uuid":
            made = f"{SCHEMA}.try_uuid({value})"
        text = text[: match.start()] + made + text[end + 1 :]
    return text
