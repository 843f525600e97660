"""The whole engine on a small disk of its own, kept running by a process manager, under senders that never give up."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

import config
from core.actors import system
from core.errors import Unavailable
from core.runtime import Runtime
from partners import sources
from partners.sources import NewSource, RateLimit
from payouts.models import Accrual
from postback.models import Conversion, ConversionEvent, Receipt
from tests.conftest import KEY_ENCRYPTION_KEY, SECRET_KEY
from tests.journeys.engine import Source, until
from tests.payouts.books import Books
from tests.processes import ROOT, free_port
from tests.servers import initdb, unprivileged, valkey_command
from tracking import clicks
from tracking.clicks import NewClick
from web import assembly
from web.commands import migrate

SENDERS = 4
DISK = {"sqlite": "24m", "postgresql": "192m"}
CLICK = "CLICK-1"


class Manager:
    """Starts whatever has ended again, as an operator's process manager does, until it is closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._commands: dict[str, tuple[list[str], dict[str, str], str | None]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._held: set[str] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def add(self, name: str, command: list[str], environment: dict[str, str], user: str | None = None) -> None:
        """Start `command` and keep it running."""
        with self._lock:
            self._commands[name] = (command, environment, user)
            self._start(name)

    def pid(self, name: str) -> int:
        """Return the process id it has now."""
        return self._processes[name].pid

    def kill(self, name: str) -> None:
        """End it without a word (SIGKILL); it is started again."""
        self._processes[name].kill()

    @contextlib.contextmanager
    def without(self, *names: str) -> Iterator[None]:
        """Kill processes and keep them down for the block."""
        self._held |= set(names)
        for name in names:
            self.kill(name)
            self._processes[name].wait()
        yield
        self._held -= set(names)

    def close(self) -> None:
        """End everything, each with the group it has made."""
        self._ended.set()
        self._thread.join()
        for process in reversed(self._processes.values()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()

    def _keep(self) -> None:
        while not self._ended.wait(0.3):
            with self._lock:
                for name, process in list(self._processes.items()):
                    if process.poll() is not None and name not in self._held:
                        self._start(name)

    def _start(self, name: str) -> None:
        command, environment, user = self._commands[name]
        with (self._folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, cwd="/" if user else ROOT, env={**os.environ, **environment}, stdout=log, stderr=log,
                user=user, start_new_session=True,
            )  # fmt: skip


@dataclass
class Load:
    """What senders heard: acknowledged transactions with their conversion, and how often each status came."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    codes: Counter[int] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)


@dataclass
class House:
    """A running installation, its disk and its senders."""

    kind: str
    folder: Path
    manager: Manager
    url: str
    environment: dict[str, str]
    runtime: Runtime
    source: Source
    load: Load = field(default_factory=Load)
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    @property
    def disk(self) -> Path:
        """Where the database lives."""
        return self.folder / "disk"

    @contextlib.contextmanager
    def senders(self) -> Iterator[Load]:
        """Let senders fire distinct postbacks, each until it is acknowledged: also the last one of each."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._send, args=(stop,), daemon=True) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        try:
            yield self.load
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
        assert not any(thread.is_alive() for thread in threads), "a sender is never acknowledged"

    def more(self, code: int, count: int, what: str) -> None:
        """Wait until senders have heard `code` so many times more."""
        before = self.load.codes[code]
        try:
            until(lambda: self.load.codes[code] >= before + count, what)
        except AssertionError as error:
            error.add_note(f"heard: {dict(self.load.codes)}, odd: {self.load.odd[:5]}, log: {self.logs('web')[-3000:]}")
            raise

    def _send(self, stop: threading.Event) -> None:
        session = requests.Session()
        while not stop.is_set():
            transaction = f"T{next(self._numbers)}"
            query = self.source.signed_query(click_id=CLICK, transaction_id=transaction, payout="1.00", currency="EUR")
            for _ in range(2000):
                try:
                    answer = session.get(f"{self.url}/postback/{self.source.id}?{query}", timeout=10)
                except requests.RequestException:
                    time.sleep(0.05)
                    continue
                self.load.codes[answer.status_code] += 1
                if answer.status_code == 200:
                    self.load.acknowledged[transaction] = answer.json()["conversion_id"]
                    break
                if answer.status_code != 503:
                    self.load.odd.append(f"{answer.status_code} {answer.text[:200]}")
                time.sleep(0.05)

    def rows(self, statement: sa.Select[*tuple[Any, ...]]) -> list[Any]:
        """Return the rows of a statement as soon as the database answers."""

        def found() -> list[list[Any]]:
            try:
                with self.runtime.reading() as session:
                    return [[tuple(row) for row in session.execute(statement)]]
            except Unavailable:
                return []

        return list(until(found, "the database answers")[0])

    def check(self) -> None:
        """Wait for the stages, then compare: acknowledged is recorded once, and accrued once; nothing odd was heard."""
        recorded = sa.select(Conversion.id).where(Conversion.state == "recorded")
        until(lambda: not self.rows(recorded), "the stages have drained")
        conversions = self.rows(sa.select(Conversion.transaction_id, Conversion.id))
        once = {id_: 1 for _, id_ in conversions}

        assert self.load.odd == []
        assert len(self.load.acknowledged) > 20
        assert Counter(name for name, _ in conversions).most_common(1)[0][1] == 1
        assert {name: id_ for name, id_ in conversions if name in self.load.acknowledged} == self.load.acknowledged
        assert Counter(id_ for (id_,) in self.rows(sa.select(Accrual.conversion_id))) == once
        first = sa.select(Receipt.conversion_id).where(Receipt.outcome == "accepted")
        assert Counter(id_ for (id_,) in self.rows(first)) == once
        events = sa.select(ConversionEvent.conversion_id).where(ConversionEvent.kind == "recorded")
        assert Counter(id_ for (id_,) in self.rows(events)) == once
        assert Books(self.runtime).balances()["payable:affiliate"] == -100 * len(once)

    def logs(self, name: str) -> str:
        """Return what a process has logged."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")


@contextlib.contextmanager
def opened(kind: str, binaries: Path | None, *, small_disk: bool) -> Iterator[House]:
    """Start everything on a fresh database of `kind`; end it with the block."""
    folder = Path(tempfile.mkdtemp(prefix="clickledger-house-", dir="/tmp"))
    folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "valkey").mkdir()
        (folder / "disk").mkdir()
        if small_disk:
            _mount(folder / "disk", DISK[kind], stack)
        manager = Manager(folder)
        stack.callback(manager.close)
        if kind == "postgresql":
            assert binaries is not None
            database_url = _start_postgresql(binaries, folder, manager)
        else:
            database_url = f"sqlite:///{folder}/disk/var/clickledger.sqlite"
        port = free_port()
        environment = {
            "SECRET_KEY": SECRET_KEY, "KEY_ENCRYPTION_KEY": KEY_ENCRYPTION_KEY, "DATABASE_URL": database_url,
            "REDIS_URL": f"unix://{folder}/valkey/valkey.sock", "VAR_DIR": f"{folder}/disk/var", "PORT": str(port),
        }  # fmt: skip
        runtime = assembly.build(config.load(environment))
        stack.callback(runtime.engine.dispose)
        _migrated(runtime)
        manager.add("valkey", valkey_command(folder / "valkey"), {})
        for job in ("work", "ring"):
            manager.add(job, [sys.executable, "worker.py", job], environment)
        served = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "wsgi:whole"]
        manager.add("web", [*(_bound_by_permissions() if kind == "sqlite" else []), *served], environment)
        url = f"http://127.0.0.1:{port}"
        house = House(kind, folder, manager, url, environment, runtime, _source(runtime, url))
        until(lambda: answers(url), f"the server answers: {house.logs('web')}")
        yield house


def answers(url: str) -> bool:
    """Say whether the server is there."""
    try:
        return requests.get(f"{url}/healthz", timeout=5).ok
    except requests.RequestException:
        return False


def _mount(folder: Path, size: str, stack: contextlib.ExitStack) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("root may mount nothing here, as in a container: no disk of our own to fill")
    stack.callback(lambda: subprocess.run(["umount", "-l", folder], check=True))


def _bound_by_permissions() -> list[str]:
    """Return what takes root's right to write into read-only files from a command."""
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


def _start_postgresql(binaries: Path, folder: Path, manager: Manager) -> str:
    data, user = folder / "disk" / "pg", unprivileged()
    if user:
        shutil.chown(folder / "disk", user)
    initdb(binaries, data)
    command = [str(binaries / "postgres"), "-D", str(data), "-c", "listen_addresses=", "-k", str(data)]
    manager.add("postgres", [*command, "-c", "max_wal_size=48MB", "-c", "min_wal_size=32MB"], {}, user)
    url = f"postgresql://postgres@/postgres?host={data}"
    server = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")

    def made() -> bool:
        try:
            with server.connect() as connection:
                connection.execute(sa.text("CREATE DATABASE house"))
        except sa.exc.OperationalError:
            return False
        return True

    until(made, "PostgreSQL has started")
    server.dispose()
    return f"postgresql://postgres@/house?host={data}"


def _migrated(runtime: Runtime) -> None:
    migrate(runtime.engine)
    books = Books(runtime)
    books.campaign()
    books.affiliate()
    with runtime.transaction() as session:
        clicked = NewClick("cmp_1", "aff_1", click_id=CLICK, clicked_at=runtime.clock() - timedelta(hours=1))
        clicks.record(runtime, session, [clicked])


def _source(runtime: Runtime, url: str) -> Source:
    rate = RateLimit(per_second=10_000, burst=10_000)
    new = NewSource("Under faults", "pb1", payout_means="owed_to_affiliate", default_currency="EUR", rate_limit=rate)
    with runtime.transaction() as session:
        source, secret = sources.create(runtime, session, new, actor=system("tests"))
        return Source(source.id, url, secret.value)
