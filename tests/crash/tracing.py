"""Runs a function in a child process and stops it before each write, fsync, rename and message to a server.

ptrace with a seccomp filter: the kernel stops the child at these system calls alone, so that a traced command is
nearly as fast as any other. At the chosen step the child gets SIGKILL *before* the call runs. Linux on x86-64 and
aarch64; ``permitted`` says whether this machine lets us.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import stat
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

LIBC = ctypes.CDLL(None, use_errno=True)
TRACEME, CONT, SETOPTIONS, GET_SYSCALL_INFO = 0, 7, 0x4200, 0x420E
# Trace forks and threads too, stop where the filter says, and take the child along when the tracer dies.
OPTIONS = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 7 | 0x100000
EVENT_STOPS = range(1, 8)
SECCOMP_STOP = 7
ALL_CHILDREN = 0x40000000
ALLOW, TRACE = 0x7FFF0000, 0x7FF00000
WRITES = os.O_CREAT | os.O_TRUNC

_CALLS = {
    "x86_64": {
        "write": 1, "pwrite64": 18, "writev": 20, "pwritev": 296, "fsync": 74, "fdatasync": 75, "ftruncate": 77,
        "fallocate": 285, "sendto": 44, "sendmsg": 46, "rename": 82, "renameat": 264, "renameat2": 316, "link": 86,
        "linkat": 265, "unlink": 87, "unlinkat": 263, "openat": 257,
    },
    "aarch64": {
        "write": 64, "pwrite64": 68, "writev": 66, "pwritev": 70, "fsync": 82, "fdatasync": 83, "ftruncate": 46,
        "fallocate": 47, "sendto": 206, "sendmsg": 211, "renameat": 38, "renameat2": 276, "linkat": 37,
        "unlinkat": 35, "openat": 56,
    },
}  # fmt: skip
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINE = platform.machine()
CALLS = _CALLS.get(MACHINE, {})
NAMES = {number: name for name, number in CALLS.items()}
ON_FILES = {"write", "pwrite64", "writev", "pwritev", "fsync", "fdatasync", "ftruncate", "fallocate"}
TO_SERVERS = {"sendto", "sendmsg"}
PATHS = {"openat": 1, "renameat": 1, "renameat2": 1, "linkat": 1, "unlinkat": 1}
"""Which argument is the file's name; the first one otherwise."""


@dataclass
class Traced:
    """What a traced child did."""

    status: int | None = None
    """Its exit code, or minus the signal that ended it."""
    steps: list[str] = field(default_factory=list)
    """The calls in their order; one that was killed at its step has that step last."""


def permitted() -> bool:
    """Whether a child can be traced here, filter and all."""
    if not CALLS:
        return False
    try:
        seen = run(lambda: os.fsync(os.open(__file__, os.O_RDONLY)), None, ())
    except OSError:
        return False
    return seen.status == 0 and seen.steps == ["fsync " + os.path.basename(__file__)]  # noqa: PTH119 - as _about says it


def run(work: Callable[[], object], kill_at: int | None, unseen: Collection[str]) -> Traced:
    """Fork, do ``work`` in the child, and kill it with SIGKILL before its ``kill_at``-th step runs (from 1).

    Files named in ``unseen`` (real paths) do not count: what the child prints goes there.
    """
    child = os.fork()
    if child == 0:
        _child(work)
    return _Tracer(child, kill_at, frozenset(unseen)).follow()


def _child(work: Callable[[], object]) -> None:
    code = 111
    try:
        _checked(LIBC.ptrace(TRACEME, 0, None, None))
        os.kill(os.getpid(), signal.SIGSTOP)
        _filter()
        work()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        os._exit(code)


