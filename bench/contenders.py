"""Who takes part: our own server in its configurations, peers on other frameworks, and references without work."""

import importlib.util
import os
import shutil
import string
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import dependencies
from bench.processes import ROOT, Command
from bench.scene import Stage

PEERS = Path(__file__).parent / "peers"
POSTGRESQL, SQLITE = "postgresql", "sqlite"
OURS, PEER, REFERENCE = "ours", "peer", "reference"
# Of the web server's and the PHP package's: what both run as when this process is root.
WEB_USER = "www-data"
GTHREAD = (
    "-m",
    "gunicorn",
    "-k",
    "gthread",
    "-w",
    "2",
    "--threads",
    "8",
    "--no-control-socket",
    "--log-level",
    "error",
)


@dataclass(frozen=True)
class Place:
    """Where one contender runs in one round. `preload` is the slow disk, for who syncs by himself."""

    stage: Stage
    folder: Path
    port: int
    database_url: str = ""
    preload: Path | None = None


@dataclass(frozen=True)
class Contender:
    """One row of the comparison. `path` is what is asked where no postback is; `missing` says why it cannot run."""

    name: str
    title: str
    kind: str
    commands: Callable[[Place], Sequence[Command]]
    database: str | None = None
    path: str = "/hello"
    missing: Callable[[], str | None] = field(default=lambda: None)


def _ours(
    name: str, database: str, words: Sequence[str], *, environment: Mapping[str, str] | None = None, needs: str = ""
) -> Contender:
    """Describe one configuration of our own server: gunicorn's arguments, and settings beside the usual ones."""

    def commands(place: Place) -> list[Command]:
        settings = place.stage.environment(place.database_url, port=place.port, folder=place.folder)
        slow = {"LD_PRELOAD": str(place.preload)} if place.preload and database == SQLITE else {}
        redis_url = {"REDIS_URL": place.stage.redis_url}
        command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", *words]
        return [Command(command, {**settings, **redis_url, **(environment or {}), **slow})]

    def missing() -> str | None:
        if needs and importlib.util.find_spec(needs) is None:
            return f"{needs} is not installed beside gunicorn"
        if "wsgi:intake" in words and "\nintake" not in (ROOT / "wsgi.py").read_text(encoding="utf-8"):
            return "wsgi.py has no `intake`"
        return None

    return Contender(name, f"Clickledger: gunicorn {' '.join(words)} on {database}", OURS, commands, database,
                     missing=missing)  # fmt: skip


def _textbook(place: Place) -> list[Command]:
    words = [sys.executable, *GTHREAD, "-b", f"127.0.0.1:{place.port}", "textbook:app"]
    return [Command(words, {**_peer(place), "PYTHONPATH": f"{PEERS}:{ROOT}"}, PEERS)]


