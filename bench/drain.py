"""How many conversions a second real workers match with their clicks and turn into what we owe, on both databases.

`python -m bench.drain --rows 100000 --workers 2`
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import rq
from redis import Redis

from bench import databases, filling, results
from bench.contenders import POSTGRESQL, SQLITE
from bench.filling import Stored
from bench.processes import Command, cpu_us, started
from bench.results import table
from bench.rounds import Ground, ground
from bench.scene import stage
from core import doorbell

PER_SECOND_MIN = 10_000
PATIENCE_S = 900
LOOK_EVERY_S = 0.1
# Stage -> the state its conversions wait in. Matching rings for accrual, as it always does: a second worker then
# begins with it meanwhile.
STAGES = {"accrual": "recorded", "matching-clicks": "unmatched"}


def main() -> int:
    """Drain each database once; return 1 when something was left or the target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.drain", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="recorded conversions")
    parser.add_argument("--only", choices=[POSTGRESQL, SQLITE], help="one database alone")
    parser.add_argument("--stage", choices=STAGES, help="one stage alone")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    options = parser.parse_args()
    found: list[dict[str, Any]] = []
    with stage() as place, ground(place) as prepared:
        for kind in prepared.scenes:
            if options.only in (None, kind):
                for name in STAGES:
                    if options.stage in (None, name):
                        found.append(_drained(prepared, kind, name, options.rows, options.workers))
                        print(found[-1], flush=True)
    head = (
        "database", "stage", "conversions", "seconds", "conversions/s", "left", "CPU us each, workers",
        "CPU us each, PostgreSQL", "load before",
    )  # fmt: skip
    page = [
        "# Draining the stages of matching and accrual",
        "",
        f"{options.workers} real worker(s), rung once; the target is {PER_SECOND_MIN:,} conversions a second.",
        "The load is the machine's average of the minute before: what others did meanwhile is in the figures.",
        "",
        *table(head, [list(each.values()) for each in found]),
    ]
    print("\n".join(page))
    results.write("drain", {"workers": options.workers, "found": found}, page, folder=options.results)
    return 0 if all(not each["left"] and each["per_second"] >= PER_SECOND_MIN for each in found) else 1


def _drained(prepared: Ground, kind: str, name: str, rows: int, workers: int) -> dict[str, Any]:
    state = STAGES[name]
    server = [prepared.cluster.pid] if prepared.cluster and kind == POSTGRESQL else []
    folder = Path(tempfile.mkdtemp(prefix="drain-", dir=prepared.stage.folder))
    try:
        with prepared.database(kind, folder) as url:
            with prepared.stage.runtime(url) as runtime:
                pairs = filling.parties(runtime)
            filling.fill(url, prepared.scenes[kind], pairs, Stored(rows, days=20, state=state))
            commands = [
                Command([sys.executable, "worker.py", "work"], prepared.stage.environment(url, folder=folder))
            ] * workers
            redis = Redis.from_url(prepared.stage.redis_url)
            redis.flushall()
            with started(commands, folder / "worker.log") as pids:
                _until(lambda: rq.Worker.count(connection=redis) >= workers, 60)
                load = os.getloadavg()[0]
                before, served, began = cpu_us(pids), cpu_us(server), time.monotonic()
                doorbell.ring(redis, name)
                # Each further worker is rung by the first one's first full batch.
                is_done = _until(lambda: _left(url, state, limit=1) == 0, PATIENCE_S)
                seconds = time.monotonic() - began
                used_us, served_us = cpu_us(pids) - before, cpu_us(server) - served
            left = 0 if is_done else _left(url, state, limit=rows)
            if left:
                print((folder / "worker.log").read_text(errors="replace")[-1500:])
            done = rows - left
            return {
                "database": kind,
                "stage": name,
                "rows": rows,
                "seconds": round(seconds, 1),
                "per_second": round(done / seconds),
                "left": left,
                "worker_cpu_us": round(used_us / max(1, done)),
                "database_cpu_us": round(served_us / max(1, done)),
                "load": round(load, 1),
            }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _until(is_so: Any, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_EVERY_S)
    return True


def _left(url: str, state: str, *, limit: int) -> int:
    statement = f"SELECT count(*) FROM (SELECT 1 FROM conversions WHERE state = '{state}' LIMIT {limit}) AS waiting"
    return databases.number(url, statement)


if __name__ == "__main__":
    sys.exit(main())
