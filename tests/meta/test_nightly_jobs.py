"""The ready jobs for systemd, Task Scheduler and SQL Server Agent: installed, they start nothing; run, they work."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

CHECKOUT = Path(__file__).parents[2]
SERVICE = CHECKOUT / "scripts" / "systemd" / "mergeguard-nightly.service"
TIMER = SERVICE.with_suffix(".timer")
TASK = CHECKOUT / "scripts" / "windows" / "mergeguard-nightly.xml"
JOB = CHECKOUT / "sql" / "mssql" / "agent_job.sql"
UNINSTALL = CHECKOUT / "sql" / "mssql" / "agent_job_uninstall.sql"
TASK_SPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
EVERY = (SERVICE, TIMER, TASK, JOB, UNINSTALL)


# --- What all of them must be ---


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.name)
def test_no_password_stands_in_a_job(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"://[^/\s\"']*:[^@\s\"']*@|(?i:pwd|password)\s*=\s*\w", text)
    assert text.isascii()


def service_command(folder: Path) -> list[str]:
    said = dict(directives(SERVICE)["Service"])
    places = {"${STATE_DIRECTORY}": folder, "${CREDENTIALS_DIRECTORY}": folder, "/etc/mergeguard": folder}
    command = said["ExecStart"].replace("${TARGET}", str(folder / "m.csv"))
    for name, place in places.items():
        command = command.replace(name, str(place))
    return shlex.split(command)


def task_command(folder: Path) -> list[str]:
    action = task().find(f"{TASK_SPACE}Actions/{TASK_SPACE}Exec")
    assert action is not None
    said = " ".join(action.findtext(f"{TASK_SPACE}{name}", "") for name in ("Command", "Arguments"))
    return windows_words(said, folder)


def job_command(folder: Path) -> list[str]:
    told = re.search(r"@command nvarchar\(max\) =(.*?);", JOB.read_text("utf-8"), re.DOTALL)
    assert told
    return windows_words("".join(re.findall(r"N'([^']*)'", told[1])), folder)


def windows_words(command: str, folder: Path) -> list[str]:
    command = re.sub(r'"mssql\+pyodbc://[^"]*"', str(folder / "m.csv"), command)
    return shlex.split(command.replace(r"C:\MergeGuard", str(folder)).replace("\\", "/"))


@pytest.mark.parametrize("written", [service_command, task_command, job_command], ids=lambda one: one.__name__)
def test_the_command_of_a_job_runs(written: object, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("OldGuid,NewGuid\n")
    (tmp_path / "mergeguard.toml").write_text('fail_on = "error"\n')
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "state").mkdir()
    program, *arguments = written(tmp_path)  # type: ignore[operator]
    assert Path(program).stem == "mergeguard"
    ran = subprocess.run(
        [sys.executable, "-m", "mergeguard", *arguments], cwd=tmp_path, capture_output=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    made = {path.name for path in tmp_path.rglob("*")}
    assert {"history.db", "mergeguard.prom", "mergeguard-latest.html", "mergeguard-latest.json"} <= made


# --- systemd ---


def directives(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Read a unit file: sections of directives in their order, which may stand there more than once."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in path.read_text("utf-8").replace("\\\n", " ").splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = found.setdefault(line[1:-1], [])
        elif line.strip() and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert equals
            assert re.fullmatch(r"[A-Z]\w+", name), line
            section.append((name, value.strip()))
    return found


def test_the_service_is_hardened() -> None:
    said = dict(directives(SERVICE)["Service"])
    switched_on = ("DynamicUser", "PrivateTmp", "PrivateDevices", "NoNewPrivileges", "ProtectHome", "LockPersonality")
    assert {said[name] for name in switched_on} == {"yes"}
    assert said["ProtectSystem"] == "strict"
    assert said["CapabilityBoundingSet"] == ""
    assert said["Type"] == "oneshot"


def test_the_password_is_a_credential() -> None:
    said = dict(directives(SERVICE)["Service"])
    name, _, place = said["LoadCredential"].partition(":")
    assert place.startswith("/etc/")
    assert f"--password-file ${{CREDENTIALS_DIRECTORY}}/{name}" in said["ExecStart"]


def test_whom_to_tell_is_a_line_to_fill_in() -> None:
    assert re.search(r"^#OnFailure=\S+@%n\.service$", SERVICE.read_text("utf-8"), re.MULTILINE)
    assert "OnFailure" not in dict(directives(SERVICE)["Unit"])


def test_nothing_starts_before_the_timer_is_enabled() -> None:
    assert "Install" not in directives(SERVICE)
    timer = directives(TIMER)
    assert timer["Install"] == [("WantedBy", "timers.target")]
    assert dict(timer["Timer"])["Unit"] == SERVICE.name
    assert re.fullmatch(r"\*-\*-\* \d\d:\d\d:\d\d", dict(timer["Timer"])["OnCalendar"])


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The unit files with a program that exists here, or none where there is no systemd to ask."""
    if shutil.which("systemd-analyze") is None:
        return []
    for path in (SERVICE, TIMER):
        text = path.read_text("utf-8").replace("/opt/mergeguard/bin/mergeguard", "/bin/true")
        (tmp_path / path.name).write_text(text)
    return [str(tmp_path / path.name) for path in (SERVICE, TIMER)]


