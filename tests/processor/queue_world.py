"""Workers, handlers that misbehave by a script, a database with trouble, one clock: a whole processor, step by step.

What happens is drawn from one stream of choices, so that a failure replays and shrinks. ``Broken`` names the check.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from processor.fake_store import FakeStore

from mergeguard.core.events import NO_SOURCE, Claim, Event, NewEvent, Queue, Ran, Reason
from mergeguard.core.order import OrderBroken, State
from mergeguard.errors import ConnectionLost, EventParked, Locked, MalformedEvent
from mergeguard.processor.backup import FailureBackup
from mergeguard.processor.circuit import Circuit
from mergeguard.processor.dispatcher import Dispatcher, Seat
from mergeguard.processor.event_bodies import EventBodies
from mergeguard.processor.handlers import EventBatch
from mergeguard.processor.renewals import Renewals
from mergeguard.processor.settings import Settings
from mergeguard.processor.waking import Waking
from mergeguard.processor.worker import Worker

SOURCES = (NO_SOURCE, uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=3))
Broken = OrderBroken
"""The model's and the world's failures are one kind: each has the name of its check."""


class Choices(Protocol):
    """Where a run takes its decisions from."""

    def choose(self, below: int) -> int:
        """Return a number from 0 to below it; 0 is the dullest."""


@dataclass
class Dice:
    """Choices of a seed."""

    seed: int
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def choose(self, below: int) -> int:
        return self.random.randrange(below)


class Crash(BaseException):
    """A process ends here and now: nothing of it runs any more."""


class Mishap(Exception):
    """What a scripted handler raises."""


@dataclass(frozen=True)
class Script:
    """How an event behaves."""

    kind: str = "good"
    fails: int = 0
    """So many tries fail; poison never stops."""
    milliseconds: int = 0

    @property
    def is_poison(self) -> bool:
        return self.fails >= POISON or self.kind in DEADLY


POISON = 99
DEADLY = {"malformed", "lost body"}
KINDS = (
    "good",  # adds its effect to the unit of work
    "executes",  # writes through the connection
    "bad statement",  # fails by a statement that is only sent at the end
    "bad execute",  # fails by one that is run at once
    "swallows",  # runs a bad statement and hides it
    "exits",  # fails by SystemExit
    "external",  # has an effect outside
    "external fails",  # fails by it
    "file",
    "lost body",
    "malformed",
    "tangled",  # is parked until its guid is mended
)


@dataclass
class Process:
    """One process: what it remembers is gone when it crashes."""

    dispatchers: dict[Queue, Dispatcher]
    seats: list[tuple[Queue, Seat]]
    circuit: Circuit
    renewals: Renewals
    backup: FailureBackup
    waking: Waking


class World:
    """A store, its events with their scripts, and processes that handle them.

    Args:
        choices: what happens.
        folder: of the queue.
        settings: of all processes.
        troubles: so many calls of the store may fail; then the world is at peace.
    """

    def __init__(self, choices: Choices, folder: Path, settings: Settings, *, troubles: int = 12) -> None:
        self.choices = choices
        self.settings = settings
        self.folder = folder
        settings.queue_folder.mkdir(parents=True, exist_ok=True)
        self.store = FakeStore()
        self.store.trouble = self._trouble
        self.store.committed = self._committed
        self.scripts: dict[int, Script] = {}
        self.charged: Counter[int] = Counter()
        """Failed tries that were committed, by event."""
        self.tangled: set[uuid.UUID] = set()
        """Guids that lead nowhere for now."""
        self.calls: Counter[int] = Counter()
        self.outside: list[tuple[int, str]] = []
        self.running: list[int] = []
        """Events whose handlers have begun and not ended, the outer first."""
        self.seen: Counter[str] = Counter()
        self.troubles = troubles
        self._asleep = False
        self._busy: set[int] = set()
        self.processes = [self._process(number) for number in range(2)]

    # --- Events ---

    def register(self, source: uuid.UUID, priority: int, queue: Queue, script: Script) -> int:
        file = f"{uuid.UUID(int=len(self.scripts) + 1)}.NSE" if script.kind in ("file", "lost body") else None
        body = b"<message>%d</message>" % len(self.scripts)
        if file is not None:
            (self.settings.queue_folder / file).write_bytes(body)
        new = NewEvent(source, priority, queue, len(body), None if file else body, file)
        with self.at_peace():
            (place,) = self.store.register([new])
        assert not hasattr(place, "reason")
        self.scripts[place.id] = script
        if script.kind == "tangled":
            self.tangled.add(guid_of(place.id))
        if script.kind == "lost body" and file is not None:
            (self.settings.queue_folder / file).unlink()
        return place.id

    def handle(self, event: Event, body: bytes, batch: EventBatch) -> None:
        """Behave by the script; now and then another worker runs meanwhile, or time goes by."""
        script = self.scripts[event.id]
        self.calls[event.id] += 1
        if body != self.body(event.id):
            self._break("no_loss", f"{event.id} came with another body")
        self.store.pass_time(script.milliseconds / 1000)
        self._interlude(event)
        fails = self.charged[event.id] < script.fails
        if script.kind == "malformed":
            raise MalformedEvent("it is")
        self._tangle(event, batch)
        if script.kind == "swallows" and fails:
            self._swallow(batch)
        elif script.kind == "bad statement" and fails:
            batch.add("nonsense")
        elif script.kind == "bad execute" and fails:
            batch.connection.execute("nonsense")
        elif script.kind == "exits" and fails:
            raise SystemExit(1)
        elif script.kind.startswith("external"):
            batch.effect(lambda key: self._outside(event, key, fails=fails and script.kind == "external fails"))
            batch.add("effect", (event.id,))
        elif fails:
            batch.add("effect", (event.id,))
            raise Mishap(f"try {self.charged[event.id] + 1}")
        elif script.kind == "executes":
            batch.connection.execute("effect", (event.id,))
        else:
            batch.add("effect", (event.id,))

    def _tangle(self, event: Event, batch: EventBatch) -> None:
        if guid_of(event.id) in self.tangled:
            self.seen["parked"] += 1
            batch.add("effect", (event.id,))
            raise EventParked("it leads in a circle", guids=(guid_of(event.id),), status="cycle")

    def _break(self, check: str, what: str) -> None:
        """Note what is wrong where a raise would be taken for the handler's own."""
        self.store.broken.append(Broken(check, what))

    def _swallow(self, batch: EventBatch) -> None:
        try:
            batch.connection.execute("nonsense")
        except (ConnectionLost, Locked):
            raise
        except Exception:  # noqa: BLE001, S110 - what a careless handler does
            pass

    def _outside(self, event: Event, key: str, *, fails: bool) -> None:
        if key != str(event.id):
            self._break("effect_once", f"the effect of {event.id} has the key {key}")
        if fails:
            raise Mishap("outside")
        self.outside.append((event.id, key))

    def _interlude(self, event: Event) -> None:
        self.running.append(event.id)
        try:
            self.seen["two at once"] += len(self.running) > 1
            what = self.choices.choose(40)
            if what == 39:
                self.store.pass_time(self.settings.lease_seconds * 1.5)
                self.seen["a lease ran out under its worker"] += 1
            elif what in (37, 38) and len(self.running) < 3:
                self.step(self.choices.choose(len(self.processes)))
            elif what == 36 and not self._asleep:
                self.seen["crash in a handler"] += 1
                raise Crash
            elif what == 35:
                for process in self.processes:
                    process.renewals.renew()
        finally:
            self.running.pop()

    # --- Processes ---

    def _process(self, number: int) -> Process:
        store, settings = self.store, lambda: self.settings
        circuit = Circuit(store.sweep, self._pause, lambda: 1.0)
        renewals = Renewals(store, lambda: self.settings.lease, lambda: store.seconds)
        bodies = EventBodies(self.settings.queue_folder)
        dispatchers = {
            queue: Dispatcher(
                queue, store, settings, circuit, renewals, is_stopping=lambda: False, wait=self.store.pass_time
            )
            for queue in (Queue.FAST, Queue.NORMAL)
        }
        seats = [
            (queue, Seat(self._worker(bodies), f"process {number} {queue.name} {seat} {len(self.scripts)}"))
            for queue in dispatchers
            for seat in range(2)
        ]
        backup, waking = FailureBackup(store, settings, bodies), Waking(store, self.lead_somewhere)
        return Process(dispatchers, seats, circuit, renewals, backup, waking)

    def lead_somewhere(self, guids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        return {*guids} - self.tangled

    def _worker(self, bodies: EventBodies) -> Worker:
        return Worker(
            self.store,
            lambda: self.settings,
            self,
            bodies,
            clock=lambda: self.store.seconds,
            is_stopping=lambda: False,
        )

    def _pause(self, seconds: float) -> bool:
        self.store.pass_time(seconds)
        self.seen["pause"] += 1
        return False

    def step(self, number: int) -> None:
        """Let one process do one thing; if it crashes, another one begins in its place."""
        try:
            self._step(self.processes[number])
        except Crash:
            self.seen["crash"] += 1
            if self.running:  # an outer handler of the same process would have died with it
                return
            self.processes[number] = self._process(number)
        self._complain()

    def _complain(self) -> None:
        if self.store.broken:
            raise self.store.broken[0]

    def _step(self, process: Process) -> None:
        what = self.choices.choose(10)
        if what == 9:
            self.look(process)
        elif what == 8:
            self.mend(1)
        elif what == 7:
            self.backup(process)
        elif what == 6:
            self.store.pass_time((0.05, 0.1, 0.4, 2.0)[self.choices.choose(4)])
        elif process.circuit.passed():
            queue, seat = process.seats[what % len(process.seats)]
            self.work(process, queue, seat)

    def work(self, process: Process, queue: Queue, seat: Seat) -> None:
        """Let a thread do one round, unless it is in the middle of one."""
        if id(seat) in self._busy:
            return
        self._busy.add(id(seat))
        try:
            dispatcher = process.dispatchers[queue]
            claim = dispatcher.claim(seat) if dispatcher.is_free(seat) else None
            if claim is not None:
                dispatcher.run(seat, claim)
        finally:
            self._busy.discard(id(seat))

    def backup(self, process: Process) -> None:
        try:
            process.backup.move()
        except (ConnectionLost, Locked):
            self.seen["backup failed"] += 1

    def mend(self, guids: int) -> None:
        """Somebody mends the merges of some guids, and tells nobody."""
        for _ in range(min(guids, len(self.tangled))):
            self.tangled.remove(sorted(self.tangled)[self.choices.choose(len(self.tangled))])

    def look(self, process: Process) -> None:
        try:
            self.seen["woken"] += len(process.waking.look())
        except (ConnectionLost, Locked):
            self.seen["look failed"] += 1

    # --- Trouble ---

    def at_peace(self) -> Peace:
        return Peace(self)

    def _trouble(self, call: str) -> None:
        if call == "drop":
            self._check_backup()
        if self._asleep or not self.troubles:
            return
        what = self.choices.choose(30)
        if what < 27:
            return
        self.troubles -= 1
        self.seen[f"{('outage', 'clash', 'crash')[what - 27]} at {call}"] += 1
        if what == 29:
            raise Crash
        if what == 28 and not call.startswith("after"):
            raise Locked("a deadlock")
        raise ConnectionLost("the server went away")

    # --- Checks ---

    def _committed(self, _claim: Claim, ran: Sequence[Ran]) -> None:
        for one in ran:
            if one.failure is not None:
                self._check_failure(one)
        self.check()

    def _check_failure(self, ran: Ran) -> None:
        failure = ran.failure
        assert failure is not None
        event = ran.lease.events[ran.done]
        script = self.scripts[event.id]
        before = self.charged[event.id]
        self.charged[event.id] += 1
        if failure.reason is Reason.LOST_BODY and script.kind != "lost body":
            raise Broken("no_loss", f"the file of {event.id} was removed while it was pending")
        if before >= script.fails and script.kind not in DEADLY:
            raise Broken("outage", f"{event.id} was charged with try {before + 1}: {failure.kind} {failure.message}")
        if script.kind in DEADLY:
            wanted = None
            reason = Reason.MALFORMED if script.kind == "malformed" else Reason.LOST_BODY
        else:
            left = before < self.settings.event_retry_limit
            wanted = (before + 1) * self.settings.retry_step_milliseconds if left else None
            reason = Reason.RETRIES
        got = None if failure.retry_after is None else failure.retry_after.total_seconds() * 1000
        if got != wanted or failure.reason is not reason:
            raise Broken("retry", f"{event.id} fails for the {before + 1}. time and waits {got} ms, not {wanted}")

    def check(self) -> None:
        """Check what must hold after each commit."""
        effects = Counter(number for (number,) in self.store.effects)
        for number, script in self.scripts.items():
            state = self.store.order.state(number)
            if effects[number] != (state is State.DONE):
                raise Broken("effect_once", f"{number} is {state} and has {effects[number]} effects")
            self._check_body(number, script, state)

    def _check_body(self, number: int, script: Script, state: State) -> None:
        file = self.store.order.events[number].file
        if file is None or script.kind == "lost body" or state in (State.DONE, State.DROPPED):
            return
        if not (self.settings.queue_folder / file).exists():
            raise Broken("no_loss", f"{number} is {state} and its file is gone")

    def _check_backup(self) -> None:
        """Before anything leaves the database, every event that is to leave it next is whole in the folder."""
        folder = self.settings.backup_folder
        written = {path.read_bytes() for path in folder.rglob("*.NSE")} if folder and folder.exists() else set()
        if not any(self.body(number) in written for number in self.store.order.dead()):
            raise Broken("no_loss", "a dead event leaves the database and is not in the folder")

    def body(self, number: int) -> bytes:
        return b"<message>%d</message>" % (number - 1)

    def settle(self, steps: int = 3000) -> None:
        """Let the world come to peace and everything come to its end."""
        with self.at_peace():
            self.mend(len(self.tangled))
            for at in range(steps):
                if not self.store.order.waiting():
                    break
                process = self.processes[at % len(self.processes)]
                self._settle(process, at)
            else:
                raise Broken("eventually", f"{self.store.order.waiting()} never end")
            for process in self.processes:
                process.backup.retry_stuck()
                self.backup(process)
        self.check()
        self._check_ends()

    def _settle(self, process: Process, at: int) -> None:
        self.store.pass_time(0.2)
        self.store.sweep()
        self.look(process)
        if process.circuit.passed():
            self.work(process, *process.seats[at // 2 % len(process.seats)])
        self._complain()

    def _check_ends(self) -> None:
        for number, script in self.scripts.items():
            state = self.store.order.state(number)
            alive = not script.is_poison and script.fails <= self.settings.event_retry_limit
            if alive != (state is State.DONE):
                check = "poison" if alive else "retry"
                raise Broken(check, f"{number} ({script}) ends as {state} after {self.charged[number]} failed tries")
            is_external = script.kind.startswith("external")
            if alive and is_external and not any(event == number for event, _ in self.outside):
                raise Broken("effect_once", f"the effect of {number} was never made")
            tries = self.settings.event_retry_limit + 1
            if not alive and self.charged[number] != (1 if script.kind in DEADLY else tries):
                raise Broken("retry", f"{number} died after {self.charged[number]} tries")
        self._check_dead()

    def _check_dead(self) -> None:
        """With a folder the dead are in it, byte for byte with their log; without one they are in the database."""
        folder = self.settings.backup_folder
        for number, script in self.scripts.items():
            state = self.store.order.state(number)
            if state is State.DONE:
                continue
            backed_up = folder is not None and script.kind != "lost body"
            if state is not (State.DROPPED if backed_up else State.DEAD):
                raise Broken("no_loss", f"{number} is {state}")
            if backed_up and folder is not None:
                found = [path for path in folder.rglob("*.NSE") if path.read_bytes() == self.body(number)]
                if len(found) != 1 or not found[0].with_suffix(".log").read_text():
                    raise Broken("no_loss", f"{number} has left the database and is {len(found)} times in the folder")


def guid_of(event: int) -> uuid.UUID:
    return uuid.UUID(int=event << 32)


@dataclass
class Peace:
    """No trouble inside."""

    world: World
    before: bool = False

    def __enter__(self) -> None:
        self.before, self.world._asleep = self.world._asleep, True

    def __exit__(self, *_error: object) -> None:
        self.world._asleep = self.before


def play(choices: Choices, folder: Path, settings: Settings, *, events: int = 14, steps: int = 60) -> World:
    """Register events, let the processes work with all kinds of trouble, and then come to the end."""
    world = World(choices, folder, settings)
    for _ in range(1 + choices.choose(events)):
        register(world)
    for _ in range(steps):
        if choices.choose(12) == 11 and len(world.scripts) < 2 * events:
            register(world)
        world.step(choices.choose(len(world.processes)))
    world.settle()
    return world


def register(world: World) -> int:
    choose = world.choices.choose
    kind = KINDS[choose(len(KINDS))]
    fails = (0, 0, 0, 1, 2, 3, 4, POISON)[choose(8)]
    plain = kind in ("lost body", "malformed", "executes", "external", "tangled")
    script = Script(kind, 0 if plain else fails, (0, 0, 5, 30, 200)[choose(5)])
    queue = (Queue.FAST, Queue.FAST, Queue.NORMAL)[choose(3)]
    return world.register(SOURCES[choose(len(SOURCES))], choose(2), queue, script)
