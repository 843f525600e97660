"""One round of one contender: a fresh database, its server, a warm-up, the load, and the count of what was recorded."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import databases, load, pgbench, scene
from bench.contenders import POSTGRESQL, SQLITE, Contender, Place
from bench.databases import Cluster
from bench.load import CONNECTIONS, PER_SECOND_MAX, Lines, Measured
from bench.postbacks import Supply
from bench.processes import cpu_us, free_port, started, wait_for_http
from bench.scene import Scene, Stage

# Requests on the wire when a load ends are still recorded, without anybody hearing of it.
SETTLE_S = 0.5
SETTLED_AFTER_S_MAX = 15


@dataclass(frozen=True)
class Variant:
    """Circumstances that hold for all contenders alike."""

    name: str
    title: str
    keep_alive: bool = True
    has_slow_disk: bool = False


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("keep-alive", "32 connections that stay open"),
        Variant("close", "a connection for every request", keep_alive=False),
        Variant("slow-disk", "3 ms more for every sync to disk", has_slow_disk=True),
    )
}


@dataclass(frozen=True)
class Round:
    """What one round gave. Processor time is per answer; `faults` is empty when every answer was recorded once."""

    measured: Measured
    server_cpu_us: float
    database_cpu_us: float
    recorded: int
    faults: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it for the results' file."""
        shown = asdict(self)
        return {**shown.pop("measured"), **shown, "per_second": round(self.measured.per_second, 1)}


@dataclass(frozen=True)
class Ground:
    """Both kinds of database with the scene set, under one variant's circumstances."""

    stage: Stage
    cluster: Cluster | None
    scenes: dict[str, Scene]
    supplies: dict[str, Supply]
    sqlite_template: Path
    preload: Path | None

    @contextlib.contextmanager
    def database(self, kind: str | None, folder: Path) -> Iterator[str]:
        """Make a fresh database of `kind` and yield its address, "" where none is wanted."""
        if kind == POSTGRESQL and self.cluster is not None:
            yield self.cluster.create("bench_round")
            self.cluster.drop("bench_round")
        elif kind == SQLITE:
            path = shutil.copy(self.sqlite_template, folder / "clickledger.sqlite")
            yield f"sqlite:///{path}"
        else:
            yield ""


@contextlib.contextmanager
def ground(stage: Stage, *, has_slow_disk: bool = False, is_click_known: bool = True) -> Iterator[Ground]:
    """Start PostgreSQL, where it is installed, and make the templates."""
    preload = databases.slow_disk_library(stage.folder) if has_slow_disk else None
    template, sqlite_scene = scene.sqlite_template(stage)
    scenes = {SQLITE: sqlite_scene}
    binaries = databases.postgresql_binaries()
    with contextlib.ExitStack() as stack:
        cluster = None
        if binaries is None:
            print("PostgreSQL is not installed: only SQLite is measured")
        else:
            cluster = stack.enter_context(databases.postgresql(binaries, preload=preload))
            scenes[POSTGRESQL] = scene.postgresql_template(stage, cluster)
        supplies = {kind: Supply(each, stage.folder, is_click_known) for kind, each in scenes.items()}
        yield Ground(stage, cluster, scenes, supplies, template, preload)
    template.unlink()


@contextlib.contextmanager
def serving(
    ground: Ground, contender: Contender, *, database_url: str | None = None
) -> Iterator[tuple[Place, list[int]]]:
    """Start a contender on a fresh database, or a given one; yield its place and its processes once it answers."""
    folder = Path(tempfile.mkdtemp(prefix="round-", dir=ground.stage.folder))
    folder.chmod(0o755)
    try:
        fresh = contender.database if database_url is None else None
        with ground.database(fresh, folder) as made:
            url = database_url or made
            place = Place(ground.stage, folder, free_port(), url, ground.preload)
            commands = contender.commands(place)
            with started(commands, folder / "output.log") as pids:
                if pids:
                    wait_for_http(place.port, "/healthz", folder / "output.log", pids)
                yield place, pids
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def play(ground: Ground, contender: Contender, variant: Variant, *, seconds: float, warm_up_s: float) -> Round:
    """Play one round."""
    with serving(ground, contender) as (place, pids):
        database = [ground.cluster.pid] if ground.cluster and contender.database == POSTGRESQL else []
        _loaded(ground, contender, variant, place, seconds=warm_up_s, is_warm_up=True)
        before = _settled(place.database_url)
        server_before, database_before = cpu_us(pids), cpu_us(database)
        measured = _loaded(ground, contender, variant, place, seconds=seconds, after_s=warm_up_s)
        server_us, database_us = cpu_us(pids) - server_before, cpu_us(database) - database_before
        recorded = {table: count - before[table] for table, count in _settled(place.database_url).items()}
    answers = max(1, measured.answers)
    return Round(
        measured,
        round(server_us / answers, 1),
        round(database_us / answers, 1),
        recorded.get("conversions", 0),
        tuple(_faults(measured, recorded)),
    )


def _loaded(
    ground: Ground,
    contender: Contender,
    variant: Variant,
    place: Place,
    *,
    seconds: float,
    after_s: float = 0,
    is_warm_up: bool = False,
) -> Measured:
    if contender.database is None:
        return load.run(place.port, seconds, path=contender.path, keep_alive=variant.keep_alive)
    if contender.name == "pgbench" and ground.cluster is not None:
        # Its ids begin anew with every start, so it cannot warm up on the database that it then fills.
        url = ground.cluster.create("bench_warm_up") if is_warm_up else place.database_url
        return pgbench.run(ground.cluster, url, ground.scenes[POSTGRESQL], place.folder, seconds)
    first, count = int(after_s * PER_SECOND_MAX), int(seconds * PER_SECOND_MAX)
    file = ground.supplies[contender.database].file(first + count)
    return load.run(place.port, seconds, lines=Lines(file, first, count), keep_alive=variant.keep_alive)


def _settled(url: str) -> dict[str, int]:
    """Return the rows of each table once no more are added."""
    deadline = time.monotonic() + SETTLED_AFTER_S_MAX
    found = _recorded(url)
    while True:
        time.sleep(SETTLE_S)
        before, found = found, _recorded(url)
        if found == before or time.monotonic() > deadline:
            return found


def _recorded(url: str) -> dict[str, int]:
    return {table: databases.count(url, table) for table in ("conversions", "receipts", "conversion_events") if url}


def _faults(measured: Measured, recorded: dict[str, int]) -> Iterator[str]:
    for table, rows in recorded.items():
        # Twice: one on the wire on each connection, and one that wrk gave up when its server closed with the answer.
        if not measured.answers <= rows <= measured.answers + 2 * CONNECTIONS:
            yield f"{measured.answers} answers, {rows} new {table}"
    if measured.refused:
        yield f"{measured.refused} answers outside 2xx"
    if measured.broken or measured.timeouts:
        yield f"{measured.broken} broken connections, {measured.timeouts} timeouts"
    if recorded and measured.wraps:
        yield "targets ran out and were repeated"
