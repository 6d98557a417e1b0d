"""SQL Server's scripts as texts: they parse, keep to what 2016 knows, and agree with the code and one another."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mergeguard.core.guids import TOMBSTONE
from mergeguard.core.rules import RULES
from mergeguard.storage.guard import mssql as guard_mssql
from mergeguard.storage.merging import lock as merge_lock
from mergeguard.storage.scripts.files import DATA, GUARD_FILE, SCRIPTS_VERSION, Script, scripts

FILES = scripts("mssql")
TEXTS = {script.name: script.text for script in FILES}
FILES_BY = {script.name: script for script in FILES}
RUN = "".join(script.text for script in FILES if script.number < 80)
MADE = re.compile(r"IF OBJECT_ID\(N'(\[mergeguard\]\.\[\w+\])'[^)]*\) IS NULL EXEC \(N'CREATE (\w+) ")
ALTERED = re.compile(r"(?m)^ALTER (PROCEDURE|VIEW|FUNCTION) (\[mergeguard\]\.\[\w+\])")


def parsed(sql: str, version: str = "2016") -> subprocess.CompletedProcess[str]:
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    command = [maxdop, "--parser-version", version]
    return subprocess.run(command, input=sql, capture_output=True, text=True, check=False, timeout=60)


def code(text: str) -> str:
    """Return a script without comments and texts."""
    return re.sub(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", " ", text, flags=re.DOTALL)


@pytest.mark.parametrize("script", FILES, ids=lambda script: script.name)
def test_a_file_parses(script: Script) -> None:
    done = parsed(script.text)
    assert done.returncode == 0, (done.stdout[-500:], done.stderr)
    assert parsed(script.text.replace("IF ", "IFF ", 1) if "IF " in script.text else "GRAND").returncode != 0


def test_a_driver_that_knows_texts_and_no_comments_finds_no_escapes_and_no_parameters() -> None:
    """ODBC's begin with a brace and a question mark; an apostrophe in a comment would turn texts inside out."""
    for script in FILES:
        for batch in script.statements:
            outside = "".join(batch.split("'")[::2])
            assert not re.search(r"[{?]", outside), (script.name, batch[:200])


def test_each_batch_of_a_long_file_parses_alone() -> None:
    for batch in Script("50_merge.sql", TEXTS["50_merge.sql"], "mssql").statements:
        assert parsed(batch).returncode == 0, batch[:200]


@pytest.mark.parametrize("script", FILES, ids=lambda script: script.name)
def test_a_file_says_what_it_is_and_keeps_its_settings(script: Script) -> None:
    first, second, *_ = script.text.splitlines()
    assert first == f"-- MergeGuard SQL scripts, version {SCRIPTS_VERSION}: mssql/{script.name}"
    assert second.startswith("-- ")
    assert len(second) > 20
    assert script.text.isascii()
    assert "\t" not in script.text
    assert script.text.endswith("GO\n")
    # sqlcmd begins with one of them off, and procedures keep what they were made with.
    assert re.sub(r"\s+", " ", code(script.statements[0])).strip() == "SET ANSI_NULLS ON; SET QUOTED_IDENTIFIER ON;"


NEWER = (
    *(r"MERGE\s+(INTO\s+)?[\[@#]", r"OR ALTER", r"DROP \w+ IF EXISTS", r"STRING_AGG", r"STRING_SPLIT", r"OPENJSON"),
    *(r"TRIM\(", r"CONCAT_WS", r"TRANSLATE\(", r"GREATEST\(", r"LEAST\(", r"IS (NOT )?DISTINCT", r"GENERATE_SERIES"),
    *(r"NOLOCK", r"xp_cmdshell", r"RAISERROR", r"GOTO", r"CURSOR", r"TRUNCATE"),
)


@pytest.mark.parametrize("word", NEWER)
def test_what_is_newer_or_dangerous_is_not_used(word: str) -> None:
    for name, text in TEXTS.items():
        plain = code(text).replace("LTRIM(", "").replace("RTRIM(", "")
        assert not re.search(rf"(?i)\b{word}" if word[0].isalpha() else word, plain), name


