"""What peers need beside this project's own packages: pinned, installed once under var/bench."""

import subprocess
import sys

from bench.processes import ROOT

FOLDER = ROOT / "var" / "bench"
PYTHON = FOLDER / "venv" / "bin" / "python"
NODE = FOLDER / "fastify"
_PEERS = ROOT / "bench" / "peers"
_INSTALL_TIMEOUT_S = 600


def python_missing() -> str | None:
    """Install FastAPI and its company where they are not yet; return why that did not work."""
    wanted = (_PEERS / "requirements.txt").read_text(encoding="utf-8")
    stamp = FOLDER / "venv" / "installed.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return None
    reason = _fails([sys.executable, "-m", "venv", FOLDER / "venv"]) or _fails(
        [PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "-r", _PEERS / "requirements.txt"]
    )
    if reason is None:
        stamp.write_text(wanted, encoding="utf-8")
    return reason


def node_missing() -> str | None:
    """Install Fastify and pg where they are not yet; return why that did not work."""
    wanted = (_PEERS / "fastify" / "package.json").read_text(encoding="utf-8")
    stamp = NODE / "installed.json"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return None
    NODE.mkdir(parents=True, exist_ok=True)
    (NODE / "package.json").write_text(wanted, encoding="utf-8")
    # No lock file: it would record from where this machine takes its packages.
    words = ["npm", "install", "--prefix", NODE, "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
    reason = _fails(words)
    if reason is None:
        stamp.write_text(wanted, encoding="utf-8")
    return reason


def _fails(words: list[object]) -> str | None:
    try:
        done = subprocess.run(
            [str(word) for word in words], capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{words[0]} did not run: {type(error).__name__}"
    if done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return f"its packages could not be installed: {lines[-1] if lines else 'no reason given'}"
