"""Statements that travel together on PostgreSQL: each gets its own answer, however soon others are answered."""

from __future__ import annotations

import select
from contextlib import closing

import sqlalchemy as sa

from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.targets import open_target

PROFILE = Profile(merge=Merge("piped", "old", "new"))


def test_an_answer_that_comes_early_is_not_taken_for_that_of_the_next_statement(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE piped (old uuid, new uuid)")
    engine.dispose()
    insert = "INSERT INTO piped VALUES (gen_random_uuid(), gen_random_uuid())"
    with closing(open_target(postgres_url, PROFILE)) as source, source.writing() as writing, writing.merging() as rows:
        raw = source.raw(rows.connection)
        with rows.together():
            for number in range(3):
                rows.run(insert)
                raw.pgconn.send_flush_request()
                raw.pgconn.flush()
                assert select.select([raw.fileno()], [], [], 30)[0], "the server has answered by now"
                assert rows.scalar("SELECT CAST(%s AS integer)", (number,)) == number
        assert rows.scalar("SELECT count(*) FROM piped") == 3
