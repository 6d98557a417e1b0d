"""The page on handlers says what is so: its example runs, and every way to write that it names writes."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from processor.conftest import Ground, new, register
from processor.test_running_stores import PATIENCE, Effects, empty, running, until

from mergeguard.core.events import Event
from mergeguard.core.nse import envelope
from mergeguard.processor.handlers import EventBatch

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "handle-events.md").read_text("utf-8")


def test_the_example_handles_events(ground: Ground, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EventQueue" / "EvtQueue").mkdir(parents=True)
    with ground.connected() as connection:
        connection.exec_driver_sql("CREATE TABLE inventory (event bigint, source varchar(36), root varchar(20))")
    told: list[str] = []
    names: dict[str, object] = {
        "mergeguard_root": lambda body: envelope(body).root,
        "tell_the_ticket_system": lambda key, _source: told.append(key),
    }
    exec(code, names)  # noqa: S102 - the page's own lines
    store, stop = ground.store(), threading.Event()
    ids = register(store, new(1), new(1), new(2))
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(names["work"](ground.url, stop)))  # type: ignore[operator]
    thread.start()
    try:
        until(store, empty(store))
    finally:
        stop.set()
        thread.join(PATIENCE)
    assert ended == [True]
    with ground.connected() as connection:
        rows = connection.exec_driver_sql("SELECT event, root FROM inventory ORDER BY event").all()
    assert [tuple(row) for row in rows] == [(number, "message") for number in ids]
    assert sorted(set(told)) == sorted(map(str, ids))


def test_every_way_to_write_that_the_page_names_writes(ground: Ground) -> None:
    ways = re.findall(r"^\| `(batch\.[\w.]+)", PAGE, re.MULTILINE)
    assert ways == ["batch.add", "batch.connection", "batch.connection.connection.driver_connection", "batch.effect"]
    mark = "?" if ground.engine.dialect.name == "sqlite" else "%s"
    statement = f"INSERT INTO effects (event, line) VALUES ({mark}, {mark})"
    store, made = ground.store(), []
    ids = register(store, *(new(1) for _ in range(5)))

    def act(event: Event, batch: EventBatch) -> None:
        row = (1000 + event.id, "x")
        if event.id == ids[1]:
            batch.connection.exec_driver_sql(statement, row)
        elif event.id == ids[2]:
            batch.connection.connection.driver_connection.execute(statement, row)
        elif event.id == ids[3]:
            batch.effect(made.append)
        elif event.id == ids[4]:
            with suppress(ZeroDivisionError):
                _fail_inside(batch, row)

    with running(store, ground.settings, Effects(act)):
        until(store, empty(store))
    assert sorted(event for event, *_ in ground.effects()) == [*ids, 1000 + ids[1], 1000 + ids[2]]
    assert made[0] == str(ids[3])


def _fail_inside(batch: EventBatch, row: tuple[int, str]) -> None:
    with batch.savepoint():
        batch.add("INSERT INTO effects (event, line) VALUES (?, ?)", row)
        raise ZeroDivisionError
