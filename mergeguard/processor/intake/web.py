"""The web server: uvicorn on a socket of ours, in a thread of its own, so that the process decides when it ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mergeguard.errors import UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_BACKLOG: Final = 2048
_MOST_AT_ONCE: Final = 2048
"""Connections; uvicorn answers 503 to those above."""


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 is any that is free.

    Raises:
        UsageError: the address is taken, or is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as failure:
        raise UsageError(
            f"{host}:{port} cannot be listened on: {getattr(failure, 'strerror', None) or failure}",
            hint="another server may have it; give another --port",
        ) from None


class WebServer:
    """Serves one application on one socket."""

    def __init__(
        self, app: ASGIApp, listening: socket.socket, stop_seconds: float, ended: Callable[[], object]
    ) -> None:
        """Serve ``app`` on ``listening``; ``ended`` is called if the server ends by a bug of its own."""
        import uvicorn  # noqa: PLC0415 - comes with the extra `serve`

        self._socket = listening
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            limit_concurrency=_MOST_AT_ONCE,
            timeout_graceful_shutdown=max(1, round(stop_seconds)),
        )
        self._server = uvicorn.Server(config)
        self._ended = ended
        self._bug: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    @property
    def url(self) -> str:
        """Where it is reached."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Take no more connections, finish the requests under way, and end; raise what the server ended by."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join()
        self._socket.close()
        if self._bug is not None:
            raise self._bug

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except Exception as bug:  # noqa: BLE001 - it must end the process, not leave it deaf
            self._bug = bug
            self._ended()