def test_systemd_knows_every_directive_where_there_is_systemd(units: list[str]) -> None:
    if units:
        asked = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
        assert asked.stderr == ""
    told = [name for path in (SERVICE, TIMER) for section in directives(path).values() for name, _ in section]
    assert len(told) - len(set(told)) <= 2, "Description and Unit alone stand in both"


# --- Windows ---


def task() -> ET.Element:
    text = TASK.read_text("utf-8")
    assert "<!DOCTYPE" not in text
    assert "<!ENTITY" not in text
    return ET.fromstring(text)  # noqa: S314 - our own file, and no entity can be declared in it


# In the schema these are sequences; its other types may come in any order.
SEQUENCES = {
    "CalendarTrigger": (
        ["Enabled", "StartBoundary", "EndBoundary", "Repetition", "ExecutionTimeLimit", "RandomDelay"],
        ["ScheduleByDay", "ScheduleByWeek", "ScheduleByMonth", "ScheduleByMonthDayOfWeek"],
    ),
}
CHILDREN = {
    "Task": {"RegistrationInfo", "Triggers", "Principals", "Settings", "Data", "Actions"},
    "RegistrationInfo": {"URI", "SecurityDescriptor", "Source", "Date", "Author", "Version", "Description"},
    "Principal": {"UserId", "LogonType", "GroupId", "DisplayName", "RunLevel"},
    "ScheduleByDay": {"DaysInterval"},
    "Exec": {"Command", "Arguments", "WorkingDirectory"},
    "Settings": {
        *("AllowStartOnDemand", "RestartOnFailure", "MultipleInstancesPolicy", "DisallowStartIfOnBatteries"),
        *("StopIfGoingOnBatteries", "AllowHardTerminate", "StartWhenAvailable", "RunOnlyIfNetworkAvailable"),
        *("Enabled", "Hidden", "DeleteExpiredTaskAfter", "IdleSettings", "NetworkSettings", "ExecutionTimeLimit"),
        *("Priority", "RunOnlyIfIdle", "WakeToRun"),
    },
}


def walk(element: ET.Element) -> Iterator[tuple[str, list[str]]]:
    yield element.tag.removeprefix(TASK_SPACE), [child.tag.removeprefix(TASK_SPACE) for child in element]
    for child in element:
        yield from walk(child)


