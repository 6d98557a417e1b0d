"""Posts over HTTP at 64 connections: the whole intake beside Starlette alone, which reads the body and answers.

    python scripts/bench/posting.py [--posts 10000] [--connections 64] [--bytes 200] [--rounds 3]
                                    [--database sqlite|postgresql] [--folder DIR]

Both run under uvicorn with the same settings; the intake answers after its event is in the database, which waits for
its disk: put the folder on a real one. One process posts, over connections that stay open, and waits for each answer
before it posts again there.
"""
# ruff: noqa: PLC0415 - a server's packages are imported in the child that serves

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from measure import mergeguard, postgresql, print_machine, print_ratios, rounds, script

BARE, OURS = "starlette alone", "mergeguard"
PAGE = "/Altiris/NS/Agent/PostEvent.aspx"


def serve_bare() -> None:
    """Serve what takes a body and knows nothing of it."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    from mergeguard.processor.intake.web import bound

    async def take(request: Request) -> Response:
        await request.body()
        return PlainTextResponse("event 1\n")

    listening = bound("127.0.0.1", 0)
    print(json.dumps({"message": "ready"}), file=sys.stderr)
    print(
        json.dumps({"message": "serving", "url": f"http://127.0.0.1:{listening.getsockname()[1]}"}),
        file=sys.stderr,
        flush=True,
    )
    config = uvicorn.Config(
        Starlette(routes=[Route(PAGE, take, methods=["POST"])]),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
    )
    uvicorn.Server(config).run(sockets=[listening])


@contextlib.contextmanager
def served(command: Sequence[str], folder: Path) -> Iterator[tuple[str, int]]:
    """Start a server; yield its address and its process's number once it is ready."""
    environment = {**os.environ, "MERGEGUARD_EVENT_QUEUE_PATH": str(folder / "EventQueue")}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    url, ready = "", False
    while not (url and ready):
        line = process.stderr.readline() if process.stderr else ""
        if not line:
            raise SystemExit(f"the server ended with {process.wait()}")
        said = json.loads(line) if line.startswith("{") else {"message": line.strip()}
        ready = ready or said["message"] == "ready"
        url = said.get("url") or url
    threading.Thread(target=process.communicate, daemon=True).start()  # so that its log never fills the pipe
    try:
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()


async def connection(url: str, body: bytes, posts: Iterator[int]) -> None:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = f"POST {PAGE}?priority=1 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for _ in posts:
        writer.write(head + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the server said {answer[:60]!r}")
        size = int(answer.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(size)
    writer.close()


async def seconds(url: str, body: bytes, posts: int, connections: int) -> float:
    for count in (posts // 10, posts):  # the first part warms up
        left = iter(range(count))
        start = time.perf_counter()
        await asyncio.gather(*(connection(url, body, left) for _ in range(connections)))
    return time.perf_counter() - start


def measured(command: Sequence[str], folder: Path, chosen: argparse.Namespace) -> float:
    """Return the seconds of one round; a database is served from the same folder in each of them."""
    body = b"<message>" + b"x" * (chosen.bytes - 19) + b"</message>"
    with served(command, folder) as (url, _):
        return asyncio.run(seconds(url, body, chosen.posts, chosen.connections))


def main() -> None:
    if sys.argv[1:] == ["serve-bare"]:
        serve_bare()
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--bytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--folder", type=Path, help="on a real disk")
    chosen = parser.parse_args()
    print_machine()
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=chosen.folder)))
        lite = chosen.database == "sqlite"
        target = str(scratch / "queue.db") if lite else stack.enter_context(postgresql(durable=True))
        ours = mergeguard("serve", target, "--port", "0", "--intake-only")
        bare = script("posting.py", "serve-bare")
        figures = rounds(
            chosen.rounds,
            {BARE: lambda: measured(bare, scratch, chosen), OURS: lambda: measured(ours, scratch, chosen)},
        )
        rates = {name: f"{chosen.posts / min(values):,.0f} posts/s" for name, values in figures.items()}
    print_ratios(
        f"posts of {chosen.bytes} bytes, {chosen.connections} connections, {chosen.database}", figures, BARE, rates
    )


if __name__ == "__main__":
    main()
