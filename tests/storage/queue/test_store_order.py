from __future__ import annotations

from queue_machine import hold
from queue_places import Place


def test_every_store_keeps_the_promises_of_the_queue(place: Place) -> None:
    together = hold(place)
    assert together > 1, "parallel: two keys were never in flight together"
