"""The steps by which a file of an inbox becomes a registered event; each can be repeated after a crash in it.

What goes wrong with one file is a value, ``Odd``; it must not keep the others. A disk that is full is an exception: it
concerns all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mergeguard.errors import WriteFailed
from mergeguard.processor.intake.bodies import PIECE, Decoder
from mergeguard.processor.intake.inbox_files import Odd, OnItsWay, Waiting, look_at
from mergeguard.processor.intake.payloads import Payload, Payloads, sync_folder
from mergeguard.processor.intake.refusals import Refused
from mergeguard.processor.intake.registrar import Registrar
from mergeguard.processor.intake.registration import Outcome
from mergeguard.processor.intake.spool import Spooled
from mergeguard.processor.settings import Settings


@dataclass(frozen=True, slots=True)
class Ready:
    """A file whose payload is on the disk."""

    file: OnItsWay
    size: int
    whole: bool = True
    """Whether its compression could be undone; if not, it goes on as it is, and dies where it is handled."""


@dataclass(slots=True)
class InboxSteps:
    """Takes files from the inboxes into the queue."""

    payloads: Payloads
    registrar: Registrar
    settings: Callable[[], Settings]

    def take(self, file: Waiting) -> OnItsWay | Odd:
        """Give a complete file its name of ours, in the folder where it is."""
        taken = file.taken()
        try:
            with file.path.open("rb"):  # Windows lets nobody open what somebody writes
                pass
            file.path.rename(taken.path)
        except OSError as failure:
            return Odd(file.path, f"it cannot be taken: {failure.strerror or failure}")
        return taken

    def prepare(self, file: OnItsWay) -> Ready | Odd:
        """Make the payload, if there is none yet, and say so in the file's name.

        Raises:
            WriteFailed: the disk of the queue does not take it.
        """
        try:
            if file.step == "ready":
                return Ready(file, self.payloads.path(file.payload).stat().st_size)
            before = look_at(file.path)
            size, whole = self._made(file)
            if look_at(file.path) != before:
                self.payloads.remove(file.payload)
                return Odd(file.path, "it is still being written")
            file.path.rename(file.ready.path)
        except OSError as failure:
            return Odd(file.path, f"it cannot be read: {failure.strerror or failure}")
        return Ready(file.ready, size, whole)

    def sync(self, files: Iterable[Ready]) -> None:
        """Make the names of files last: no row may come before them.

        Raises:
            WriteFailed: the disk of an inbox does not take them.
        """
        for folder in sorted({one.file.folder for one in files}):
            try:
                sync_folder(folder)
            except OSError as failure:
                raise WriteFailed(f"the folder {folder} cannot be synced: {failure.strerror or failure}") from failure

    def register(self, files: Sequence[Ready]) -> list[Outcome]:
        """Register events in this order, and return what became of each."""
        outcomes: dict[int, Outcome] = {}
        settled = threading.Semaphore(0)

        def settling(number: int) -> Callable[[Outcome], None]:
            def settle(outcome: Outcome) -> None:
                outcomes[number] = outcome
                settled.release()

            return settle

        for number, one in enumerate(files):
            event = one.file.envelope.around(Spooled(one.size, file=one.file.payload), self.settings())
            # The payload stays whatever the answer: its file in the inbox says that it may be registered already.
            self.registrar.submit(event, settling(number), keep=True)
        for _ in files:
            settled.acquire()
        return [outcomes[number] for number in range(len(files))]

    def registered(self, file: OnItsWay, rows: Mapping[str, int]) -> bool:
        """Say whether a file's event is in the database, or was and is done."""
        return file.step == "ready" and (file.payload in rows or not self.payloads.path(file.payload).exists())

    def finish(self, file: OnItsWay) -> Path | Odd:
        """Remove a file whose event is registered."""
        try:
            file.path.unlink(missing_ok=True)
        except OSError as failure:
            return Odd(file.path, f"its event is registered, and it cannot be removed: {failure.strerror or failure}")
        return file.path

    def _made(self, file: OnItsWay) -> tuple[int, bool]:
        """Make the payload of a file, inflated where that is possible; return its bytes and whether it was."""
        try:
            return self._copied(file, Decoder((), self.settings().max_inflated_bytes)), True
        except Refused:
            return self._copied(file, None), False

    def _copied(self, file: OnItsWay, decoder: Decoder | None) -> int:
        with file.path.open("rb") as source:
            payload = self.payloads.begin(file.guid)
            try:
                while data := source.read(PIECE):
                    _write(payload, [data] if decoder is None else decoder.feed(data))
                if decoder is not None:
                    _write(payload, decoder.finish())
                payload.keep()
            except BaseException:
                payload.discard()
                raise
        return payload.size


def _write(payload: Payload, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        payload.write(piece)
