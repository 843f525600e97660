"""A server of the demo's own: a fresh folder, its settings, and the launcher that ends with the demo."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import config
from web import launch, welcome

FOLDERS_KEPT = 3
PORTS = range(8000, 8100)
START_S_MAX = 60
STOP_S_MAX = 20
# Settings of an installation that a demo must not touch or be moved by: its queue, its address, its proxies.
NOT_OURS = ("REDIS_URL", "PUBLIC_URL", "TRUSTED_PROXY_HOPS", "VAR_DIR")


class NotStartedError(Exception):
    """Why there is no server, in a sentence."""


def fresh_folder(demos: Path, now: datetime) -> Path:
    """Make a folder of this run's own, and drop all but the newest; one that is still in use stays."""
    demos.mkdir(parents=True, exist_ok=True)
    name = f"{now:%Y%m%dT%H%M%SZ}"
    for attempt in range(100):
        folder = demos / (f"{name}-{attempt}" if attempt else name)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            break
    others = sorted(path for path in demos.iterdir() if path.is_dir() and path != folder)
    for old in others[: -(FOLDERS_KEPT - 1)]:
        if not launch.is_held(old):
            shutil.rmtree(old, ignore_errors=True)
    return folder


def environment_of(folder: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a demo in `folder`: what was given, with a port that is free and what must be ours."""
    ours = {name for kind in NOT_OURS for name in (kind, f"{kind}_FILE")}
    environment = {name: value for name, value in given.items() if name not in ours}
    environment["VAR_DIR"] = str(folder)
    if not config.is_given(given, "PORT"):
        host = given.get("HOST") or "127.0.0.1"
        free = next((port for port in PORTS if launch.is_free(host, port)), None)
        if free is None:
            message = f"no port from {PORTS.start} to {PORTS.stop - 1} is free: choose one with PORT="
            raise NotStartedError(message)
        environment["PORT"] = str(free)
    return environment


@contextmanager
def running(environment: Mapping[str, str], settings: config.Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Start everything with `environment` and wait until it is ready; stop it all with the block."""
    # A session of its own: Ctrl-C is for the demo, which then lets go of the launcher's standard input. Should the
    # demo be killed, the system lets go of it, and the launcher ends all the same.
    launcher = subprocess.Popen(
        [sys.executable, "-m", "web.launch", "run", "--quiet", "--while-stdin"],
        cwd=launch.ROOT, env=dict(environment), stdin=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        _wait(launcher, settings)
        yield launcher
    finally:
        if launcher.stdin is not None:
            launcher.stdin.close()
        # A second Ctrl-C must not leave the stopping half done.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            launcher.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            launcher.kill()
        signal.signal(signal.SIGINT, before)


def _wait(launcher: subprocess.Popen[bytes], settings: config.Settings) -> None:
    end = time.monotonic() + START_S_MAX
    while not welcome.is_ready(settings, within_s=0.5):
        if launcher.poll() is not None or time.monotonic() > end:
            message = f"the server did not start; its log is in {settings.var_dir}/log"
            raise NotStartedError(message)
