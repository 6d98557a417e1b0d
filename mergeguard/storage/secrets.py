"""Passwords never reach an output: masking of URLs and connection strings, scrubbing of texts that may quote them.

SQLAlchemy masks ``user:pass@`` alone; a password inside ``odbc_connect=`` or behind ``?password=`` it prints. Here the
places are found in the text as typed, encoded or not, because mistyped URLs are the ones that end up in error messages.
Where it is not clear how far a password reaches, more is masked rather than less.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK = "***"
MIN_LENGTH = 4
"""Shorter passwords are scrubbed only where they stand as a word: elsewhere the gaps would tell them."""

# Each delimiter as itself or percent-encoded once or more often.
_OPEN, _CLOSE, _SEMICOLON, _EQUALS = (
    rf"(?:{re.escape(char)}|%(?:25)*{code})" for char, code in (("{", "7B"), ("}", "7D"), (";", "3B"), ("=", "3D"))
)
_BLANK = r"(?:\s|\+|%(?:25)*20)*"
_KEY = re.compile(
    # ``sslkey`` and ``passfile`` name files, no secrets.
    rf"(?:password|passwd|passphrase|pwd|secret|token|(?<![a-z])pass){_BLANK}{_EQUALS}{_BLANK}",
    re.IGNORECASE,
)
_BRACED = re.compile(
    rf"{_OPEN}(?:{_CLOSE}{_CLOSE}|(?!{_CLOSE}).)*{_CLOSE}(?={_BLANK}(?:{_SEMICOLON}|&|$))", re.IGNORECASE | re.DOTALL
)
# A value that is not in braces ends where the next key begins: a bare ``;`` or ``&`` may belong to it. A key of ODBC
# may have blanks; what ends in a word of libpq's is no such key, but the rest of a value and the key behind it.
_LIBPQ = (
    "application_name|channel_binding|client_encoding|connect_timeout|dbname|fallback_application_name|gssdelegation|"
    "gssencmode|gsslib|host|hostaddr|keepalives|keepalives_count|keepalives_idle|keepalives_interval|krbsrvname|"
    "load_balance_hosts|max_protocol_version|min_protocol_version|options|passfile|password|port|replication|"
    "require_auth|requirepeer|requiressl|service|ssl_max_protocol_version|ssl_min_protocol_version|sslcert|"
    "sslcertmode|sslcompression|sslcrl|sslcrldir|sslkey|sslmode|sslnegotiation|sslpassword|sslrootcert|sslsni|"
    "target_session_attrs|tcp_user_timeout|user"
)
_WORDS = r"(?:[\w ]|\+|%20){0,60}"
"""The rest of a key: bounded, for each blank of a long text may begin one."""
_NEXT_KEY = re.compile(
    rf"(?:{_SEMICOLON}|&|\s)(?!{_WORDS}(?:\s|\+|%20)(?:{_LIBPQ}){_BLANK}{_EQUALS}){_BLANK}[A-Za-z_]{_WORDS}{_EQUALS}"
    rf"|\s(?:{_LIBPQ}){_BLANK}{_EQUALS}|{_SEMICOLON}?\s*\Z",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\s*[A-Za-z][\w.+-]*://")
_DRIVE = re.compile(r"(?:sqlite(?:\+\w+)?:/+)?[A-Za-z]:[\\/]")


def masked(text: str) -> str:
    """Return a URL, connection string or path with every password in it replaced by ``***``; any text is accepted."""
    parts: list[str] = []
    at = 0
    for start, end in sorted(_places(text)):
        if start > at or not parts:
            parts += [text[at:start], MASK]
        at = max(at, end)
    return "".join([*parts, text[at:]])


def passwords(text: str) -> tuple[str, ...]:
    """Return what may be a password in a URL or connection string, as written and decoded; for ``scrub``."""
    written = [text[start:end] for start, end in _places(text)]
    # What SQLAlchemy or ODBC takes may be shorter than what is masked; without ``://`` the user is masked too.
    written += [value.partition(":")[2] for value in written]
    shorter = [re.split(stop, value, maxsplit=1)[0] for value in written for stop in ("@", "[;&]")]
    written += [value for value in shorter if len(value) >= MIN_LENGTH]
    decoded = chain.from_iterable((value, unquote(value), unquote_plus(value)) for value in written)
    return tuple(dict.fromkeys(value for raw in decoded for value in (raw, _unbraced(raw)) if value not in {"", MASK}))


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Replace known passwords in any text, in whichever spelling a driver quotes them."""
    spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
    if not spellings:
        return text
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.sub("|".join(map(_pattern, longest_first)), MASK, text)


class SecretUrl:
    """A database URL that shows its password to nobody: str, repr, format and pickle give the masked text."""

    __slots__ = ("_reveal", "text")

    text: str
    """The URL with passwords masked."""

    def __init__(self, raw: str) -> None:
        self._reveal: Callable[[], str] = lambda: raw
        self.text = masked(raw)

    def reveal(self) -> str:
        """Return the URL as typed; hand it to a driver and to nothing else."""
        return self._reveal()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The passwords in it, for ``scrub``."""
        return passwords(self._reveal())

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"SecretUrl({self.text!r})"

    def __format__(self, spec: str) -> str:
        return format(self.text, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretUrl) and self._reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.text)

    def __reduce__(self) -> tuple[type[SecretUrl], tuple[str]]:
        return SecretUrl, (self.text,)


def _places(text: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of every secret in a text; they may overlap."""
    scheme = _SCHEME.match(text)
    colon, at = text.find(":", scheme.end() if scheme else 0), text.rfind("@")
    if 0 <= colon < at - 1 and not _DRIVE.match(text):
        yield colon + 1, at
    for key in _KEY.finditer(text):
        end = _value_end(text, key.end())
        if end > key.end():
            yield key.end(), end


def _value_end(text: str, start: int) -> int:
    """Return where the value that begins at ``start`` ends."""
    if re.compile(_OPEN, re.IGNORECASE).match(text, start):
        braced = _BRACED.match(text, start)
        return braced.end() if braced else len(text)
    following = _NEXT_KEY.search(text, start)
    return following.start() if following else len(text)


def _unbraced(value: str) -> str:
    """Take an ODBC value out of its braces."""
    return value[1:-1].replace("}}", "}") if value[:1] == "{" and value[-1:] == "}" else value


def _spellings(secret: str) -> Iterator[str]:
    """Yield every way in which drivers and libraries may quote a password; an empty one has none."""
    if not secret:
        return
    for spelling in (secret, secret.replace("}", "}}")):
        yield from (spelling, repr(spelling)[1:-1], ascii(spelling)[1:-1], json.dumps(spelling)[1:-1])
        encoded = spelling.encode("utf-8", "surrogatepass")
        yield repr(encoded)[2:-1]
        yield from (quote(encoded), quote(encoded, safe=""), quote_plus(encoded), quote(encoded, safe=" +"))


def _pattern(spelling: str) -> str:
    """Return the pattern of one spelling: hex digits of an encoding in either case, a short one as a word only."""
    pattern = re.sub(r"%[0-9A-F]{2}", lambda code: f"(?i:{code[0]})", re.escape(spelling))
    return pattern if len(spelling) >= MIN_LENGTH else rf"(?<!\w){pattern}(?!\w)"
