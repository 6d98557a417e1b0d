"""A PostgreSQL of a test's own, which is stopped and started again as it likes: others share the tests' server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from postgres_server import SETTINGS, Cluster

How = Literal["fast", "immediate"]
"""Told to end, or ended as by a power cut: what was committed is recovered from the log at the next start."""


class StoppingServer:
    """One cluster at one address, whether it runs or not."""

    def __init__(self, folder: Path) -> None:
        self._cluster = Cluster(folder)
        self.url = self._cluster.start()["url"]
        self._port = sa.make_url(self.url).port

    def stop(self, how: How) -> None:
        stopped = self._cluster._pg_ctl("stop", "-m", how, "-w")
        assert stopped.returncode == 0, stopped.stderr

    def start(self) -> None:
        options = " ".join(f"-c {name}='{value}'" for name, value in {**SETTINGS, "port": self._port}.items())
        started = self._cluster._pg_ctl("start", "-w", "-l", self._cluster.log, "-o", options)
        assert started.returncode == 0, f"{started.stderr}\n{self._cluster.log.read_text()[-2000:]}"

    def close(self) -> None:
        self._cluster.stop()


@contextmanager
def stopping_server() -> Iterator[StoppingServer]:
    """Run a server until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="mergeguard-stopping-") as folder:
        server = StoppingServer(Path(folder))
        try:
            yield server
        finally:
            server.close()