def test_batches_of_an_install_leave_its_transaction_alone() -> None:
    for script in FILES:
        for batch in script.statements:
            if script.number < 80 and not ALTERED.search(batch):
                assert not re.search(r"\b(BEGIN TRAN|COMMIT|ROLLBACK)", code(batch)), batch


def bodies() -> dict[str, str]:
    found = {}
    for script in FILES:
        for batch in script.statements:
            made = ALTERED.search(batch)
            if made and made[1] == "PROCEDURE":
                found[made[2]] = batch
    return found


def test_every_procedure_rolls_back_whole() -> None:
    assert len(bodies()) >= 15
    for name, batch in bodies().items():
        inside = re.sub(r"\s+", " ", code(batch)).partition(" AS BEGIN ")[2]
        assert inside.startswith("SET NOCOUNT ON; SET XACT_ABORT ON;"), name


@pytest.mark.parametrize("name", ["merge_guids", "unmerge_run", "rebuild_lookup"])
def test_what_writes_sets_its_own_level_and_gives_way(name: str) -> None:
    body = bodies()[f"[mergeguard].[{name}]"]
    wanted = ("TRANSACTION ISOLATION LEVEL READ COMMITTED", "LOCK_TIMEOUT 10000", "DEADLOCK_PRIORITY LOW")
    places = [body.index(f"SET {one};") for one in wanted]
    assert max(places) < body.index("BEGIN TRANSACTION") < body.index("[take_merge_lock]")
    assert "WITH EXECUTE AS OWNER" in body
    assert body.count("BEGIN TRANSACTION") == body.count("COMMIT TRANSACTION") == 1
    catch = body[body.index("BEGIN CATCH") :]
    assert catch.index("ROLLBACK TRANSACTION") < catch.index("THROW;")


def test_what_reads_runs_as_whoever_calls_it() -> None:
    body = bodies()["[mergeguard].[scan_merges]"]
    assert "EXECUTE AS" not in body
    parts = ("scan_merges", "scan_rows", "scan_walks", "find_rings", "close_walks", "number_guids")
    texts = "".join(bodies()[f"[mergeguard].[{name}]"] for name in parts)
    assert not re.search(r"(INSERT INTO|UPDATE|DELETE FROM) \[mergeguard\]", texts)


def test_dynamic_statements_take_values_as_parameters() -> None:
    assert len(re.findall(r"sp_executesql @sql,\s*N'@", RUN)) == RUN.count("sp_executesql @sql") == 20
    assert not re.search(r"EXEC\s*\(\s*@", RUN)


@pytest.mark.parametrize("view", ["lookup_rows", "roots"])
def test_views_that_may_turn_types_into_guids_are_written_where_that_can_fail(view: str) -> None:
    # Columns that are expressions are refused when a procedure is made, unless temporary tables put that off.
    written = re.compile(rf"INSERT INTO \[mergeguard\]\.\[{view}\]|SET \[(?:old_|current_)?guid\] = ")
    found = {name: body for name, body in bodies().items() if f"INSERT INTO [mergeguard].[{view}]" in body}
    assert len(found) == 2
    for name, body in found.items():
        if written.search(code(body)):
            assert name == "[mergeguard].[write_lookup]"
            assert "#answer" in body
    assert f"(N'[mergeguard].[{view}]', " in bodies()["[mergeguard].[require_fit]"]


def test_constant_statements_parse() -> None:
    sent = [text.replace("''", "'") for text in re.findall(r"@sql(?: nvarchar\(max\))? = N'((?:[^']|'')*)';", RUN)]
    assert len(sent) == 3
    for text in sent:
        assert parsed(text).returncode == 0, text
        assert parsed(text.replace("INSERT INTO", "INSERT INTO INTO")).returncode != 0


def test_a_lookup_in_another_form_is_read_and_left_alone() -> None:
    *_, last = FILES_BY["40_lookup.sql"].statements
    body = bodies()["[mergeguard].[write_lookup]"]
    for text in (last, body[: body.index("CREATE TABLE #row")]):
        assert "sys.sql_expression_dependencies" in text
        assert "TYPE_NAME(c.[system_type_id]) = N'uniqueidentifier'" in text
    assert re.search(r"\) >= 2\s+EXEC \[mergeguard\]\.\[rebuild_lookup\];", last)
    assert re.search(r"\) < 2\s+THROW 51925, ", body)


