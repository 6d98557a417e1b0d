from __future__ import annotations

from collections.abc import Callable

import pytest
from queue_places import Place, PostgresqlPlace
from queue_scenarios import EVERYWHERE, SESSIONS


@pytest.mark.parametrize("story", EVERYWHERE)
def test_every_story_ends_well(place: Place, story: Callable[[Place], None]) -> None:
    story(place)


@pytest.mark.parametrize("story", SESSIONS)
def test_every_story_of_two_sessions_ends_well(postgresql: PostgresqlPlace, story: Callable[[Place], None]) -> None:
    story(postgresql)
