"""Discovery on real databases: it finds its own schema again, other people's, and says plainly where there is none."""

from __future__ import annotations

import csv
import hashlib
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from mergeguard.core.guids import from_uuids, swap_sql_server
from mergeguard.errors import CannotCheck
from mergeguard.integrity.demo import demo_rows, make_demo
from mergeguard.integrity.discover import Proposal, discover
from mergeguard.integrity.reference_candidates import ReferenceCandidate
from mergeguard.storage import schema
from mergeguard.storage.profile import Live, Profile, Reference, Types
from mergeguard.storage.profile_file import builtin_profile, dumps_profile, loads_profile
from mergeguard.storage.targets import open_target

Rows = Sequence[Sequence[object]]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each dialect that CI has."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'unknown.db'}"
        return
    url = request.getfixturevalue("postgres_url")
    yield url
    execute(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "DROP SCHEMA IF EXISTS shop CASCADE")


def execute(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def insert(url: str, table: str, rows: Rows) -> None:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    columns = sa.inspect(engine).get_columns(table)
    clause = sa.table(table, *(sa.column(column["name"]) for column in columns))
    names = [column["name"] for column in columns]
    with engine.begin() as connection:
        connection.execute(sa.insert(clause), [dict(zip(names, row, strict=True)) for row in rows])


def proposed(target: str, **options: float) -> Proposal:
    with closing(open_target(target, Profile())) as source:
        return discover(source, **options)  # type: ignore[arg-type]


def guids(start: int, count: int = 40) -> list[str]:
    return [str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))) for number in range(start, start + count)]


def candidate(proposal: Proposal, reference: str) -> ReferenceCandidate:
    return next(one for one in proposal.candidates if str(one.reference) == reference)


def same(proposal: Proposal, expected: Profile) -> None:
    """Compare profiles in what a scan reads: what only a repair asks for is for people to declare."""
    assert proposal.profile is not None
    assert set(map(str, proposal.profile.references)) == set(map(str, expected.references))
    for part in ("merge", "lookup", "live", "types", "keys"):
        assert getattr(proposal.profile, part) == getattr(expected, part), part


@pytest.mark.parametrize("filled", [True, False], ids=["with rows", "empty"])
def test_the_reference_schema_is_found_again(database: str, *, filled: bool) -> None:
    schema.migrate(database)
    if filled:
        schema.fill(database, demo_rows())
    same(proposed(database), builtin_profile("reference"))


def test_the_evidence_says_what_was_seen(tmp_path: Path) -> None:
    proposal = proposed(str(make_demo(tmp_path).database))
    merges = next(one for one in proposal.evidence if one.role == "merge table")
    assert merges.choice == "ResourceMerge (OldGuid -> NewGuid)"
    assert merges.score is not None
    assert merges.score > 0.9
    live = next(one for one in proposal.evidence if one.role == "live")
    assert live.reasons == ("it holds 100% of the guids that merges lead to and 14% of those merged away",)
    child = candidate(proposal, "ResourceAssociation.ChildResourceGuid")
    assert (child.sampled, child.found, child.merged, child.proposed) == (8, 8, 4, True)
    assert "8 of 8 sampled values are known resources or merged ones" in child.reasons
    assert proposal.notes[0] == "looked at 16 tables, 52 columns, at most 1,000 rows of each"


def test_nothing_is_written_and_no_file_is_left_behind(tmp_path: Path) -> None:
    database = make_demo(tmp_path).database
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    proposed(str(database))
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before
    assert list(tmp_path.iterdir()) == [database]


