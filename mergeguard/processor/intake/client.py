"""Posts events as an agent does: keeps each until the server has it, and waits as long as the server asks for."""

from __future__ import annotations

import http.client
import io
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Final
from urllib.parse import SplitResult, urlencode, urlsplit

from mergeguard.core.events import NO_SOURCE
from mergeguard.errors import ConnectFailed, UsageError
from mergeguard.processor.intake.file_names import LOWEST
from mergeguard.processor.intake.posts import POST_EVENT
from mergeguard.processor.intake.refusals import BUSY_TEXT, Busy, Refused

DEFAULT_URL: Final = "http://127.0.0.1:8080"
TIMEOUT: Final = 60.0
"""Seconds until a server that says nothing counts as away."""
_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
"""Answers, of a proxy above all, that say nothing against the event; so do all from 500 on."""
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_NO_SERVER: Final = "is 'mergeguard serve' running there? name another one with --url, or wait with --patience"
_MOST_TEXT: Final = 1_000
"""Bytes of an answer that are read; it is one line."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try."""

    seconds: float
    """At most so long is waited in all; 0: one try."""
    wait: Callable[[float], object]


class EventPoster:
    """Posts events to one server, each until it is taken in, refused, or patience is at its end.

    An event whose connection breaks after it was sent is posted again, so that a server may get it twice, and never
    not at all.
    """

    def __init__(self, url: str, patience: Patience, *, timeout: float = TIMEOUT) -> None:
        """Post to ``url``, which may leave out the path of the agents' page.

        Raises:
            UsageError: it is no address of a web server.
        """
        self._url = _checked(url)
        self._patience = patience
        self._timeout = timeout

    def post(self, opened: Callable[[], IO[bytes]], *, source: uuid.UUID = NO_SOURCE, priority: int = LOWEST) -> str:
        """Post one event and return what the server said, e.g. ``event 12``.

        Args:
            opened: opens the body from its beginning; called for each try.
            source: the agent that the event is of.
            priority: its priority.

        Raises:
            Refused: the server will never take it.
            Busy: it was busy for longer than patience.
            ConnectFailed: it did not answer for longer than patience.
            OSError: the body cannot be opened.
        """
        target = f"{self._url.path or POST_EVENT}?{urlencode({'priority': priority, 'source': str(source)})}"
        left, pause = self._patience.seconds, _FIRST_PAUSE
        while True:
            try:
                return self._try(target, opened)
            except _Later as later:
                seconds = pause if later.seconds is None else later.seconds
                if seconds > left:
                    raise later.error from later.__cause__
            self._patience.wait(seconds)
            left, pause = left - seconds, min(2 * pause, _LONGEST_PAUSE)

    def _try(self, target: str, opened: Callable[[], IO[bytes]]) -> str:
        body = opened()
        with body, closing(self._connection()) as connection:
            try:
                with _asked(connection, target, body) as answer:
                    text = answer.read(_MOST_TEXT).decode("utf-8", "replace").strip()
            except (OSError, http.client.HTTPException) as failure:
                place = f"{self._url.hostname}:{connection.port}"
                raise _Later(
                    ConnectFailed(f"{place} does not answer: {failure or type(failure).__name__}", hint=_NO_SERVER)
                ) from failure
        if answer.status == HTTPStatus.OK:
            return text
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _PASSING:
            raise _Later(_busy(answer.status, text), _seconds(answer.headers.get("Retry-After", "")))
        raise Refused(f"the server refused it ({answer.status}): {text}")

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        return kind(self._url.hostname or "", self._url.port, timeout=self._timeout)


class _Later(Exception):
    """This try failed, and another one may not."""

    def __init__(self, error: Busy | ConnectFailed, seconds: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.seconds = seconds
        """What the server asked for."""


def _asked(connection: http.client.HTTPConnection, target: str, body: IO[bytes]) -> http.client.HTTPResponse:
    size = body.seek(0, io.SEEK_END)
    body.seek(0)
    headers = {"Content-Length": str(size), "Content-Type": "text/xml", "Connection": "close"}
    try:
        connection.request("POST", target, body, headers)
    except (BrokenPipeError, ConnectionResetError):
        return connection.getresponse()  # a server that refuses need not read on
    return connection.getresponse()


def _busy(status: int, text: str) -> Busy:
    busy, _, reason = text.partition(": ")
    return Busy(reason if busy == BUSY_TEXT and reason else f"it answered {status}")


def _seconds(retry_after: str) -> float | None:
    """Return the seconds that a server asks for; ``None`` where it gives a date or nothing."""
    text = retry_after.strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < len("1000000") else None


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        well = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        well = False
    if not well or parts.query or parts.fragment:
        raise UsageError("--url is no address of a web server", hint=f"write it as {DEFAULT_URL}")
    if parts.username is not None or parts.password is not None:
        raise UsageError("--url may hold no user and password", hint="the server asks for none")
    return parts._replace(path=parts.path.rstrip("/"))
