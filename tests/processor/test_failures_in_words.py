"""What is told of an error that ended a try: our words of a driver's, and everybody else's own, in bounds."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from mergeguard.errors import ConnectionLost
from mergeguard.processor.failures import told


def refused() -> BaseException:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE TABLE held (secret text UNIQUE)"))
        connection.execute(sa.text("INSERT INTO held VALUES ('pass word')"))
        with pytest.raises(sa.exc.IntegrityError) as caught:
            connection.execute(sa.text("INSERT INTO held VALUES (:secret)"), {"secret": "pass word"})
    engine.dispose()
    return caught.value


def test_a_drivers_error_is_told_without_its_statement_its_values_and_its_links() -> None:
    error = refused()
    assert "pass word" in str(error), "what SQLAlchemy writes is not fit to be kept"
    words = told(error)
    assert "UNIQUE constraint failed" in words
    assert "the write failed and was rolled back" in words
    assert [part for part in ("pass word", "INSERT", "sqlalche.me", "[SQL") if part in words] == []


@given(st.text(min_size=1, max_size=50))
def test_what_is_no_drivers_speaks_for_itself(text: str) -> None:
    stored = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    assert told(ValueError(text)) == stored
    assert told(ConnectionLost(text)) == stored
