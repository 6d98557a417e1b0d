"""Notification-server events: what stands on one, what is in one, and how one is written."""

from mergeguard.core.nse.envelope import MOST_DEPTH, Envelope, envelope
from mergeguard.core.nse.limits import Limits
from mergeguard.core.nse.message import Association, ClassData, Key, Message, Resource, Row, Target
from mergeguard.core.nse.reader import read
from mergeguard.core.nse.writer import write

__all__ = [
    "MOST_DEPTH",
    "Association",
    "ClassData",
    "Envelope",
    "Key",
    "Limits",
    "Message",
    "Resource",
    "Row",
    "Target",
    "envelope",
    "read",
    "write",
]