GUIDS_ONLY = {"@old_text", "@new_text", "@old", "@new", "@old_root", "@new_root", "@old_status", "@new_status", "@bad"}


def test_a_percent_sign_in_what_others_wrote_does_not_blank_a_refusal() -> None:
    said = re.findall(r"SET @said = (.*?);\s+THROW \d+, @said, 1;", RUN, re.DOTALL)
    assert len(said) == RUN.count(", @said, 1;") >= 15
    foreign = 0
    for text in said:
        others = set(re.findall(r"@\w+", code(text))) - GUIDS_ONLY - {"@wrong"}
        foreign += bool(others)
        assert not others or (text.startswith("REPLACE(CONCAT(") and text.endswith("), N'%', N'%%')")), text
    assert foreign == 9
    for text in re.findall(r"THROW \d+, (N'(?:[^']|'')*')", RUN):
        assert "%" not in text


def test_a_message_fits_when_all_of_it_is_percent_signs() -> None:
    sizes = {"@why": 400, "@held": 400, "@one": 400, "@other": 400}
    for name, size in sizes.items():
        assert re.search(rf"{name} nvarchar\({size}\)", bodies()["[mergeguard].[require_allowed]"])
    for text in re.findall(r"SET @said = (.*?);\s+THROW", RUN, re.DOTALL):
        constant = sum(len(each) - 3 for each in re.findall(r"N'(?:[^']|'')*'", text))
        assert constant + 2 * sum(sizes.get(name, 64) for name in re.findall(r"@\w+", code(text))) < 2048


def test_nothing_that_a_caller_says_is_cut() -> None:
    merge, unmerge = (bodies()[f"[mergeguard].[{name}]"] for name in ("merge_guids", "unmerge_run"))
    assert "@request_id nvarchar(4000) = NULL" in merge
    assert "IF DATALENGTH(@request_id) NOT BETWEEN 2 AND 128" in merge
    assert "@merge_key nvarchar(max) = NULL" in merge
    assert "IF DATALENGTH(@merge_key) > 8000" in merge
    assert "@run_id nvarchar(4000), @reason nvarchar(max)" in unmerge
    assert "@run_id nvarchar(4000)\n" in bodies()["[mergeguard].[require_undoable]"]
    # A name in brackets, twice, with a dot.
    names = set(re.findall(r"@rows_name nvarchar\((\d+)\)", RUN))
    assert names == {"600"}


def test_names_of_the_catalogue_are_compared_in_the_collation_of_the_database() -> None:
    assert "c.[name] COLLATE DATABASE_DEFAULT AS [name]" in TEXTS["20_images.sql"]
    for text in re.findall(r"COL_NAME\([^)]*\)(.{0,26})", RUN):
        assert text.startswith(" COLLATE DATABASE_DEFAULT")
    assert not re.search(r"c\.\[name\] IN \(", RUN)
    for file in ("40_lookup.sql", "50_merge.sql"):
        assert TEXTS[file].count("k.[current_guid], k.[depth], k.[status] COLLATE DATABASE_DEFAULT") == 1


def test_a_request_that_another_took_at_the_same_time_is_looked_at_again() -> None:
    body = bodies()["[mergeguard].[merge_guids]"]
    catch = body[body.index("BEGIN CATCH") :]
    assert "ERROR_NUMBER() IN (1205, 3960)" in catch
    assert re.search(r"ERROR_NUMBER\(\) = 2627 AND EXISTS \(\s+SELECT 1 FROM \[mergeguard\]\.\[requests\]", catch)
    assert catch.index("ROLLBACK TRANSACTION") < catch.index("2627")


def test_temporary_texts_have_the_collation_of_the_database() -> None:
    for table in re.findall(r"CREATE TABLE #\w+ \((.*?)\);", RUN, re.DOTALL):
        for column in re.findall(r"\[\w+\] n?(?:var)?char\(\w+\)(?! COLLATE)", table):
            pytest.fail(column)


