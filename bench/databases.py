"""Databases to measure on: a throw-away PostgreSQL cluster with its durability untouched, SQLite files, a slow disk."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.processes import START_TIMEOUT_S, Command, free_port, started

SLOW_DISK_SOURCE = Path(__file__).with_name("slow_disk.c")
SERVER_USER = "postgres"
TEMPLATE = "bench_template"


def postgresql_binaries() -> Path | None:
    """Return the folder of the newest installed server, None without one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    initdb = found[-1] if found else shutil.which("initdb")
    return Path(initdb).parent if initdb else None


def slow_disk_library(folder: Path) -> Path:
    """Compile the library that makes every sync 3 ms slower, and return it."""
    library = folder / "slow_disk.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SLOW_DISK_SOURCE, "-ldl"], check=True)
    library.chmod(0o755)
    return library


# Files of the write-ahead log, 16 MiB each, that a cluster keeps for use again.
SEGMENTS_KEPT = 60


@dataclass(frozen=True)
class Cluster:
    """A running PostgreSQL: `pid` is the postmaster's, under which all its processes hang."""

    port: int
    folder: Path
    pid: int
    binaries: Path

    def url(self, database: str) -> str:
        """Return a database's address over TCP, as the peers and our own server are given it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, *, database: str = "postgres") -> None:
        """Run a statement outside any transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def create(self, name: str, *, template: str = TEMPLATE) -> str:
        """Make `name` anew as a copy of `template`, settle the disk and return its address."""
        self.drop(name)
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        self.execute("CHECKPOINT")
        return self.url(name)

    def drop(self, name: str) -> None:
        """Drop a database, whoever still speaks to it."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextlib.contextmanager
def postgresql(binaries: Path, *, preload: Path | None = None) -> Iterator[Cluster]:
    """Start a cluster whose settings of durability are the server's own: fsync and synchronous_commit are on."""
    folder = Path(tempfile.mkdtemp(prefix="clickledger-bench-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, SERVER_USER)
    try:
        _initialise(binaries, folder / "data")
        port = free_port()
        words: list[str | Path] = [
            binaries / "postgres", "-D", folder / "data", "-c", "listen_addresses=127.0.0.1", "-c", f"port={port}",
            "-c", f"unix_socket_directories={folder}", "-c", "max_connections=200",
            "-c", f"min_wal_size={SEGMENTS_KEPT * 16}MB", "-c", f"max_wal_size={2 * SEGMENTS_KEPT * 16}MB",
        ]  # fmt: skip
        environment = {"LD_PRELOAD": str(preload)} if preload else {}
        log = folder.with_suffix(".log")
        with started([Command(words, environment, Path("/"), SERVER_USER)], log) as [pid]:
            cluster = Cluster(port, folder, pid, binaries)
            _wait(cluster, log)
            _run_in(cluster)
            try:
                yield cluster
            finally:
                # An immediate shutdown: nothing in this cluster is kept.
                os.kill(pid, signal.SIGQUIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".log").unlink(missing_ok=True)


def _initialise(binaries: Path, folder: Path) -> None:
    words: list[str | Path] = [
        binaries / "initdb",
        "-D",
        folder,
        "-A",
        "trust",
        "-U",
        "postgres",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
    ]
    user = SERVER_USER if os.geteuid() == 0 else None
    subprocess.run(words, check=True, user=user, cwd="/", stdout=subprocess.DEVNULL, timeout=120)


def _run_in(cluster: Cluster) -> None:
    """Bring the log's files to where a server stands that has run for a while: written once, then used over and over.

    A new file is filled with zeros and synced while every commit waits, some 200 ms on a machine of the cloud.
    """
    for _ in range(SEGMENTS_KEPT):
        cluster.execute("SELECT pg_logical_emit_message(false, 'bench', 'a file of the log'), pg_switch_wal()")
    cluster.execute("CHECKPOINT")


def _wait(cluster: Cluster, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(cluster.url("postgres"), connect_timeout=2):
            return
        time.sleep(0.1)
    raise RuntimeError(log.read_text(errors="replace")[-2000:])


def count(url: str, table: str) -> int:
    """Return how many rows `table` of the database at `url` has."""
    return number(url, f"SELECT count(*) FROM {table}")


def number(url: str, statement: str) -> int:
    """Return the one number that `statement` selects from the database at `url`."""
    if url.startswith("sqlite:///"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=10)) as file:
            return int(file.execute(statement).fetchone()[0])
    with psycopg.connect(url) as connection:
        row = connection.execute(statement.encode()).fetchone()
        return int(row[0]) if row else 0
