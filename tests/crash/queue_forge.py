"""Starts the queue's process again and again, and kills it: `python -m crash.queue_forge`; see `crash.forge`."""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from crash import hooks, queue_work, tracing


def work(request: dict[str, Any]) -> None:
    """Be the queue's process, in the forked one."""
    place = os.open(request["err"], os.O_WRONLY | os.O_APPEND)
    os.dup2(place, 2)
    os.close(place)
    if request["how"] == "hooks":
        hooks.install(hooks.Steps(Path(request["log"]), request["kill_at"]))
    queue_work.main([request["cwd"], str(os.getpid()), *request["arguments"]])


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run the process to its end, or to where it is killed, and say what its steps were."""
    if request["how"] == "ptrace":
        # What it says it was told is no step: the queue has nothing to do with it.
        unseen = (request["err"], os.path.realpath(Path(request["cwd"]) / queue_work.TOLD))
        seen = tracing.run(lambda: work(request), request["kill_at"], unseen)
        return {"status": seen.status, "steps": seen.steps}
    child = os.fork()
    if child == 0:
        code = 111
        try:
            work(request)
            code = 0
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"status": status, "steps": Path(request["log"]).read_text().splitlines()}


def serve() -> None:
    """Answer requests until stdin ends."""
    sa.create_engine("sqlite://").connect().close()  # so that the forks find everything imported
    say({"ptrace": tracing.permitted()})
    for line in sys.stdin:
        request = json.loads(line)
        gc.freeze()
        say(answer(request))


def say(something: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(something) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
