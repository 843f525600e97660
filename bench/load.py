"""Closed-loop load through wrk: as fast as the server answers, over 32 connections."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")
THREADS = 2
CONNECTIONS = 32
# More than anything here answers in a second; the file of a round holds this many targets for each.
PER_SECOND_MAX = 8000


@dataclass(frozen=True)
class Lines:
    """A part of a file of targets: `count` lines from `first` on."""

    file: Path
    first: int
    count: int


@dataclass(frozen=True)
class Measured:
    """What wrk saw. `refused` counts answers outside 2xx and 3xx, `broken` connections, `wraps` repeated targets."""

    answers: int
    seconds: float
    p50_us: int
    p90_us: int
    p99_us: int
    max_us: int
    refused: int
    broken: int
    timeouts: int
    wraps: int

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def run(port: int, seconds: float, *, lines: Lines | None = None, path: str = "/", keep_alive: bool = True) -> Measured:
    """Load 127.0.0.1:`port` for whole `seconds`: with the targets of `lines`, or always with `path`."""
    what = [str(lines.file), str(lines.first), str(lines.count)] if lines else ["-", "0", "0"]
    header = [] if keep_alive else ["-H", "Connection: close"]
    words = [
        "wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", *header,
        "-s", str(SCRIPT), f"http://127.0.0.1:{port}", "--", *what, path, str(THREADS),
    ]  # fmt: skip
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=seconds + 60)
    found = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return Measured(**json.loads(found.removeprefix("RESULT ")))
