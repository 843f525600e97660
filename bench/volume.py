"""What a postback costs when ten million are stored already, against an empty database, on PostgreSQL.

`python -m bench.volume --rows 10000000`; ten million take about 20 minutes to store and 25 GB of disk.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from bench import filling, load, results
from bench.contenders import CONTENDERS, POSTGRESQL, Contender
from bench.filling import Stored
from bench.load import PER_SECOND_MAX, Lines, Measured
from bench.postbacks import target
from bench.processes import cpu_us
from bench.results import table
from bench.rounds import Ground, ground, serving
from bench.scene import Scene, stage

RATIO_MAX = 1.25
WARM_UP_S = 2
EMPTY, FULL = "bench_empty", "bench_full"


def main() -> int:
    """Measure both databases, interleaved; return 1 when a postback costs too much more on the full one."""
    options = _options().parse_args()
    contender = CONTENDERS[options.contender]
    with stage() as place, ground(place) as prepared:
        if prepared.cluster is None:
            print("PostgreSQL is needed")
            return 1
        urls = {name: prepared.cluster.create(name) for name in (EMPTY, FULL)}
        with place.runtime(urls[FULL]) as runtime:
            pairs = filling.parties(runtime)
        began = time.monotonic()
        filling.fill(urls[FULL], prepared.scenes[POSTGRESQL], pairs, Stored(options.rows, state="accrued"))
        fill_s, stored_bytes = time.monotonic() - began, _bytes(urls[FULL])
        print(f"{options.rows} rows of each kind in {fill_s:.0f} s, {stored_bytes / 2**30:.1f} GiB", flush=True)
        played: dict[str, list[dict[str, float]]] = {name: [] for name in urls}
        for number in range(options.rounds):
            for name in (EMPTY, FULL) if number % 2 == 0 else (FULL, EMPTY):
                rows = options.rows if name == FULL else 0
                played[name].append(_round(prepared, contender, urls[name], rows, options.seconds))
                print(name, played[name][-1], flush=True)
    costs = {name: median(each["cost_us"] for each in rounds) for name, rounds in played.items()}
    ratio = costs[FULL] / costs[EMPTY]
    head = ("database", "answers/s", "p99 ms", "server CPU us", "PostgreSQL CPU us", "both")
    page = [
        "# Volume",
        "",
        f"{contender.title}; {options.rows:,} conversions, events, receipts and clicks stored",
        f"({stored_bytes / 2**30:.1f} GiB), against none.",
        "",
        *table(head, [[name, *_medians(rounds)] for name, rounds in played.items()]),
        "",
        f"A postback costs x{ratio:.2f} the processor time (at most x{RATIO_MAX}).",
    ]
    print("\n".join(page))
    found = {"rows": options.rows, "stored_bytes": stored_bytes, "ratio": round(ratio, 3), "rounds": played}
    results.write("volume", found, page, folder=options.results)
    return 0 if ratio <= RATIO_MAX else 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.volume", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="stored of each kind")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--contender", default="ours-postgresql", choices=list(CONTENDERS))
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    return parser


def _round(prepared: Ground, contender: Contender, url: str, rows: int, seconds: float) -> dict[str, float]:
    scene = prepared.scenes[POSTGRESQL]
    first, count = WARM_UP_S * PER_SECOND_MAX, int(seconds * PER_SECOND_MAX)
    file = prepared.stage.folder / "volume.txt"
    file.write_text("\n".join(_targets(scene, rows, first + count)) + "\n", encoding="ascii")
    assert prepared.cluster is not None  # noqa: S101 - main has looked
    with serving(prepared, contender, database_url=url) as (place, pids):
        load.run(place.port, WARM_UP_S, lines=Lines(file, 0, first))
        server, database = cpu_us(pids), cpu_us([prepared.cluster.pid])
        measured: Measured = load.run(place.port, seconds, lines=Lines(file, first, count))
        server_us = (cpu_us(pids) - server) / max(1, measured.answers)
        database_us = (cpu_us([prepared.cluster.pid]) - database) / max(1, measured.answers)
    if measured.refused or measured.broken or measured.timeouts or measured.wraps:
        print(f"FAULT: {measured}")
    return {
        "per_second": round(measured.per_second),
        "p99_ms": measured.p99_us / 1000,
        "server_us": round(server_us),
        "database_us": round(database_us),
        "cost_us": round(server_us + database_us),
    }


def _targets(scene: Scene, rows: int, number: int) -> Iterator[str]:
    """Make postbacks whose clicks lie anywhere in the newest tenth of the stored ones."""
    chosen, run = random.Random(rows), time.monotonic_ns()
    for each in range(number):
        click_id = filling.click_id(chosen.randint(rows - rows // 10, rows)) if rows else None
        yield target(scene, f"TXN-{run}-{each:08}", click_id=click_id)


def _bytes(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(row[0]) if row else 0


def _medians(rounds: list[dict[str, Any]]) -> list[str]:
    return [f"{median(each[name] for each in rounds):.0f}" for name in rounds[0]]


if __name__ == "__main__":
    sys.exit(main())
