"""What a command's process costs around its work: less garbage collection, no threads that nobody uses.

A command lives for seconds. Its imports make some hundred thousand objects that stay until the end, which Python's
collector walks through again and again, and once more at the exit; that took a third of the start-up time.
"""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

# Cycles are still collected, each hundred thousand new objects instead of each 700: some 10 MB may wait.
YOUNG_OBJECTS = 100_000


@contextmanager
def tuned() -> Iterator[None]:
    """Run a command with a collector that rarely wakes; a process that goes on afterwards has its own back."""
    # NumPy's OpenBLAS starts a thread a core at its import, which wait in a loop; nothing here multiplies matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    before = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS, *before[1:])
    # What lives at the exit is not searched for cycles once more. Unlike with os._exit, handlers still run and stdout
    # is flushed; a file that a cycle keeps open would not be, but every file here is closed where it was written.
    # Unregistered first, because a second registration would run it twice.
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    try:
        yield
    finally:
        gc.set_threshold(*before)
