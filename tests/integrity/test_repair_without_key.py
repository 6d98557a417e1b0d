"""A repair of a PostgreSQL table whose rows nothing but their values tells apart."""

from __future__ import annotations

import uuid
from collections import Counter
from contextlib import closing

import pytest
import sqlalchemy as sa

from mergeguard.errors import ApplyFailed
from mergeguard.integrity.apply import apply_plan
from mergeguard.integrity.lookup import build_lookup, verify_lookup
from mergeguard.integrity.planning import PlanOptions, make_plan
from mergeguard.integrity.undo import undo_run
from mergeguard.storage.profile import Merge, Profile
from mergeguard.storage.targets import open_target

A, B, C, D, E = (str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in "abcde")
ROWS = [(A, B), (B, A), (C, A), (D, D), (E, C), (E, C), (E, C)]
PROFILE = Profile(merge=Merge("m", "old", "new"))
PARTED = (
    " PARTITION BY HASH (old); CREATE TABLE m0 PARTITION OF m FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
    "CREATE TABLE m1 PARTITION OF m FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
)


def rows_of(engine: sa.Engine) -> Counter[tuple[str, str]]:
    with engine.connect() as connection:
        found = connection.execute(sa.text("SELECT CAST(old AS text), CAST(new AS text) FROM m"))
        return Counter((old, new) for old, new in found)


def filled(url: str, kind: str, behind: str = "") -> sa.Engine:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    ours = ("mergeguard_lookup", "mergeguard_change", "mergeguard_step", "mergeguard_run")
    with engine.begin() as connection:
        for table in ("m", *ours):
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {table}"))
        for statement in f"CREATE TABLE m (old {kind}, new {kind}){behind}".split(";"):
            connection.execute(sa.text(statement))
        for old, new in ROWS:
            values = {"old": old, "new": new}
            connection.execute(sa.text(f"INSERT INTO m VALUES (CAST(:old AS {kind}), CAST(:new AS {kind}))"), values)
    return engine


@pytest.mark.parametrize("lookup", [False, True], ids=["no lookup", "lookup"])
@pytest.mark.parametrize(("kind", "behind"), [("uuid", ""), ("uuid", PARTED), ("char(36)", "")])
def test_a_table_without_a_key_is_repaired_and_taken_back(
    postgres_url: str, kind: str, behind: str, *, lookup: bool
) -> None:
    engine = filled(postgres_url, kind, behind)
    with closing(open_target(postgres_url, PROFILE)) as source:
        if lookup:
            build_lookup(source, PROFILE)
        plan = make_plan(source, PROFILE, PlanOptions(allow_arbitrary=True))
        assert apply_plan(source, PROFILE, plan).applied == len(plan.steps) == 3
        assert sum((Counter(ROWS) - rows_of(engine)).values()) == 4
        assert make_plan(source, PROFILE, PlanOptions(allow_arbitrary=True)).steps == ()
        undo_run(source, PROFILE, plan.plan_id)
        assert not lookup or verify_lookup(source, PROFILE).drift == 0
    assert rows_of(engine) == Counter(ROWS)


def test_a_trigger_that_brings_a_row_back_is_noticed_without_a_key_too(postgres_url: str) -> None:
    engine = filled(postgres_url, "uuid")
    with engine.begin() as connection:
        body = "BEGIN INSERT INTO m VALUES (OLD.old, OLD.new); RETURN OLD; END"
        connection.execute(sa.text(f"CREATE FUNCTION back() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$"))
        connection.execute(sa.text("CREATE TRIGGER back AFTER DELETE ON m FOR EACH ROW EXECUTE FUNCTION back()"))
    with closing(open_target(postgres_url, PROFILE)) as source:
        plan = make_plan(source, PROFILE, PlanOptions(allow_arbitrary=True))
        with pytest.raises(ApplyFailed, match="trigger"):
            apply_plan(source, PROFILE, plan)
    assert rows_of(engine) == Counter(ROWS)
