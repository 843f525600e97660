"""How many recorded conversions a second a real worker turns into what we owe, on both databases.

`python -m bench.drain --rows 100000`
"""

import argparse
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


def main() -> int:
    """Drain each database once; return 1 when something was left or the target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.drain", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="recorded conversions")
    parser.add_argument("--only", choices=[POSTGRESQL, SQLITE], help="one database alone")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    options = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    with stage() as place, ground(place) as prepared:
        for kind in prepared.scenes:
            if options.only in (None, kind):
                found[kind] = _drained(prepared, kind, options.rows, options.workers)
                print(kind, found[kind], flush=True)
    head = ("database", "conversions", "seconds", "conversions/s", "left", "CPU us each, worker")
    page = [
        "# Draining the accrual stage",
        "",
        f"{options.workers} real worker(s), rung once; the target is {PER_SECOND_MIN:,} conversions a second.",
        "",
        *table(head, [[kind, *each.values()] for kind, each in found.items()]),
    ]
    print("\n".join(page))
    results.write("drain", {"workers": options.workers, "found": found}, page, folder=options.results)
    return 0 if all(not each["left"] and each["per_second"] >= PER_SECOND_MIN for each in found.values()) else 1


def _drained(prepared: Ground, kind: str, rows: int, workers: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="drain-", dir=prepared.stage.folder))
    try:
        with prepared.database(kind, folder) as url:
            with prepared.stage.runtime(url) as runtime:
                pairs = filling.parties(runtime)
            filling.fill(url, prepared.scenes[kind], pairs, Stored(rows, days=20))
            commands = [
                Command([sys.executable, "worker.py", "work"], prepared.stage.environment(url, folder=folder))
            ] * workers
            redis = Redis.from_url(prepared.stage.redis_url)
            redis.flushall()
            with started(commands, folder / "worker.log") as pids:
                _until(lambda: rq.Worker.count(connection=redis) >= workers, 60)
                before, began = cpu_us(pids), time.monotonic()
                doorbell.ring(redis, "accrual")
                # Each further worker would be rung by the next commit or the periodic ring.
                is_done = _until(lambda: _left(url, limit=1) == 0, PATIENCE_S)
                seconds = time.monotonic() - began
                used_us = cpu_us(pids) - before
            left = 0 if is_done else _left(url, limit=rows)
            if left:
                print((folder / "worker.log").read_text(errors="replace")[-1500:])
            done = rows - left
            return {
                "rows": rows,
                "seconds": round(seconds, 1),
                "per_second": round(done / seconds),
                "left": left,
                "worker_cpu_us": round(used_us / max(1, done)),
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


def _left(url: str, *, limit: int) -> int:
    statement = f"SELECT count(*) FROM (SELECT 1 FROM conversions WHERE state = 'recorded' LIMIT {limit}) AS waiting"
    return databases.number(url, statement)


if __name__ == "__main__":
    sys.exit(main())
