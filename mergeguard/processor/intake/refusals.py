"""Why a post is not taken in, in words for its sender, with the status of HTTP that says so."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from mergeguard.errors import ExitCode, MergeGuardError, UsageError

BUSY_TEXT = "server busy"
"""What the body of every 503 begins with; the sender keeps its event and posts it again."""


class Refused(UsageError):
    """A post that is not taken in: nothing of it is kept, and posting the same again would end the same."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST


class TooLarge(Refused):
    """A body is larger than it may be, as it is sent or when it is inflated."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnknownCoding(Refused):
    """A body is coded in a way that is not understood."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Busy(MergeGuardError):
    """The server cannot take an event in now; nothing of it is kept, and its sender is to post it again later."""

    exit_code = ExitCode.UNCHECKED
    retryable = True
    status: ClassVar[HTTPStatus] = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, reason: str, *, full: bool = False, after: int | None = None) -> None:
        """Say why.

        Args:
            reason: in words.
            full: whether the limit of the queue is the reason.
            after: seconds until it may be otherwise; ``None``: as the settings say.
        """
        super().__init__(f"{BUSY_TEXT}: {reason}")
        self.full = full
        self.after = after


class TooSlow(Busy):
    """A body did not go on coming; its connection is closed, and its sender is to post the event again."""
