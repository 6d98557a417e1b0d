"""The pages of the server: the agents' one, and those that tell how it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mergeguard.processor.intake.creation import CREATE_RESOURCE, Creation
from mergeguard.processor.intake.http import Intake
from mergeguard.processor.intake.posts import POST_EVENT
from mergeguard.processor.intake.readiness import OK, Readiness

_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


def create_app(
    intake: Intake, readiness: Readiness, exposition: Callable[[], str], creation: Creation | None = None
) -> ASGIApp:
    """Return the application.

    Args:
        intake: takes posts in.
        readiness: says whether it can.
        exposition: writes the metrics, in Prometheus' text format.
        creation: tells agents their guids; ``None``: this server knows no resources.
    """

    async def alive(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_request: Request) -> Response:
        parts = await readiness.parts()
        well = all(part == OK for part in parts.values())
        return JSONResponse({"ready": well, "parts": dict(parts)}, 200 if well else 503)

    async def metrics(_request: Request) -> Response:
        return Response(await anyio.to_thread.run_sync(exposition), media_type=_PROMETHEUS)

    agent = POST_EVENT.lower()
    routes = [
        Route(agent, intake.post_event, methods=["POST"]),
        Route(agent.removesuffix("x"), intake.post_event, methods=["POST"]),  # as agents of an older kind call it
        *(
            []
            if creation is None
            else [Route(CREATE_RESOURCE.lower(), creation.create_resource, methods=["GET", "POST"])]
        ),
        Route("/healthz", alive),
        Route("/readyz", ready),
        Route("/metrics", metrics),
    ]
    return _AnyCase(Starlette(routes=routes))


class _AnyCase:
    """Takes paths in any case of letters, as the platform's own server does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            scope = {**scope, "path": scope["path"].lower()}
        await self._app(scope, receive, send)
