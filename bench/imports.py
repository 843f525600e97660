"""How fast a network's report of a million lines is read, copied into staging, and stored, and in what memory.

`python -m bench.imports --conversions 1000000` on PostgreSQL, and on SQLite with the same file: reading it as CSV into
checked lines, COPY of these into the temporary table, the insert of what is new with its indexes, and the same file a
second time. Beside the COPY, in the same run, `executemany` of a part of the same lines.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench import databases, month, results
from bench.results import table
from bench.scene import Scene, Stage, postgresql_template, sqlite_template, stage
from core import copying
from core.actors import system
from core.runtime import Runtime
from reports import line_staging, network_imports
from reports.imports import Imported, Upload
from reports.line_spool import LINE_COLUMNS, Spool
from reports.line_staging import STAGED
from reports.network_imports import Wanted

STAGED_A_SECOND_MIN = 100_000
MEMORY_MB_MAX = 300
ONE_BY_ONE = 20_000


@dataclass
class Times:
    """Seconds of each part of one import."""

    read_s: float = 0.0
    copy_s: float = 0.0
    store_s: float = 0.0
    imported: Imported | None = None


def main() -> int:
    """Measure; return 1 when a target is missed."""
    options = _options().parse_args()
    binaries = databases.postgresql_binaries()
    if binaries is None:
        print("PostgreSQL is needed")
        return 1
    with stage() as place:
        file = place.folder / "report.csv"
        with file.open("w", encoding="utf-8", newline="") as target:
            lines = month.write_report(target, month.cases(options.conversions))
        size_mb = file.stat().st_size / 1e6
        with databases.postgresql(binaries) as cluster:
            scene = postgresql_template(place, cluster)
            url = cluster.create("bench_imports")
            measured = {"PostgreSQL": _measured(place, url, scene, file)}
            one_by_one = _one_by_one(place, url, scene, file)
        path, scene = sqlite_template(place)
        measured["SQLite"] = _measured(place, f"sqlite:///{path}", scene, file)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    page, missed = _page(measured, lines, size_mb, one_by_one, memory_mb)
    print("\n".join(page))
    raw = {name: [each.__dict__ | {"imported": None} for each in rounds] for name, rounds in measured.items()}
    results.write("imports", {"lines": lines, "memory_mb": memory_mb, "missed": missed, **raw}, page,
                  folder=options.results)  # fmt: skip
    return 1 if missed else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.imports", description=__doc__)
    parser.add_argument("--conversions", type=int, default=1_000_000)
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    return parser


def _measured(place: Stage, url: str, scene: Scene, file: Path) -> list[Times]:
    """Import the file twice: the second time nothing of it is new."""
    with place.runtime(url) as runtime:
        first, again = (_imported(runtime, scene, file) for _ in range(2))
    if first.imported is None or again.imported is None or first.imported.new != again.imported.repeated:
        message = "the second import of the same file was not all repeated"
        raise RuntimeError(message)
    print(f"{url.partition(':')[0]}: {first}", flush=True)
    return [first, again]


def _imported(runtime: Runtime, scene: Scene, file: Path) -> Times:
    times = Times()
    wanted = Wanted(scene.source_id, month.PERIOD, month.MAPPING)
    load = copying.load

    def timed(*arguments: Any) -> None:
        times.copy_s += _seconds(lambda: load(*arguments))

    with file.open("rb") as opened:
        upload = Upload(file.name, opened, system("bench"))
        began = time.perf_counter()
        with network_imports.reading(upload, wanted, faults=[]) as read:
            times.read_s = time.perf_counter() - began
            line_staging.copying.load = timed  # type: ignore[assignment]  # measured where it is called
            try:
                began = time.perf_counter()
                with runtime.transaction() as session:
                    times.imported = network_imports.store(runtime, session, upload, wanted, read)
                times.store_s = time.perf_counter() - began - times.copy_s
            finally:
                line_staging.copying.load = load
    return times


def _one_by_one(place: Stage, url: str, scene: Scene, file: Path) -> float:
    """Return the lines a second that executemany brings into the same table."""
    wanted = Wanted(scene.source_id, month.PERIOD, month.MAPPING)
    with place.runtime(url) as runtime, file.open("rb") as opened:
        with network_imports.reading(Upload(file.name, opened, system("bench")), wanted, faults=[]) as read:
            rows = _rows(read.spool)
        with runtime.transaction() as session:
            STAGED.create(session.connection())
            seconds = _seconds(lambda: session.connection().execute(sa.insert(STAGED), rows))
            STAGED.drop(session.connection())
    return len(rows) / seconds


def _rows(spool: Spool) -> list[dict[str, Any]]:
    found = []
    for _ in range(ONE_BY_ONE):
        values: list[Any] = [
            None if text == r"\N" else text for text in spool.file.readline().decode()[:-1].split("\t")
        ]
        row = dict(zip(LINE_COLUMNS, values, strict=True))
        row |= {"line_number": int(row["line_number"]), "amount_minor": int(row["amount_minor"])}
        found.append(row | {"occurred_on": date.fromisoformat(row["occurred_on"])})
    return found


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _page(
    measured: dict[str, list[Times]], lines: int, size_mb: float, one_by_one: float, memory_mb: float
) -> tuple[list[str], list[str]]:
    rows = [
        [
            name, which, f"{times.read_s:.1f}", f"{lines / times.read_s:,.0f}", f"{times.copy_s:.1f}",
            f"{lines / times.copy_s:,.0f}", f"{times.store_s:.1f}",
            f"{lines / (times.read_s + times.copy_s + times.store_s):,.0f}",
        ]
        for name, rounds in measured.items()
        for which, times in zip(("new", "again"), rounds, strict=True)
    ]  # fmt: skip
    head = ("database", "file", "read s", "lines/s", "staged s", "lines/s", "stored s", "all of it, lines/s")
    staged = lines / measured["PostgreSQL"][0].copy_s
    missed = []
    if staged < STAGED_A_SECOND_MIN:
        missed.append(f"{staged:,.0f} lines a second are staged, {STAGED_A_SECOND_MIN:,} are wanted")
    if memory_mb > MEMORY_MB_MAX:
        missed.append(f"{memory_mb:.0f} MB of memory, at most {MEMORY_MB_MAX}")
    return [
        "# Importing a report", "",
        f"{lines:,} lines, {size_mb:.0f} MB of CSV. Read: every cell checked and every line keyed, before the database",
        "is asked. Stored: twins numbered, what is there brought up to date, what is new inserted with its indexes.",
        f"Targets: {STAGED_A_SECOND_MIN:,} lines/s staged on PostgreSQL, {MEMORY_MB_MAX} MB of this process.", "",
        *table(head, rows), "",
        f"Beside it `executemany` stages {one_by_one:,.0f} lines/s on PostgreSQL. Memory at most: {memory_mb:.0f} MB.",
        "", *(f"- MISSED: {each}" for each in missed),
    ], missed  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
