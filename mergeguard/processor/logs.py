"""Log of the server: one JSON object a line, with the event's id where there is one; never a body, never a password.

Everything here logs through the standard library, with what a sentence is about in ``extra``, so that a program that
imports MergeGuard sees it in its own log. Only ``mergeguard serve`` asks for these lines.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import IO, Any

LOGGERS = ("mergeguard", "uvicorn", "watchfiles")
"""Whose records are written; those of other packages from warnings on, too."""


@contextmanager
def json_lines(stream: IO[str], clean: Callable[[str], str] = str, level: str = "info") -> Iterator[None]:
    """Write the log as JSON lines while the block runs.

    Args:
        stream: where to.
        clean: removes passwords from a text.
        level: of the least important records that are written.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(clean))
    root = logging.getLogger()
    before = {name: logging.getLogger(name).level for name in LOGGERS}
    root.addHandler(handler)
    for name in LOGGERS:
        logging.getLogger(name).setLevel(level.upper() if name == "mergeguard" else logging.WARNING)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for name, old in before.items():
            logging.getLogger(name).setLevel(old)


def _formatter(clean: Callable[[str], str]) -> logging.Formatter:
    import structlog  # noqa: PLC0415 - comes with the extra `serve`, and costs its import

    def _freed(_log: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        # structlog calls the sentence "event"; here that is the id of an event.
        return {"message": fields.pop("event"), **fields}

    def cleaned(_log: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {name: clean(value) if isinstance(value, str) else value for name, value in fields.items()}

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            _freed,
            structlog.stdlib.ExtraAdder(),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            cleaned,
            structlog.processors.JSONRenderer(default=str),
        ],
    )