def _fastapi(place: Place) -> list[Command]:
    words = [
        dependencies.PYTHON, "-m", "uvicorn", "fast:app", "--host", "127.0.0.1", "--port", place.port, "--workers", "2",
        "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
    return [Command(words, _peer(place), PEERS)]


def _fastify(place: Place) -> list[Command]:
    # Node looks for modules from the script's own folder upwards, so it runs beside what npm installed.
    script = shutil.copy(PEERS / "fastify" / "server.mjs", dependencies.NODE)
    return [Command(["node", script], {**_peer(place), "PEERS": str(PEERS), "NODE_ENV": "production"})]


def _php(place: Place) -> list[Command]:
    # A copy: the unprivileged user may not be let into a checkout.
    peers = Path(shutil.copytree(PEERS, place.folder / "peers", ignore=shutil.ignore_patterns("__pycache__")))
    _filled("fpm.conf", place, peers)
    environment = {**_peer(place), "DATABASE_URL": place.database_url}
    return [
        Command([_php_fpm(), "-F", "-y", place.folder / "fpm.conf"], environment),
        *_nginx(place),
    ]


def _nginx(place: Place) -> list[Command]:
    _filled("nginx.conf", place, place.folder / "peers")
    return [Command(["nginx", "-p", place.folder, "-c", place.folder / "nginx.conf"])]


def _filled(name: str, place: Place, peers: Path) -> None:
    identity = ""
    if os.geteuid() == 0:
        identity = f"user = {WEB_USER}\ngroup = {WEB_USER}" if name == "fpm.conf" else f"user {WEB_USER};"
        shutil.chown(place.folder, WEB_USER)
    text = string.Template((PEERS / "php" / name).read_text(encoding="utf-8")).substitute(
        folder=place.folder, port=place.port, script=peers / "php" / "postback.php", identity=identity, dollar="$"
    )
    (place.folder / name).write_text(text, encoding="utf-8")


def _hello(app: str) -> Callable[[Place], list[Command]]:
    def commands(place: Place) -> list[Command]:
        return [Command([sys.executable, *GTHREAD, "-b", f"127.0.0.1:{place.port}", app], folder=PEERS)]

    return commands


def _peer(place: Place) -> dict[str, str]:
    settings = place.stage.environment(place.database_url, port=place.port)
    return {name: settings[name] for name in ("DATABASE_URL", "KEY_ENCRYPTION_KEY", "PORT")}


def _php_fpm() -> str | None:
    found = sorted(Path("/usr/sbin").glob("php-fpm*")) + sorted(Path("/usr/local/sbin").glob("php-fpm*"))
    return str(found[-1]) if found else shutil.which("php-fpm")


def _needs(*programs: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        absent = [program for program in programs if _program(program) is None]
        return f"not installed: {', '.join(absent)}" if absent else None

    return missing


def _program(name: str) -> str | None:
    return _php_fpm() if name == "php-fpm" else shutil.which(name)


def _first(*questions: Callable[[], str | None]) -> Callable[[], str | None]:
    return lambda: next((reason for question in questions if (reason := question())), None)


_TABLE = (
    _ours("ours-postgresql", POSTGRESQL, ["wsgi:whole"]),
    _ours("ours-sqlite", SQLITE, ["wsgi:whole"]),
    _ours("ours-intake-postgresql", POSTGRESQL, ["wsgi:intake"]),
    _ours("ours-intake-sqlite", SQLITE, ["wsgi:intake"]),
    _ours("ours-gthread-postgresql", POSTGRESQL, ["-k", "gthread", "--threads", "8", "wsgi:app"]),
    _ours("ours-gthread-sqlite", SQLITE, ["-k", "gthread", "--threads", "8", "wsgi:app"]),
    _ours("ours-gevent-postgresql", POSTGRESQL, ["-k", "gevent", "wsgi:app"], needs="gevent"),
    Contender("textbook", "Flask, an ORM session and a commit a request; gunicorn gthread 2x8", PEER, _textbook,
              POSTGRESQL),
    Contender("fastapi", "FastAPI and asyncpg; uvicorn, 2 processes, uvloop and httptools", PEER, _fastapi, POSTGRESQL,
              missing=dependencies.python_missing),
    Contender("fastify", "Fastify and pg; a node cluster of 2", PEER, _fastify, POSTGRESQL,
              missing=_first(_needs("node", "npm"), dependencies.node_missing)),
    Contender("php", "php-fpm, 32 processes with persistent connections, behind nginx", PEER, _php, POSTGRESQL,
              missing=_needs("php-fpm", "nginx")),
    Contender("nginx-hello", "nginx, `return 200`", REFERENCE, _nginx, missing=_needs("nginx")),
    Contender("gunicorn-hello", "a bare WSGI callable; gunicorn gthread 2x8", REFERENCE, _hello("hello:bare")),
    Contender("flask-hello", "Flask without any work; gunicorn gthread 2x8", REFERENCE, _hello("hello:app")),
    Contender("pgbench", "the peers' statement alone, 32 clients, without HTTP", REFERENCE, lambda _: [], POSTGRESQL,
              missing=_needs("pgbench")),
)  # fmt: skip

CONTENDERS: Mapping[str, Contender] = {contender.name: contender for contender in _TABLE}
