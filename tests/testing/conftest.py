from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from mergeguard.testing import Sandbox
from mergeguard.testing.sandbox import SENTINEL


@pytest.fixture(scope="module")
def sandbox(postgres_url: str) -> Iterator[Sandbox]:
    """The kit's tables in this module's database; its name says nothing of tests, so it holds the sentinel."""
    with psycopg.connect(postgres_url.replace("+psycopg", "", 1)) as connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {SENTINEL} ()")
    with Sandbox(postgres_url) as opened:
        yield opened
