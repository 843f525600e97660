"""Our own processes, started as in production: gunicorn, worker, ring. Each ends with its block."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import requests

ROOT = Path(__file__).parent.parent
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20


@contextlib.contextmanager
def started(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` in a process group of its own, with its output in `log`; end the whole group afterwards."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)


@contextlib.contextmanager
def gunicorn(
    environment: Mapping[str, str], folder: Path, *, app: str = "wsgi:whole", workers: int = 2, port: int = 0
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve `app` on a free port; yield its URL and the master process once /healthz answers.

    Our own applications are served with our own settings of gunicorn (deploy/), others by its threads.
    """
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gunicorn"]
    if app.startswith("wsgi:"):
        command += ["-c", "deploy/gunicorn.conf.py", app]
    else:
        command += ["-c", "deploy/gunicorn.conf.py", "-k", "gthread", "--threads", "8", app]
    served = {**environment, "PORT": str(port), "WEB_PROCESSES": str(workers)}
    with started(command, served, folder / "gunicorn.log") as process:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                if requests.get(f"{url}/healthz", timeout=5).ok:
                    break
            if time.monotonic() > deadline or process.poll() is not None:
                message = f"gunicorn did not start: {(folder / 'gunicorn.log').read_text()[-2000:]}"
                raise RuntimeError(message)
            time.sleep(0.05)
        yield url, process


def free_port() -> int:
    """Return a port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the process ids of the children of `process` that are alive."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    return [int(word) for word in found.split()]


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # What the master left behind, when a test killed it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