def test_a_login_that_may_only_read_is_enough(postgres_url: str, postgres_reader_url: str) -> None:
    schema.migrate(postgres_url)
    proposal = proposed(postgres_reader_url)
    assert proposal.profile is not None, proposal.notes
    execute(postgres_url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")


def test_tables_that_the_login_may_not_read_are_notes(postgres_url: str, postgres_stranger_url: str) -> None:
    olds, news = guids(0), guids(100)
    user = sa.make_url(postgres_stranger_url).username
    execute(postgres_url, "CREATE TABLE a_secret (guid uuid)", "CREATE TABLE item (guid uuid)")
    execute(postgres_url, "CREATE TABLE merges (old_guid uuid, new_guid uuid)", "CREATE TABLE z_secret (guid uuid)")
    execute(postgres_url, f'GRANT SELECT ON item, merges TO "{user}"', f'GRANT USAGE ON SCHEMA public TO "{user}"')
    insert(postgres_url, "item", [[guid] for guid in news])
    insert(postgres_url, "merges", list(zip(olds, news, strict=True)))
    proposal = proposed(postgres_stranger_url)
    assert proposal.profile is not None
    assert (proposal.profile.merge.table, proposal.profile.live) == ("merges", Live("item", "guid"))
    left_out = [note.partition(":")[0] for note in proposal.notes if "left out" in note]
    assert left_out in ([], ["table a_secret was left out", "table z_secret was left out"])
    execute(postgres_url, f'DROP OWNED BY "{user}"', "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")


def test_redirects_beside_entities_as_music_databases_have_them(database: str) -> None:
    guid = "uuid" if database.startswith("postgresql") else "CHAR(36)"
    execute(
        database,
        f"CREATE TABLE artist (id integer PRIMARY KEY, gid {guid} NOT NULL, name varchar(300), type integer)",
        f"CREATE TABLE artist_gid_redirect (gid {guid} NOT NULL, new_gid {guid} NOT NULL, created timestamp)",
        f"CREATE TABLE artist_credit (id integer, artist_gid {guid}, name varchar(300))",
        f"CREATE TABLE label (id integer PRIMARY KEY, gid {guid} NOT NULL, name varchar(300))",
    )
    insert(database, "artist", [(at, gid, "n" * 300, 1) for at, gid in enumerate(guids(100))])
    insert(database, "artist_gid_redirect", [(*pair, None) for pair in zip(guids(0), guids(100), strict=True)])
    insert(database, "artist_credit", [(at, gid, "x") for at, gid in enumerate(guids(0, 10) + guids(100, 30))])
    insert(database, "label", [(at, gid, "l") for at, gid in enumerate(guids(500))])
    proposal = proposed(database)
    profile = proposal.profile
    assert profile is not None
    merge = profile.merge
    assert (merge.table, merge.old, merge.new) == ("artist_gid_redirect", "gid", "new_gid")
    assert (merge.row_id, merge.time, merge.merge_key) == (None, "created", None)
    assert profile.live == Live("artist", "gid")
    assert profile.references == (Reference("artist_credit", "artist_gid"),)
    assert candidate(proposal, "artist_credit.artist_gid").merged == 10


def test_a_redirect_to_a_row_number_is_named_but_not_proposed(database: str) -> None:
    guid = "uuid" if database.startswith("postgresql") else "CHAR(36)"
    execute(
        database,
        f"CREATE TABLE artist (id integer PRIMARY KEY, gid {guid} NOT NULL)",
        f"CREATE TABLE artist_gid_redirect (gid {guid} NOT NULL, new_id integer NOT NULL)",
    )
    proposal = proposed(database)
    assert proposal.profile is None
    assert proposal.candidates == ()
    assert any("artist_gid_redirect sounds like merges, but new_id holds no guids" in note for note in proposal.notes)


@pytest.mark.parametrize("order", ["text", "sqlserver"])
def test_another_vendor_with_packed_guids(tmp_path: Path, order: str) -> None:
    database = f"sqlite:///{tmp_path / 'vendor.db'}"
    execute(
        database,
        "CREATE TABLE tblEndpoints (EndpointUid BLOB PRIMARY KEY, HostName TEXT, Category TEXT, Photo BLOB)",
        "CREATE TABLE tblReplacedEndpoints (Seq INTEGER, ToEndpoint BLOB, FromEndpoint BLOB, ReplacedOn DATETIME,"
        " Reason TEXT)",
        "CREATE TABLE tblTickets (Id INTEGER, Endpoint BLOB, OpenedOn DATETIME,"
        " FOREIGN KEY (Endpoint) REFERENCES tblEndpoints (EndpointUid))",
        "CREATE VIEW vTickets AS SELECT * FROM tblTickets",
    )
    olds, news = packed(guids(0), order), packed(guids(100), order)
    insert(database, "tblEndpoints", [(guid, "h", "pc", b"\x89PNG") for guid in news])
    replaced = zip(news, olds, strict=True)
    insert(database, "tblReplacedEndpoints", [(at, new, old, None, "serial") for at, (new, old) in enumerate(replaced)])
    insert(database, "tblTickets", [(at, guid, None) for at, guid in enumerate(news + olds[:3])])
    proposal = proposed(database)
    profile = proposal.profile
    assert profile is not None
    merge = profile.merge
    assert (merge.table, merge.old, merge.new) == ("tblReplacedEndpoints", "FromEndpoint", "ToEndpoint")
    assert (merge.row_id, merge.time, merge.merge_key) == ("Seq", "ReplacedOn", "Reason")
    assert merge.byte_order == order
    assert profile.live == Live("tblEndpoints", "EndpointUid")
    assert profile.types == Types("tblEndpoints", "EndpointUid", "Category")
    assert profile.references == (Reference("tblTickets", "Endpoint"),)
    assert "it is declared as a foreign key to a table of resources" in proposal.candidates[0].reasons
    view = candidate(proposal, "vTickets.Endpoint")
    assert not view.proposed
    assert "looks like a view" in view.reasons[-1]


def packed(texts: Sequence[str], order: str) -> list[bytes]:
    column = from_uuids([uuid.UUID(text) for text in texts])
    return [row.tobytes() for row in (swap_sql_server(column) if order == "sqlserver" else column)]


def test_a_table_in_another_schema_is_qualified(postgres_url: str) -> None:
    execute(
        postgres_url,
        "CREATE SCHEMA shop",
        'CREATE TABLE shop."MergedCustomers" ("OldCustomerGuid" uuid, "NewCustomerGuid" uuid, "MergedOn" date)',
        'CREATE TABLE shop."Customers" ("Guid" uuid, "CustomerType" text)',
    )
    profile = proposed(postgres_url).profile
    assert profile is not None
    assert (profile.merge.table, profile.merge.time) == ("shop.MergedCustomers", "MergedOn")
    assert profile.live == Live("shop.Customers", "Guid")
    assert profile.types == Types("shop.Customers", "Guid", "CustomerType")
    with closing(open_target(postgres_url, profile)) as source, source.snapshot() as snapshot:
        assert snapshot.has_table(profile.merge.table)
    execute(postgres_url, "DROP SCHEMA shop CASCADE")


def test_values_that_may_mean_deleted_are_pointed_out(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'x.db'}"
    execute(database, "CREATE TABLE merges (old_guid TEXT, new_guid TEXT)")
    news = [*guids(100, 30), *["Entry Withdrawn"] * 10]
    insert(database, "merges", list(zip(guids(0), news, strict=True)))
    proposal = proposed(database)
    assert proposal.profile is not None
    assert proposal.profile.merge.deleted_values == ()
    assert any("new_guid also holds 'Entry Withdrawn'" in note for note in proposal.notes)


def test_a_database_without_merges_is_said_to_have_none(database: str) -> None:
    guid = "uuid" if database.startswith("postgresql") else "TEXT"
    execute(
        database,
        f"CREATE TABLE item (guid {guid}, name TEXT)",
        f"CREATE TABLE association (parent_guid {guid}, child_guid {guid})",
    )
    insert(database, "item", [(guid, "x" * 300) for guid in guids(0)])
    insert(database, "association", list(zip(guids(0), guids(0)[::-1], strict=True)))
    proposal = proposed(database)
    assert proposal.profile is None
    assert proposal.candidates == ()
    assert proposal.notes[-1].startswith("no table looks like one of merges")
    assert "--old-column" in proposal.notes[-1]


def test_an_empty_database_is_said_to_have_none(database: str) -> None:
    execute(database, "CREATE TABLE passing (a integer)", "DROP TABLE passing")
    proposal = proposed(database)
    assert proposal.profile is None
    assert proposal.notes[0].startswith("looked at 0 tables")


def test_merges_without_resources_leave_liveness_open(database: str) -> None:
    guid = "uuid" if database.startswith("postgresql") else "TEXT"
    execute(database, f"CREATE TABLE alias (old_guid {guid}, new_guid {guid})")
    insert(database, "alias", list(zip(guids(0), guids(100), strict=True)))
    proposal = proposed(database)
    assert proposal.profile is not None
    assert (proposal.profile.live, proposal.profile.types, proposal.profile.keys) == (None, None, None)
    assert [(one.role, one.chosen) for one in proposal.evidence] == [
        ("merge table", True),
        ("live", False),
        ("types", False),
    ]


def test_a_file_of_merges_is_a_table_too(tmp_path: Path) -> None:
    file = tmp_path / "aliases.csv"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([("from_guid", "to_guid"), *zip(guids(0), guids(100), strict=True)])
    profile = proposed(str(file)).profile
    assert profile is not None
    assert (profile.merge.old, profile.merge.new) == ("from_guid", "to_guid")


def test_a_target_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CannotCheck):
        proposed(str(tmp_path / "none.db"))


def test_a_proposal_can_be_written_and_read(tmp_path: Path) -> None:
    profile = proposed(str(make_demo(tmp_path).database)).profile
    assert profile is not None
    assert loads_profile(dumps_profile(profile), "discovered.toml") == profile