class _Tracer:
    def __init__(self, child: int, kill_at: int | None, unseen: Collection[str]) -> None:
        self.child, self.kill_at, self.unseen = child, kill_at, unseen
        self.seen = Traced()
        self.known: set[int] = set()

    def follow(self) -> Traced:
        """Let the child run from stop to stop until it is gone."""
        while self.seen.status is None:
            task, status = os.waitpid(-1, ALL_CHILDREN)
            if os.WIFSTOPPED(status):
                self._go_on(task, os.WSTOPSIG(status), status >> 16)
            elif task == self.child:
                self.seen.status = os.waitstatus_to_exitcode(status)
        return self.seen

    def _go_on(self, task: int, stopped_by: int, event: int) -> None:
        signalled = 0
        if task not in self.known:  # the child's own SIGSTOP, or the one that each new thread begins with
            self.known.add(task)
            if task == self.child:
                _checked(LIBC.ptrace(SETOPTIONS, task, None, ctypes.c_void_p(OPTIONS)))
        elif event == SECCOMP_STOP:
            if self._dies_here(task):
                return
        elif event not in EVENT_STOPS:
            signalled = stopped_by
        LIBC.ptrace(CONT, task, None, ctypes.c_void_p(signalled))

    def _dies_here(self, task: int) -> bool:
        step = self._step(task)
        if step is None:
            return False
        self.seen.steps.append(step)
        if len(self.seen.steps) != self.kill_at:
            return False
        os.kill(self.child, signal.SIGKILL)
        return True

    def _step(self, task: int) -> str | None:
        """Name the call a thread is about to make; ``None`` where it changes nothing that outlives the process."""
        name, arguments = _call(task)
        if name in ON_FILES or name in TO_SERVERS:
            place, mode = _about(task, arguments[0])
            counts = (stat.S_ISSOCK if name in TO_SERVERS else stat.S_ISREG)(mode)
        else:
            place = _text(task, arguments[PATHS.get(name, 0)])
            counts = not place.startswith("/proc/") and place not in {"/dev/null", "/dev/tty"}
        return f"{name} {os.path.basename(place)}" if counts and place not in self.unseen else None  # noqa: PTH119 - of no real file, maybe


def _call(task: int) -> tuple[str, tuple[int, ...]]:
    info = ctypes.create_string_buffer(88)
    _checked(LIBC.ptrace(GET_SYSCALL_INFO, task, ctypes.c_void_p(len(info)), info))
    number, *arguments = struct.unpack_from("<7Q", info.raw, 24)
    return NAMES[number], tuple(arguments)


def _about(task: int, descriptor: int) -> tuple[str, int]:
    """Return what an open descriptor stands for, and its mode; nothing and 0 where it is not open."""
    place = f"/proc/{task}/fd/{descriptor & 0xFFFFFFFF}"
    try:
        return os.readlink(place), os.stat(place).st_mode  # noqa: PTH115, PTH116 - asked for at every step
    except OSError:
        return "", 0


def _text(task: int, address: int) -> str:
    """Read a file's name from a stopped child's memory."""
    memory = os.open(f"/proc/{task}/mem", os.O_RDONLY)
    try:
        return os.pread(memory, 4096, address).partition(b"\0")[0].decode("utf-8", "replace")
    except OSError:  # at the end of what is mapped: the name itself lies before it, and is only for people
        return ""
    finally:
        os.close(memory)


def _filter() -> None:
    """Ask the kernel to stop this process at ``CALLS`` and at each open that makes or empties a file."""
    load, equal, any_bit, answer = 0x20, 0x15, 0x45, 0x06
    program = [(load, 0, 0, 4), (equal, 1, 0, _ARCHITECTURES[MACHINE]), (answer, 0, 0, ALLOW), (load, 0, 0, 0)]
    for name, number in CALLS.items():
        if name != "openat":
            program += [(equal, 0, 1, number), (answer, 0, 0, TRACE)]
    program += [(equal, 1, 0, CALLS["openat"]), (answer, 0, 0, ALLOW), (load, 0, 0, 32), (any_bit, 0, 1, WRITES)]
    program += [(answer, 0, 0, TRACE), (answer, 0, 0, ALLOW)]
    code = b"".join(struct.pack("<HBBI", *line) for line in program)
    kept = ctypes.create_string_buffer(code, len(code))
    packed = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(kept)), 16)
    _checked(LIBC.prctl(38, 1, 0, 0, 0))
    _checked(LIBC.prctl(22, 2, packed, 0, 0))


def _checked(answer: int) -> None:
    if answer < 0:
        raise OSError(ctypes.get_errno(), "not permitted here")
