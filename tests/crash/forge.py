"""A process that has everything imported and forks one command after the other: `python -m crash.forge`.

Each line on stdin is a request in JSON, each line on stdout its answer. A command runs in a forked process of its own,
which is the one that is killed; starting Python anew each time would cost a hundred times as much.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import typer
from crash import hooks, tracing

from mergeguard.cli.app import app, main


def learn(place: Path) -> None:
    """Import what an earlier command had to import, so that the next ones find it there."""
    for name in place.read_text().splitlines() if place.exists() else ():
        if name not in sys.modules:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def command(request: dict[str, Any]) -> None:
    """Be the command line, in the forked process."""
    for descriptor, name in ((1, "out"), (2, "err")):
        place = os.open(request[name], os.O_WRONLY | os.O_APPEND)
        os.dup2(place, descriptor)
        os.close(place)
    os.chdir(request["cwd"])
    os.environ.update(request["environment"])
    if request["how"] == "hooks":
        hooks.install(hooks.Steps(Path(request["log"]), request["kill_at"]))
    sys.argv = ["mergeguard", *request["arguments"]]
    try:
        main()
    finally:
        if request["how"] == "ptrace":  # the hooks would count it
            Path(request["modules"]).write_text("\n".join([*sys.modules]))
        sys.stdout.flush()
        sys.stderr.flush()


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one command and say how it ended and what its steps were."""
    if request["how"] == "ptrace":
        unseen = (request["out"], request["err"], request["modules"])
        seen = tracing.run(lambda: command(request), request["kill_at"], unseen)
        learn(Path(request["modules"]))
        return {"status": seen.status, "steps": seen.steps}
    child = os.fork()
    if child == 0:
        code = 111
        try:
            command(request)
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"status": status, "steps": Path(request["log"]).read_text().splitlines()}


def serve() -> None:
    """Answer requests until stdin ends."""
    typer.main.get_command(app)
    _say({"ptrace": tracing.permitted()})
    for line in sys.stdin:
        request = json.loads(line)
        gc.freeze()  # so that no collection in a fork copies what it shares with this process
        _say(answer(request))


def _say(something: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(something) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
