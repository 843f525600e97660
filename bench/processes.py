"""Processes started for a measurement: begun together, measured as trees, ended with their block."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 15
TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Of this process's own environment nothing else reaches a measured one: no setting of the caller's shell counts.
KEPT = ("PATH", "HOME", "LANG")


@dataclass(frozen=True)
class Command:
    """One program of a contender. `user` is whom to run as when this process is root."""

    words: Sequence[object]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = ROOT
    user: str | None = None


@contextlib.contextmanager
def started(commands: Sequence[Command], log: Path) -> Iterator[list[int]]:
    """Run `commands`, each in a process group of its own, with their output in `log`; yield their ids."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        with log.open("ab") as output:
            # One by one: should the third not start, the first two are known and ended.
            for command in commands:
                running += [_begun(command, output.fileno())]
        yield [process.pid for process in running]
    finally:
        for process in reversed(running):
            end(process)


def _begun(command: Command, output: int) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if name in KEPT}
    return subprocess.Popen(
        [str(word) for word in command.words],
        cwd=command.folder,
        env={**inherited, **command.environment},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        user=command.user if os.geteuid() == 0 else None,
    )


def end(process: subprocess.Popen[bytes], *, by: signal.Signals = signal.SIGTERM) -> None:
    """Stop a process that `started` began, and what is left of its group."""
    if process.poll() is None:
        process.send_signal(by)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_http(port: int, path: str, log: Path, pids: Sequence[int]) -> None:
    """Return once `path` is answered, whatever the answer; raise with the log's end when that takes too long."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and all(_is_alive(pid) for pid in pids):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request)
            if connection.recv(12).startswith(b"HTTP/1."):
                return
        time.sleep(0.05)
    message = f"no server on port {port}; the end of its log:\n{log.read_text(errors='replace')[-2000:]}"
    raise RuntimeError(message)


def tree(roots: Sequence[int]) -> list[int]:
    """Return `roots` and all processes that descend from them."""
    parents = {int(path.name): _stat(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found = {pid for pid in roots if parents.get(pid)}
    size = 0
    while len(found) > size:
        size = len(found)
        found |= {pid for pid, fields in parents.items() if fields and int(fields[1]) in found}
    return sorted(found)


def cpu_us(roots: Sequence[int]) -> int:
    """Return the processor time the trees under `roots` have used so far, their reaped children's included."""
    # Fields 14 to 17 of proc_pid_stat(5): utime, stime, cutime, cstime; _stat starts at the third.
    ticks = sum(int(number) for pid in tree(roots) for number in _stat(pid)[11:15])
    return ticks * TICK_US


def memory_bytes(pid: int) -> int:
    """Return the resident memory of one process, 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _stat(pid: int) -> list[str]:
    # A program's name may hold blanks and brackets: what counts begins behind the last bracket.
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _is_alive(pid: int) -> bool:
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"
