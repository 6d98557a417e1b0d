"""Passwords never reach an output: masking of URLs and connection strings, and scrubbing of texts that may quote them.

SQLAlchemy masks ``user:pass@`` alone; a password inside ``odbc_connect=`` or behind ``?password=`` it prints. Here a
URL is taken apart by hand, because the texts that people mistype are the ones that end up in error messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK = "***"

_URL = re.compile(r"(?P<scheme>\s*[A-Za-z][\w.+-]*)(?P<slashes>://)(?P<rest>.*)", re.DOTALL)
# ``sslkey`` and ``passfile`` name files, no secrets.
_SECRET_KEYS = frozenset(
    {"password", "pwd", "sslpassword", "passwd", "pass", "passphrase", "secret", "token", "accesstoken", "access_token"}
)
_ODBC_KEYS = frozenset({"odbc_connect", "connection_string", "dsn_string"})
# A key of a connection string and its ``=``; the key may stand at the start or behind a separator.
_PAIR = re.compile(r"(?P<lead>^|[;&?\s{,])(?P<key>\s*[A-Za-z_][\w ]*?)(?P<equals>\s*=\s*)", re.DOTALL)


def masked(text: str) -> str:
    """Return a URL, connection string or path with every password in it replaced by ``***``.

    Any text is accepted, malformed URLs too: what cannot be told from a password is masked with it.
    """
    return "".join(MASK if secret else part for secret, part in _parts(text))


def passwords(text: str) -> tuple[str, ...]:
    """Return the passwords that stand in a URL or connection string, as written and decoded."""
    found: dict[str, None] = {}
    for secret, part in _parts(text):
        if secret:
            decoded = (part, unquote(part), unquote_plus(part))
            spellings = (*decoded, *map(_unbraced, decoded))
            found.update(dict.fromkeys(spelling for spelling in spellings if spelling and spelling != MASK))
    return tuple(found)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Replace known passwords in any text: raw, percent-encoded, plus-encoded, in ODBC braces or in a repr."""
    spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = re.sub(re.escape(spelling), MASK, text, flags=re.IGNORECASE if "%" in spelling else 0)
    return text


def _spellings(secret: str) -> Iterator[str]:
    """Yield every way in which drivers and libraries may quote a password."""
    if not secret:
        return
    for spelling in (secret, secret.replace("}", "}}")):
        yield from (spelling, repr(spelling)[1:-1], ascii(spelling)[1:-1])
        try:
            yield from (quote(spelling), quote(spelling, safe=""), quote_plus(spelling), quote(spelling, safe=" +"))
        except UnicodeEncodeError:  # a lone surrogate has no encoded spelling
            continue


def _parts(text: str) -> Iterator[tuple[bool, str]]:
    """Cut a text into (is a secret?, part); the parts joined are the text."""
    match = _URL.fullmatch(text)
    if match is None:
        yield from _pairs(text, encoded=False)
        return
    yield False, match["scheme"] + match["slashes"]
    rest = match["rest"]
    # A password may hold ``@``, ``/`` and ``?``: it ends at the last ``@`` before the query that SQLAlchemy would see,
    # or, where a careless password hides that place, at the last one of all.
    at = _userinfo_end(rest)
    if at >= 0:
        user, colon, password = rest[:at].partition(":")
        yield False, user + colon
        yield bool(password), password
        rest = rest[at:]
    yield from _pairs(rest, encoded=True)


def _userinfo_end(rest: str) -> int:
    """Return where the ``@`` behind user and password stands, -1 without one."""
    if ":" not in rest.partition("@")[0] and ":" not in rest.rpartition("@")[0]:
        return -1
    query = re.search(r"\?[\w.]+=", rest)
    end = rest.rfind("@", 0, query.start()) if query else rest.rfind("@")
    return end if end >= 0 else rest.find("@")


def _pairs(text: str, *, encoded: bool) -> Iterator[tuple[bool, str]]:
    """Cut the key=value pairs of a query or of a connection string."""
    at = 0
    for match in _PAIR.finditer(text):
        if match.start() < at:
            continue
        key = match["key"].strip().lower()
        if key in _SECRET_KEYS:
            end = _value_end(text, match.end(), encoded=encoded)
            yield False, text[at : match.end()]
            yield True, text[match.end() : end]
            at = end
    yield False, text[at:]


def _value_end(text: str, start: int, *, encoded: bool) -> int:
    """Return where the value that begins at ``start`` ends."""
    stops = re.compile(r"&" if encoded else r";|$")
    if text[start : start + 1] == "{":
        closing = re.compile(r"\{(?:[^}]|\}\})*\}?").match(text, start)
        return closing.end() if closing else len(text)
    stop = stops.search(text, start)
    return stop.start() if stop else len(text)


def _unbraced(value: str) -> str:
    """Take an ODBC value out of its braces."""
    return value[1:-1].replace("}}", "}") if value[:1] == "{" and value[-1:] == "}" else value
