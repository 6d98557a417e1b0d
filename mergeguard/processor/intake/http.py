"""The agents' page ``PostEvent.aspx``: a body streams in, and is answered when its event is in the database for good.

Paths are those of the platform, in any case of letters. What a sender has to do is said by the status: 200, forget the
event; 503, keep it and post it again after ``Retry-After``; anything else, posting the same again ends the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal, Protocol

import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from mergeguard.core.events import NewEvent, Registered
from mergeguard.errors import MergeGuardError
from mergeguard.processor.intake.bodies import Decoder, codings
from mergeguard.processor.intake.patience import coming
from mergeguard.processor.intake.payloads import Payloads
from mergeguard.processor.intake.posts import envelope
from mergeguard.processor.intake.refusals import Busy, Refused, TooLarge, TooSlow
from mergeguard.processor.intake.registrar import Registrar
from mergeguard.processor.intake.registration import Outcome
from mergeguard.processor.intake.spool import Spool, Spooled
from mergeguard.processor.settings import Settings

_SOON: Final = 1
"""Seconds until a server that starts, or is started again, may be ready."""
_LINGER: Final = 1 << 20
"""Bytes of a refused body that are still read: an answer may be lost if its connection is closed on unread data."""

_log = logging.getLogger(__name__)


class Counts(Protocol):
    """Who counts the answers."""

    def posted(self, answer: Literal["accepted", "full", "busy", "refused"], posts: int = 1) -> None:
        """Count posts by what their senders were told."""


@dataclass(slots=True)
class Intake:
    """What a post is taken in with."""

    settings: Callable[[], Settings]
    payloads: Payloads
    registrar: Registrar
    counts: Counts
    closed: Callable[[], str | None] = lambda: None
    """Why no posts are to be taken in; those under way are finished. ``None``: they are."""

    async def post_event(self, request: Request) -> Response:
        """Answer one post."""
        try:
            outcome = await self._outcome(request)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody hears it
        except Refused as refusal:
            await _drain(request, self.settings().body_seconds)
            return self._refused(request, refusal)
        if isinstance(outcome, Busy):
            if not isinstance(outcome, TooSlow):
                await _drain(request, self.settings().body_seconds)
            return self._busy(outcome)
        self.counts.posted("accepted")
        return PlainTextResponse(f"event {outcome.id}\n")

    async def _outcome(self, request: Request) -> Outcome:
        closed = self.closed()
        if closed is not None:
            return Busy(f"it is {closed}", after=_SOON)
        try:
            return await self._taken(request)
        except (ClientDisconnect, Refused):
            raise
        except TooSlow as slow:
            return slow
        except MergeGuardError as failure:  # the disk's
            _log.error("a post cannot be kept", extra={"error": failure.id, "why": failure.message})
            return Busy("events cannot be kept now")
        except Exception:  # noqa: BLE001 - its sender keeps the event
            _log.exception("a post met a bug")
            return Busy("the server met a bug")

    async def _taken(self, request: Request) -> Outcome:
        settings = self.settings()
        about = envelope(request.query_params.multi_items())
        declared = codings(request.headers.get("content-encoding", ""))
        _check_announced(request, settings.max_body_bytes)
        decoder = Decoder(declared, settings.max_inflated_bytes)
        spool = Spool(self.payloads, decoder, settings.inline_characters)
        event = about.around(await _spooled(request, spool, settings), settings)
        outcome = await self._registered(event)
        if isinstance(outcome, Registered):
            about_it = {"event": outcome.id, "source": str(event.source), "priority": event.priority}
            _log.debug("event is registered", extra={**about_it, "size": event.size})
        return outcome

    async def _registered(self, event: NewEvent) -> Outcome:
        """Wait for the commit. Whoever gives up waiting leaves the event to the registrar."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Outcome] = loop.create_future()

        def settle(outcome: Outcome) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_answer, answer, outcome)

        self.registrar.submit(event, settle)
        return await answer

    def _busy(self, busy: Busy) -> Response:
        self.counts.posted("full" if busy.full else "busy")
        after = self.settings().retry_after_seconds if busy.after is None else busy.after
        headers = {"Retry-After": str(after)} | ({"Connection": "close"} if isinstance(busy, TooSlow) else {})
        return PlainTextResponse(f"{busy.message}\n", busy.status, headers=headers)

    def _refused(self, request: Request, refusal: Refused) -> Response:
        self.counts.posted("refused")
        client = request.client.host if request.client else None
        _log.warning("a post is refused", extra={"error": refusal.id, "why": refusal.message, "client": client})
        text = refusal.message if refusal.hint is None else f"{refusal.message}; {refusal.hint}"
        return PlainTextResponse(f"{text}\n", refusal.status)


async def _spooled(request: Request, spool: Spool, settings: Settings) -> Spooled:
    """Read the whole body; leave nothing of it behind if that fails."""
    size = 0
    try:
        async for data in coming(request.stream(), settings.body_seconds):
            size += len(data)
            _check_size(size, settings.max_body_bytes)
            if spool.light(data):
                spool.feed(data)
            elif data:
                await anyio.to_thread.run_sync(spool.feed, data)
        if spool.light(b""):
            return spool.finish()
        return await anyio.to_thread.run_sync(spool.finish)
    except BaseException:
        spool.discard()
        raise


def _check_announced(request: Request, most: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdigit():
        _check_size(int(announced), most)


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise TooLarge(f"the body is larger than {most:,} bytes")


async def _drain(request: Request, seconds: float) -> None:
    """Read on for a while, and as long as the rest comes, unless the sender waits to be asked for its body."""
    if "expect" in request.headers:
        return
    left = _LINGER
    with suppress(ClientDisconnect, RuntimeError, TooSlow):  # the RuntimeError: the body was read to its end
        async for data in coming(request.stream(), seconds):
            left -= len(data)
            if left < 0:
                return


def _answer(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)
