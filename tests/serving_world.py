"""Real servers for tests: `mergeguard serve` as a process, posts over sockets, and a door that a database can be shut
behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mergeguard.processor.intake.posts import POST_EVENT

LONG = 60
LIMITED = (
    "import os, resource, sys; most = int(sys.argv[1]); resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)


@dataclass
class Served:
    """One server process."""

    process: subprocess.Popen[str]
    url: str
    log: list[dict[str, Any]]
    reader: threading.Thread
    told: threading.Condition

    def post(self, body: bytes, query: str = "") -> tuple[int, str]:
        """Post once; return status and text."""
        where = urlsplit(self.url)
        with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=LONG)) as connection:
            connection.request("POST", POST_EVENT + query, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def get(self, path: str) -> tuple[int, str]:
        where = urlsplit(self.url)
        with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=LONG)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def wait_for(self, message: str) -> dict[str, Any]:
        """Wait until the log says so."""
        with self.told:
            found: list[dict[str, Any]] = []

            def said() -> bool:
                found[:] = [line for line in self.log if line["message"] == message]
                return bool(found)

            assert self.told.wait_for(said, LONG), self.log
        return found[0]

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.end()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; return its exit code."""
        self.process.send_signal(number)
        return self.end()

    def end(self) -> int:
        code = self.process.wait(LONG)
        self.reader.join(LONG)
        return code


@dataclass
class Site:
    """A database and a folder, and the servers on them."""

    target: str
    root: Path
    settings: dict[str, str] = field(default_factory=dict)
    largest: int | None = None
    """Most bytes that its processes may have in a file; a write above them fails as on a full disk."""
    handler: str = "store"
    """What its servers do with events."""

    def environment(self) -> dict[str, str]:
        given = {"MERGEGUARD_EVENT_QUEUE_PATH": str(self.root), **self.settings}
        return {name: value for name, value in os.environ.items() if not name.startswith("MERGEGUARD_")} | given

    def command(self, *flags: str) -> list[str]:
        given = ("--port", "0", "--handler", self.handler)
        served = [sys.executable, "-m", "mergeguard", "serve", self.target, *given, *flags]
        return served if self.largest is None else [sys.executable, "-c", LIMITED, str(self.largest), *served]

    def run(self, *flags: str) -> subprocess.CompletedProcess[str]:
        """Run a server that ends by itself."""
        return subprocess.run(
            self.command(*flags),
            env=self.environment(),
            cwd=self.root.parent,
            capture_output=True,
            text=True,
            timeout=LONG,
            check=False,
        )

    @contextmanager
    def serve(self, *flags: str, ready: bool = True) -> Iterator[Served]:
        """Start a server, and wait until it is ready; it has ended when the block has."""
        process = subprocess.Popen(
            self.command(*flags), env=self.environment(), cwd=self.root.parent, stderr=subprocess.PIPE, text=True
        )
        log: list[dict[str, Any]] = []
        told = threading.Condition()

        def read() -> None:
            assert process.stderr is not None
            with process.stderr as lines:
                for line in lines:
                    with told:
                        log.append(json.loads(line) if line.startswith("{") else {"message": line.strip()})
                        told.notify_all()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        served = Served(process, "", log, reader, told)
        try:
            served.url = served.wait_for("serving")["url"] or ""
            if ready:
                served.wait_for("ready")
            yield served
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            served.end()


class Door:
    """A way to a server that can be shut: connections through it break, and new ones are refused."""

    def __init__(self, host: str, port: int) -> None:
        self._behind = (host, port)
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.port = 0
        self.open()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Break everything; on return nothing gets through."""
        assert self._listener is not None
        with self._lock:
            # Only ``shutdown`` wakes the thread that accepts.
            for one in [self._listener, *self._open]:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
            self._open.clear()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                inside, _ = listener.accept()
                outside = socket.create_connection(self._behind)
            except OSError:
                return
            with self._lock:
                if self._listener is not listener:
                    inside.close()
                    outside.close()
                    return
                self._open += [inside, outside]
            for pair in ((inside, outside), (outside, inside)):
                threading.Thread(target=_pass_on, args=pair, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def post_from(served: Served, bodies: Sequence[bytes], threads: int = 8) -> tuple[set[bytes], set[bytes]]:
    """Post from several threads until all is posted or the server is gone; return what was accepted, and refused."""
    accepted: set[bytes] = set()
    refused: set[bytes] = set()
    waiting = list(reversed(bodies))

    def work() -> None:
        while True:
            try:
                body = waiting.pop()
            except IndexError:
                return
            try:
                status, _ = served.post(body)
            except (OSError, http.client.HTTPException):
                return
            (accepted if status == 200 else refused).add(body)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return accepted, refused
