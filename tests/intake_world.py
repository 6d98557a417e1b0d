"""A world for tests of the intake: real folders, a store in a dictionary that can be told to fail, an app around it."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mergeguard.core.events import Denied, NewEvent, Queue, Reason, Registered
from mergeguard.processor.intake.app import create_app
from mergeguard.processor.intake.http import Intake
from mergeguard.processor.intake.inbox import Inbox
from mergeguard.processor.intake.inbox_steps import InboxSteps
from mergeguard.processor.intake.payloads import Payloads
from mergeguard.processor.intake.posts import POST_EVENT
from mergeguard.processor.intake.readiness import Readiness
from mergeguard.processor.intake.registrar import Registrar
from mergeguard.processor.settings import LEGACY_FOLDERS, Settings
from mergeguard.storage.queue.store import QueueSize

INBOXES = ("EvtInbox", *LEGACY_FOLDERS)


@dataclass
class PlainStore:
    """What the intake asks of a store, in plain Python; the real ones have a contract suite of their own."""

    rows: dict[int, NewEvent] = field(default_factory=dict)
    faults: list[Exception] = field(default_factory=list)
    """Each is raised by one call of ``register``, in order, before anything is done."""
    late_faults: list[Exception] = field(default_factory=list)
    """Likewise, but after the commit: the answer is lost."""
    groups: list[int] = field(default_factory=list)
    gate: threading.Event | None = None
    """Holds ``register`` up until it is set."""
    entered: threading.Event = field(default_factory=threading.Event)
    down: Exception | None = None
    highest: int = 0
    """Most bytes in files there ever were."""
    next_id: int = 1

    def register(self, events: Sequence[NewEvent], *, file_limit: int = 0) -> Sequence[Registered | Denied]:
        self.entered.set()
        if self.gate is not None:
            assert self.gate.wait(30)
        if self.down is not None:
            raise self.down
        if self.faults:
            raise self.faults.pop(0)
        self.groups.append(len(events))
        answers = [self._one(event, file_limit) for event in events]
        if self.late_faults:
            raise self.late_faults.pop(0)
        return answers

    def _one(self, event: NewEvent, file_limit: int) -> Registered | Denied:
        if event.file is not None and file_limit and self.file_bytes + event.size > file_limit:
            return Denied(Reason.FULL)
        self.rows[self.next_id] = event
        self.next_id += 1
        self.highest = max(self.highest, self.file_bytes)
        return Registered(self.next_id - 1)

    @property
    def file_bytes(self) -> int:
        return sum(event.size for event in self.rows.values() if event.file is not None)

    def files(self) -> Mapping[str, int]:
        if self.down is not None:
            raise self.down
        return {event.file: number for number, event in self.rows.items() if event.file is not None}

    def sizes(self) -> Sequence[QueueSize]:
        if self.down is not None:
            raise self.down
        return [QueueSize(Queue.FAST, len(self.rows), 0, self.file_bytes, 0, 0, 0, 0, 0)]

    def now(self) -> dt.datetime:
        if self.down is not None:
            raise self.down
        return dt.datetime.now(dt.UTC)

    def create(self) -> None:
        if self.down is not None:
            raise self.down


@dataclass
class Tally:
    """Counts by name."""

    counted: dict[str, int] = field(default_factory=dict)

    def posted(self, answer: str, posts: int = 1) -> None:
        self.counted[answer] = self.counted.get(answer, 0) + posts

    def taken_from_inbox(self, outcome: str, files: int = 1) -> None:
        self.counted[f"inbox {outcome}"] = self.counted.get(f"inbox {outcome}", 0) + files


@dataclass(frozen=True)
class Answer:
    """What an app sent back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Caller:
    """Calls an app without a socket; what is posted arrives in the chunks that it is given in."""

    app: Any

    def post(
        self, path: str, chunks: bytes | Sequence[bytes] = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Post; ``None`` among the chunks: the sender goes away there."""
        return asyncio.run(self._call("POST", path, [chunks] if isinstance(chunks, bytes) else chunks, headers or {}))

    def get(self, path: str) -> Answer:
        return asyncio.run(self._call("GET", path, [], {}))

    async def _call(self, method: str, path: str, chunks: Sequence[bytes], headers: Mapping[str, str]) -> Answer:
        bare, _, query = path.partition("?")
        messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks if chunk is not None]
        messages += [{"type": "http.disconnect" if None in chunks else "http.request", "body": b"", "more_body": False}]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(bare),
            "raw_path": bare.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.1", 50_000),
            "server": ("192.0.2.2", 80),
        }
        await self.app(scope, receive, send)
        heads = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], heads, b"".join(message.get("body", b"") for message in sent[1:]))


@dataclass
class World:
    """One server's intake, without sockets."""

    root: Path
    settings: Settings
    store: PlainStore
    payloads: Payloads
    registrar: Registrar
    tally: Tally
    waited: list[float]
    now: float = 0.0

    def caller(self, *, stopping: bool = False) -> Caller:
        """Return what calls the app of this world."""

        def closed() -> str | None:
            return "shutting down" if stopping else None

        intake = Intake(lambda: self.settings, self.payloads, self.registrar, self.tally, closed)
        readiness = Readiness(self.store, self.payloads.folder, closed)
        return Caller(create_app(intake, readiness, lambda: "metrics\n"))

    @property
    def inbox(self) -> Inbox:
        steps = InboxSteps(self.payloads, self.registrar, lambda: self.settings)
        return Inbox(self.store, steps, lambda: self.settings, self.tally, lambda: self.now)

    @property
    def files(self) -> set[str]:
        """What lies in the folder of the payloads."""
        return {path.name for path in self.payloads.folder.iterdir()}

    def bodies(self) -> list[bytes]:
        """The bodies of what is registered, in order."""
        return [self.body_of(event) for _, event in sorted(self.store.rows.items())]

    def body_of(self, event: NewEvent) -> bytes:
        if event.file is None:
            assert event.body is not None
            return event.body
        return self.payloads.path(event.file).read_bytes()

    def check(self) -> None:
        """Files and rows belong together, one to one, and sizes are what they say."""
        named = [event.file for event in self.store.rows.values() if event.file is not None]
        assert len(named) == len(set(named))
        assert self.files == set(named)
        assert all(len(self.body_of(event)) == event.size for event in self.store.rows.values())


@contextmanager
def world(root: Path, store: PlainStore | None = None, **settings: object) -> Iterator[World]:
    """Open a world whose queue lies in ``root``; retries wait for nothing."""
    waited: list[float] = []
    chosen = Settings(event_queue_path=root, **settings)  # type: ignore[arg-type]
    payloads = Payloads(chosen.queue_folder)
    payloads.prepare()
    for folder in (chosen.inbox_folder, *chosen.legacy_folders):
        folder.mkdir(exist_ok=True)
    kept = store or PlainStore()
    here: list[World] = []
    current: Callable[[], Settings] = lambda: here[0].settings if here else chosen  # noqa: E731 - two words
    registrar = Registrar(kept, payloads, current, wait=waited.append)  # type: ignore[arg-type]
    here.append(World(root, chosen, kept, payloads, registrar, Tally(), waited))
    registrar.start()
    try:
        yield here[0]
    finally:
        if kept.gate is not None:
            kept.gate.set()
        registrar.close()


def put(here: World, name: str, body: bytes = b"<event/>", folder: str = "EvtInbox") -> Path:
    path = here.root / folder / name
    path.write_bytes(body)
    return path


def settle(here: World, inbox: Inbox) -> None:
    """Let time pass until what is complete is taken in."""
    inbox.look()
    here.now += 1.0
    inbox.look()


def left(here: World) -> set[str]:
    return {path.name for folder in INBOXES for path in (here.root / folder).iterdir()}


async def posted(app: Any, pieces: Sequence[bytes], path: str = POST_EVENT) -> list[dict[str, Any]]:
    """Post pieces and stop in the middle; return what is answered."""
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    answered: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        answered.append(message)

    about = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": []}
    place = {"asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "", "query_string": b""}
    await app({**about, **place, "client": ("192.0.2.1", 1), "server": ("192.0.2.2", 80)}, receive, send)
    return answered