def test_uninstall_drops_all_that_is_made_and_nothing_else() -> None:
    made = {(kind, name) for name, kind in MADE.findall(RUN)}
    made |= {("SYNONYM", name) for name in re.findall(r"CREATE SYNONYM (\[mergeguard\]\.\[\w+\])", RUN)}
    with_its_view = {one for one in made if one[0] == "TRIGGER"}
    assert with_its_view == {("TRIGGER", "[mergeguard].[never_pairs_written]")}
    made -= with_its_view
    assert {name for kind, name in made if kind != "SYNONYM"} == {name for _, name in ALTERED.findall(RUN)}
    assert len(ALTERED.findall(RUN)) == len(set(ALTERED.findall(RUN)))
    gone = re.findall(
        r"IS NOT NULL DROP (PROCEDURE|FUNCTION|VIEW|SYNONYM) (\[mergeguard\]\.\[\w+\]);", TEXTS["99_uninstall.sql"]
    )
    assert sorted(gone) == sorted(made)
    roles = re.findall(r"CREATE ROLE (\[\w+\])", TEXTS["90_grants.sql"])
    assert sorted(re.findall(r"DROP ROLE (\[\w+\])", TEXTS["99_uninstall.sql"])) == sorted(roles)
    triggers = re.findall(r"ALTER TRIGGER (\S+)", TEXTS[GUARD_FILE])
    assert re.findall(r"DROP TRIGGER (\S+);", "".join(FILES_BY["99_uninstall.sql"].statements)) == triggers
    assert "DROP TABLE" not in TEXTS["99_uninstall.sql"]
    tables = re.findall(r"CREATE TABLE (\[\w+\]\.\[\w+\])", "".join(b for s in FILES for b in s.statements))
    assert sorted(re.findall(r"DROP TABLE (\S+);", "".join(FILES_BY[DATA].statements))) == sorted(tables)


def test_rights_are_on_what_is_there_and_outlive_an_upgrade() -> None:
    granted = set(re.findall(r"ON (\[mergeguard\]\.\[\w+\])", TEXTS["90_grants.sql"]))
    assert granted
    assert granted <= {name for _, name in ALTERED.findall(RUN)}, "dropped and made anew, it would lose them"
    assert not re.search(r"TO \[?(public|guest|dbo)", TEXTS["90_grants.sql"], re.IGNORECASE)


def test_reasons_and_numbers_belong_together() -> None:
    found: dict[str, set[int]] = {}
    text = RUN
    for number, after in re.findall(r"THROW (\d+), (.{0,60})", text):
        reason = re.match(r"N'mergeguard: ([\w-]+): ", after)
        if reason is None:
            before = text[: text.index(f"THROW {number}, {after}")]
            reason = re.search(r"N'mergeguard: ([\w-]+): ", before[before.rindex("SET @said") :])
        assert reason is not None, after
        found.setdefault(reason[1], set()).add(int(number))
    assert all(len(numbers) == 1 for numbers in found.values()), found
    numbers = [number for some in found.values() for number in some]
    assert len(numbers) == len(set(numbers))
    assert min(numbers) > 50000
    assert not set(numbers) & set(guard_mssql.ERRORS.values())
    refusals = {
        "self-merge",
        "cycle",
        "in-cycle",
        "split",
        "dead-target",
        "unknown-guid",
        "type-mismatch",
        "never-merge",
    }
    refusals |= {"shadowed-live", "lookup-drift", "no-key", "no-guard", "request-reused", "references"}
    assert refusals <= found.keys()


def test_what_python_knows_is_the_same_here() -> None:
    name = TEXTS["40_lookup.sql"]
    before, between = merge_lock.NAME.partition("{schema}")[0], "."
    assert f"CONCAT(N'{before}', OBJECT_SCHEMA_NAME(OBJECT_ID(s.[base_object_name])), N'{between}'," in name
    for file in ("10_current_guid.sql", "30_closure.sql"):
        assert str(TOMBSTONE) in TEXTS[file]
    told = re.findall(r"\('(MG\d+)', N'([\w-]+)', N'(\w+)', '(\w*)'\)", TEXTS["70_scan.sql"])
    assert [one[:3] for one in told] == [(rule.id, rule.name, rule.severity.value) for rule in RULES]
    needs = {"MG004": "live", "MG005": "live", "MG006": "types", "MG010": "refs", "MG011": "times"}
    assert {rule: need for rule, *_, need in told if need} == needs
