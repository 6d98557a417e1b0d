"""A server that ends at any step of taking a file in leaves what the next one needs: each event once, none lost."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_world import World, left, put, settle, world

from mergeguard.processor.intake.inbox import Inbox


class Killed(BaseException):
    """The process is gone."""


STEPS = ("open", "rename", "unlink", "fsync", "register", "registered")
KILLS = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 4)), min_size=1, max_size=3)


class Killer:
    """Ends the process at the chosen call of one step; the next process is not touched."""

    def __init__(self, here: World, patched: pytest.MonkeyPatch, step: str, count: int) -> None:
        self.left = count
        register = here.store.register

        def registered(events, *, file_limit=0):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            self.at(here=step == "register")
            answers = register(events, file_limit=file_limit)
            self.at(here=step == "registered")
            return answers

        patched.setattr(here.store, "register", registered)
        for owner, name in ((Path, "open"), (Path, "rename"), (Path, "unlink"), (os, "fsync")):
            if name == step:
                patched.setattr(owner, name, self.before(getattr(owner, name)))

    def before(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            self.at(here=True)
            return real(*arguments, **named)

        return call

    def at(self, *, here: bool) -> None:
        self.left -= here
        if here and self.left == 0:
            raise Killed


@pytest.mark.parametrize("done_between", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_each_step_may_be_the_last(tmp_path_factory: pytest.TempPathFactory, step: str, done_between: bool) -> None:
    bodies = [b"a", gzip.compress(b"c" * 9)]
    for count in range(1, 20):
        if not ends_at(tmp_path_factory.mktemp("w"), bodies, [(step, count)], done_between=done_between):
            assert count > 1
            return
    raise AssertionError("a look has fewer steps than that")


@given(
    bodies=st.lists(st.sampled_from([b"a", b"b" * 20, gzip.compress(b"c" * 9)]), min_size=1, max_size=3),
    kills=KILLS,
    done_between=st.booleans(),
)
def test_a_server_that_ends_at_any_step_leaves_what_the_next_one_needs(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes], kills: list[tuple[str, int]], done_between: bool
) -> None:
    ends_at(tmp_path_factory.mktemp("w"), bodies, kills, done_between=done_between)


def ends_at(root: Path, bodies: list[bytes], kills: list[tuple[str, int]], *, done_between: bool) -> int:
    """Let servers end at these steps and one go on to the end; return how many did end there."""
    ended = 0
    with world(root) as here:
        for number, body in enumerate(bodies):
            put(here, f"{number}.nse", b"%d " % number + body if body[:1] != b"\x1f" else body)
        handled: list[bytes] = []
        for step, count in kills:
            with pytest.MonkeyPatch.context() as patched:
                inbox = _inline_inbox(here)
                Killer(here, patched, step, count)
                ended += 1
                with suppress(Killed):
                    settle(here, inbox)
                    ended -= 1
            if done_between:
                handled += _handle_all(here)
        settle(here, _inline_inbox(here))
        handled += _handle_all(here)
        assert left(here) == set()
        assert {path.suffix for path in here.payloads.folder.iterdir()} <= {".part"}
        expected = [b"c" * 9 if body[:1] == b"\x1f" else b"%d " % number + body for number, body in enumerate(bodies)]
        assert sorted(handled) == sorted(expected)  # each once, none lost
    return ended


def _inline_inbox(here: World) -> Inbox:
    """Return an inbox whose registrar works in this thread, so that a kill ends all of it."""
    inbox = here.inbox

    def submit(event, settle, *, keep=False):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        (answer,) = here.store.register([event])
        settle(answer)

    inbox.steps.registrar = type("Inline", (), {"submit": staticmethod(submit)})()  # type: ignore[assignment]
    return inbox


def _handle_all(here: World) -> list[bytes]:
    bodies = here.bodies()
    for event in here.store.rows.values():
        assert event.file is not None
        here.payloads.remove(event.file)
    here.store.rows.clear()
    return bodies
