"""The agents' page ``CreateResource.aspx``: keys go in, and the guid of the resource that has them comes out.

An agent asks when it has no guid, or when it was told that its own is not known any more. If a resource has one of its
keys the answer is that resource's guid as it is now, whatever was merged since; otherwise a resource is made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal, Protocol
from xml.sax.saxutils import quoteattr

import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from mergeguard.core.nse.message import Resource
from mergeguard.errors import EventParked, MalformedEvent, MergeGuardError
from mergeguard.processor.intake.asking import asked_in_query, asked_in_xml
from mergeguard.processor.intake.bodies import Decoder, codings
from mergeguard.processor.intake.patience import coming
from mergeguard.processor.intake.refusals import BUSY_TEXT, Refused, TooLarge, TooSlow
from mergeguard.processor.settings import Settings

CREATE_RESOURCE: Final = "/Altiris/NS/Agent/CreateResource.aspx"
"""The page that agents ask for their guid."""
MOST_BYTES: Final = 256 * 1024
"""Of a question: hundreds of keys fit in."""
_SOON: Final = 1

_log = logging.getLogger(__name__)


class Registry(Protocol):
    """Who knows the resources of the database."""

    def register(self, asked: Resource) -> Resource:
        """Return the resource that has one of the keys, as it stands now; make it where there is none.

        Blocks. It has no more keys than it is asked with, and its guid is always set.

        Raises:
            EventParked: the keys, or the guid, lead into a cycle or a split; nothing is made.
            MalformedEvent: no resource can be made of this: no key that counts, or a type that is not known.
            MergeGuardError: the database does not take it now.
        """
        ...


class Counts(Protocol):
    """Who counts the answers."""

    def asked(self, answer: Literal["told", "busy", "refused"]) -> None:
        """Count questions by what the agent was told."""


@dataclass(slots=True)
class Creation:
    """Answers the page.

    Args:
        registry: who knows the resources.
        settings: those in force.
        counts: the answers.
        closed: why nobody is answered; ``None``: they are.
    """

    registry: Registry
    settings: Callable[[], Settings]
    counts: Counts
    closed: Callable[[], str | None] = lambda: None

    async def create_resource(self, request: Request) -> Response:
        """Answer one question."""
        closed = self.closed()
        if closed is not None:
            return self._busy(f"it is {closed}", _SOON)
        try:
            asked = await _asked(request, self.settings().body_seconds)
            found = await anyio.to_thread.run_sync(self.registry.register, asked)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody hears it
        except TooSlow as slow:
            self.counts.asked("busy")
            headers = {"Retry-After": str(self.settings().retry_after_seconds), "Connection": "close"}
            return PlainTextResponse(f"{slow.message}\n", slow.status, headers=headers)
        except (Refused, MalformedEvent) as refusal:
            self.counts.asked("refused")
            return _refused(request, refusal)
        except Exception as failure:  # noqa: BLE001 - the agent asks again
            return self._busy(_why(failure), self.settings().retry_after_seconds)
        self.counts.asked("told")
        return Response(answer_of(found), media_type="text/xml; charset=utf-8")

    def _busy(self, reason: str, after: int) -> Response:
        self.counts.asked("busy")
        text = f"{BUSY_TEXT}: {reason}\n"
        return PlainTextResponse(text, HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": str(after)})


def _why(failure: Exception) -> str:
    """Say why a resource cannot be had now."""
    if isinstance(failure, EventParked):
        return failure.message
    if isinstance(failure, MergeGuardError):
        _log.warning("a resource was not created", extra={"error": failure.id, "why": failure.message})
        return "the database does not take resources now"
    _log.error("a question for a resource met a bug", exc_info=failure)
    return "the server met a bug"


def answer_of(found: Resource) -> str:
    """Write what an agent reads: its guid, and what it was asked for."""
    kind = "" if found.type is None else f" typeGuid={quoteattr(str(found.type))}"
    name = f" name={quoteattr(found.name)}" if found.name else ""
    return f"<resource guid={quoteattr(str(found.guid))}{kind}{name} />\n"


async def _asked(request: Request, seconds: float) -> Resource:
    """Read the question: XML in the body, or in the query as ``xml``, or plain words in the query."""
    body = await _body(request, seconds)
    query = request.query_params.multi_items()
    said = [value for name, value in query if name.lower() == "xml"]
    if body:
        return asked_in_xml(body)
    if said:
        return asked_in_xml(said[-1].encode())
    return asked_in_query(query)


async def _body(request: Request, seconds: float) -> bytes:
    decoder = Decoder(codings(request.headers.get("content-encoding", "")), MOST_BYTES)
    whole = bytearray()
    async for data in coming(request.stream(), seconds):
        whole.extend(b"".join(decoder.feed(data)))
        if len(whole) > MOST_BYTES:
            raise TooLarge(f"the question is larger than {MOST_BYTES:,} bytes")
    whole.extend(b"".join(decoder.finish()))
    return bytes(whole)


def _refused(request: Request, refusal: MergeGuardError) -> Response:
    status = refusal.status if isinstance(refusal, Refused) else HTTPStatus.BAD_REQUEST
    client = request.client.host if request.client else None
    about = {"error": refusal.id, "why": refusal.message, "client": client}
    _log.warning("a question for a resource is refused", extra=about)
    text = refusal.message if refusal.hint is None else f"{refusal.message}; {refusal.hint}"
    return PlainTextResponse(f"{text}\n", status)