def test_the_task_has_the_shape_of_the_schema() -> None:
    root = task()
    assert (root.tag, root.attrib) == (f"{TASK_SPACE}Task", {"version": "1.2"})
    assert all(element.tag.startswith(TASK_SPACE) for element in root.iter())
    for name, children in walk(root):
        assert set(children) <= CHILDREN.get(name, set(children)), name
        assert len(children) == len(set(children)), name
        if name in SEQUENCES:
            first, choice = SEQUENCES[name]
            order = [*first, *choice]
            assert children == sorted(children, key=order.index)
            assert len(set(children) & set(choice)) == 1


def test_the_task_is_disabled_and_runs_once_at_a_time_with_few_rights() -> None:
    root = task()

    def said(path: str) -> str | None:
        return root.findtext("/".join(TASK_SPACE + name for name in path.split("/")))

    assert said("Settings/Enabled") == "false"
    assert said("Settings/MultipleInstancesPolicy") == "IgnoreNew"
    assert said("Principals/Principal/RunLevel") == "LeastPrivilege"
    assert root.find(f"{TASK_SPACE}Actions").get("Context") == root.find(f".//{TASK_SPACE}Principal").get("id")  # type: ignore[union-attr]


def test_every_duration_and_moment_of_the_task_is_one() -> None:
    for element in task().iter():
        name = element.tag.removeprefix(TASK_SPACE)
        if name in {"ExecutionTimeLimit", "RandomDelay"}:
            assert re.fullmatch(r"PT\d+[HMS]", element.text or ""), name
        if name == "StartBoundary":
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", element.text or "")


# --- SQL Server Agent ---


def parsed(sql: str) -> int:
    maxdop = shutil.which("maxdop", path=Path(sys.executable).parent) or shutil.which("maxdop")
    assert maxdop is not None, "pip install maxdop"
    command = [maxdop, "--parser-version", "2012"]
    return subprocess.run(command, input=sql, capture_output=True, text=True, check=False, timeout=60).returncode


@pytest.mark.parametrize("path", [JOB, UNINSTALL], ids=lambda path: path.name)
def test_the_scripts_parse_whole_and_batch_by_batch(path: Path) -> None:
    text = path.read_text("utf-8")
    batches = [batch for batch in re.split(r"(?im)^\s*GO\s*$", text) if batch.strip()]
    assert len(batches) == 2
    assert [parsed(sql) for sql in (text, *batches)] == [0, 0, 0]
    assert parsed(batches[1].replace("BEGIN", "BEGUN")) != 0, "the parser would notice"


@pytest.mark.parametrize("path", [JOB, UNINSTALL], ids=lambda path: path.name)
def test_the_scripts_say_their_version_and_what_they_do(path: Path) -> None:
    head = path.read_text("utf-8").partition("\nUSE ")[0]
    assert re.match(r"-- MergeGuard: .*Version \d+\.\n", head)
    assert all(line.startswith("--") or not line for line in head.splitlines())


def test_the_job_has_no_schedule_and_is_made_only_where_there_is_none() -> None:
    code = re.sub(r"--[^\n]*", "", JOB.read_text("utf-8"))
    assert re.findall(r"\[sp_\w+\]", code) == [
        "[sp_add_category]",
        "[sp_add_job]",
        "[sp_add_jobstep]",
        "[sp_update_job]",
        "[sp_add_jobserver]",
    ]
    assert code.index("IF EXISTS") < code.index("ELSE") < code.index("sp_add_job]")
    assert not re.search(r"(?i)schedule|xp_cmdshell|\bdelete\b|\bmerge\b|or alter", re.sub(r"N'[^']*'", "", code))
    assert "@subsystem = N'CmdExec'" in code


def test_the_job_and_its_uninstall_mean_the_same_job() -> None:
    names = {re.search(r"@job sysname = (N'[^']+')", path.read_text("utf-8"))[1] for path in (JOB, UNINSTALL)}  # type: ignore[index]
    assert len(names) == 1
    marker = re.search(r"LIKE N'%(.*)%'", UNINSTALL.read_text("utf-8"))
    assert marker
    assert marker[1] in JOB.read_text("utf-8"), "a job of somebody else that has this name stays"
