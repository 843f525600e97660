"""The process manager as people start it: everything comes up, everything goes, secrets stay."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parent.parent
START_S_MAX = 60
STOP_S_MAX = 60

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes under /proc")

Launch = Callable[..., subprocess.Popen[bytes]]


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(var_dir: Path, port: int) -> dict[str, str]:
    """What a launch is started with: nothing of the machine's own settings."""
    foreign = {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "KEY_ENCRYPTION_KEY", "PUBLIC_URL"}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return kept | {"VAR_DIR": str(var_dir), "PORT": str(port), "WEB_PROCESSES": "1"}


def living(var_dir: Path) -> set[int]:
    """Process ids of everything that was started with `var_dir`: what is left behind keeps its environment."""
    marker = f"VAR_DIR={var_dir}".encode()
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker in path.read_bytes().split(b"\0"):
                found.add(int(path.parent.name))
        except OSError:
            continue  # gone meanwhile, or somebody else's
    return found


def wait_until(holds: Callable[[], bool], within_s: float) -> bool:
    """Say whether `holds` came true in time."""
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def answers(port: int) -> bool:
    """Say whether the server is ready, its Valkey too."""
    try:
        return bool(requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2).json()["redis"] == "ok")
    except (requests.ConnectionError, requests.Timeout):
        return False


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Start `web.launch`; whatever a failing test leaves is ended."""
    started: list[tuple[subprocess.Popen[bytes], Path]] = []

    def start(var_dir: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "web.launch", "run", *options],
            cwd=ROOT, env=environment(var_dir, port),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append((process, var_dir))
        return process

    yield start
    for process, var_dir in started:
        for number in living(var_dir):
            os.kill(number, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def test_a_signal_stops_everything_and_the_next_start_finds_the_secrets_of_the_first(
    launch: Launch, tmp_path: Path
) -> None:
    names = ("secret_key", "key_encryption_key")
    seen = []
    for number in (signal.SIGTERM, signal.SIGINT):
        port = free_port()
        process = launch(tmp_path, port, "--quiet")
        assert wait_until(lambda port=port: answers(port), START_S_MAX)  # type: ignore[misc]  # mypy infers no lambda with a default
        assert len(living(tmp_path)) >= 6  # the manager, web and its one worker, the stages' worker, ring, Valkey
        seen.append([(tmp_path / name).read_text() for name in names])

        process.send_signal(number)

        assert process.wait(STOP_S_MAX) == 0
        assert wait_until(lambda: not living(tmp_path), 2)

    assert seen[0] == seen[1]
    assert len({*seen[0]}) == 2
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names} == {0o600}


def test_a_signal_in_the_first_moments_leaves_nothing_behind(launch: Launch, tmp_path: Path) -> None:
    process = launch(tmp_path, free_port(), "--quiet")
    assert wait_until((tmp_path / "log" / "system.log").exists, START_S_MAX)

    process.terminate()

    assert process.wait(STOP_S_MAX) == 0
    assert wait_until(lambda: not living(tmp_path), 2)


def test_a_key_made_anew_beside_secrets_of_another_is_refused_instead_of_served(launch: Launch, tmp_path: Path) -> None:
    environment_ = environment(tmp_path, free_port())
    prepare = [sys.executable, "-m", "web.launch", "migrate"]
    create = [sys.executable, "-m", "flask", "--app", "wsgi", "source", "create", "First", "--json"]
    for command in (prepare, create):
        subprocess.run(command, cwd=ROOT, env=environment_, check=True, capture_output=True, timeout=START_S_MAX)
    (tmp_path / "key_encryption_key").unlink()

    refused = launch(tmp_path, free_port())

    said = refused.communicate(timeout=START_S_MAX)[0]
    assert refused.returncode == 2
    assert b"KEY_ENCRYPTION_KEY does not open sec_" in said


def test_beside_a_launch_another_is_refused_its_metrics_are_its_own_and_a_child_that_dies_ends_all(
    launch: Launch, tmp_path: Path
) -> None:
    port, one = free_port(), tmp_path / "one"
    (one / "prometheus").mkdir(parents=True)
    (one / "prometheus" / "counter_1.db").write_bytes(b"of an earlier start")
    process = launch(one, port, "--quiet")
    assert wait_until(lambda: answers(port), START_S_MAX)

    same_folder = launch(one, free_port())
    same_port = launch(tmp_path / "two", port)
    said = [each.communicate(timeout=STOP_S_MAX)[0] for each in (same_folder, same_port)]
    exposition = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    [valkey] = [number for number in living(one) if b"valkey-server" in Path(f"/proc/{number}/cmdline").read_bytes()]
    os.kill(valkey, signal.SIGKILL)

    assert process.wait(STOP_S_MAX) != 0
    assert wait_until(lambda: not living(one), 2)
    assert "valkey stopped" in (one / "log" / "system.log").read_text()
    assert b"is in use by another launch" in said[0]
    assert b"choose another, such as PORT=" in said[1]
    assert same_folder.returncode == same_port.returncode == 2
    assert 'clickledger_request_seconds_count{endpoint="readyz",method="GET",status="200"}' in exposition
    assert not (one / "prometheus" / "counter_1.db").exists()


def test_a_folder_too_deep_for_a_socket_is_served_until_the_process_that_holds_standard_input_ends(
    launch: Launch, tmp_path: Path
) -> None:
    var_dir, port = tmp_path / ("deep" * 30), free_port()
    process = launch(var_dir, port, "--quiet", "--while-stdin")
    assert wait_until(lambda: answers(port), START_S_MAX)
    elsewhere = Path((var_dir / "redis_url").read_text().strip().removeprefix("unix://"))

    verified = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "audit", "verify"],
        cwd=ROOT, env=environment(var_dir, port), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.close()

    assert process.wait(STOP_S_MAX) == 0
    assert wait_until(lambda: not living(var_dir), 2)
    # The stage that signs the day's head may have run by now.
    assert re.fullmatch(r"all 0 rows hold; all 0 seals hold(; all 1 heads hold)?\n", verified.stdout)
    assert not elsewhere.parent.exists()
