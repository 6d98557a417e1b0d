"""Notification-server events: what stands on one, what is in one, and how one is written."""

from mergeguard.core.nse.envelope import MOST_DEPTH, Envelope, envelope

__all__ = ["MOST_DEPTH", "Envelope", "envelope"]
