from __future__ import annotations

import io
import json
import logging

from mergeguard.processor.logs import json_lines

log = logging.getLogger("mergeguard.tests.of.logs")


def test_each_record_is_one_json_object_with_its_extras() -> None:
    stream = io.StringIO()
    with json_lines(stream, lambda text: text.replace("hunter2", "***")):
        log.info("an event is done\nreally", extra={"event": 7, "why": "hunter2 said so", "where": None})
        log.debug("unseen")
        logging.getLogger("uvicorn.error").info("unseen")
        logging.getLogger("uvicorn.error").warning("seen %s", "hunter2")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first.pop("time").endswith("Z")
    assert first == {
        "message": "an event is done\nreally",
        "event": 7,
        "why": "*** said so",
        "where": None,
        "level": "info",
        "logger": log.name,
    }
    assert (second["message"], second["level"]) == ("seen ***", "warning")


def _fail() -> None:
    raise RuntimeError("hunter2")


def test_a_traceback_is_a_field_and_clean() -> None:
    stream = io.StringIO()
    with json_lines(stream, lambda text: text.replace("hunter2", "***")):
        try:
            _fail()
        except RuntimeError:
            log.exception("a bug")
    (line,) = stream.getvalue().splitlines()
    assert "hunter2" not in line
    assert json.loads(line)["exception"].endswith("RuntimeError: ***")


def test_a_level_hides_what_is_below_it_and_nothing_stays_behind() -> None:
    stream = io.StringIO()
    before = [*logging.getLogger().handlers], logging.getLogger("mergeguard").level
    with json_lines(stream, level="warning"):
        log.info("unseen")
        log.warning("seen")
    log.warning("after")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["seen"]
    assert ([*logging.getLogger().handlers], logging.getLogger("mergeguard").level) == before
