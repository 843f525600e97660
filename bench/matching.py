"""How long a month of a million takes from whole tables to stored matches and discrepancies, and if all is right.

`python -m bench.matching --conversions 1000000` on PostgreSQL: the bare hash join of the same two tables, the run of
the stage, the run again with nothing changed, and again with one line changed; beside it a row at a time, and DuckDB
and polars where they are installed. A tenth of the size shows how it grows.
"""

import argparse
import importlib.util
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from bench import databases, month, results
from bench.results import table
from bench.scene import Scene, Stage, postgresql_template, stage
from core import runtime as runtimes
from core.actors import system
from core.runtime import Runtime
from reports import jobs, reconciliation
from reports.matching import Leg
from reports.models import Reconciliation
from reports.passes import WORK_MEMORY_MB

RATIO_MAX = 6.0
RERUN_S_MAX = 2.0
MEMORY_MB_MAX = 300
GROWTH_MAX = 1.3  # of the time for one conversion, from a tenth of the size on
ROWS_AT_A_TIME = 20_000

_KEY = ("source_id", "transaction_id", "currency")
_JOIN = "SELECT count(*) FROM conversions c JOIN network_lines n USING (source_id, transaction_id, currency)"
# Every confirmed edge is of one transaction or one click: anything else is wrong.
_WRONG = """SELECT count(*) FROM matches m JOIN conversions c ON c.id = m.our_id
    JOIN network_lines n ON n.id = m.their_id
    WHERE m.state = 'confirmed' AND n.claimed_click_id <> c.claimed_click_id"""
_AMOUNTS = ("amount_mismatch", "fee_or_fx", "rounding")
_MISCLASSED = """SELECT count(*) FROM discrepancies WHERE class IN ('amount_mismatch', 'fee_or_fx', 'rounding')
    AND class <> CASE WHEN abs(theirs_minor - ours_minor) <= 1 THEN 'rounding'
    WHEN theirs_minor < ours_minor AND (ours_minor - theirs_minor) * 10000 <= ours_minor * 200 THEN 'fee_or_fx'
    ELSE 'amount_mismatch' END"""


def main() -> int:
    """Measure both sizes; return 1 when a target is missed or something was found wrongly."""
    options = _options().parse_args()
    binaries = databases.postgresql_binaries()
    if binaries is None:
        print("PostgreSQL is needed")
        return 1
    with stage() as place, databases.postgresql(binaries) as cluster:
        scene = postgresql_template(place, cluster)
        small = _measured(place, cluster, scene, options.conversions // 10, beside=False)
        large = _measured(place, cluster, scene, options.conversions, beside=True)
    growth = large["run_s"] / large["conversions"] / (small["run_s"] / small["conversions"])
    missed = _missed(large, growth) + small["wrong"] + large["wrong"]
    page = _page(small, large, growth, missed)
    print("\n".join(page))
    results.write("matching", {"small": small, "large": large, "growth": growth, "missed": missed}, page,
                  folder=options.results)  # fmt: skip
    return 1 if missed else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.matching", description=__doc__)
    parser.add_argument("--conversions", type=int, default=1_000_000)
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    return parser


def _measured(
    place: Stage, cluster: databases.Cluster, scene: Scene, conversions: int, *, beside: bool
) -> dict[str, Any]:
    url = cluster.create("bench_matching")
    month.fill(url, scene, conversions)
    # As a month stands once PostgreSQL's own housekeeping has been by.
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    join_s = median(_seconds(lambda: _join(url)) for _ in range(3))
    print(f"{conversions}: the bare join {join_s:.2f} s", flush=True)
    with place.runtime(url) as runtime:
        runtimes.install(runtime)
        first, run_s = _run(runtime, scene)
        again, rerun_s = _run(runtime, scene)
        print(f"{conversions}: a run {run_s:.2f} s, again {rerun_s:.2f} s", flush=True)
        wrong = _faults(url, first, conversions)
        if again.repeats_id != first.id:
            wrong.append("a run over the same inputs was done again")
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE network_lines SET amount_minor = amount_minor + 1 WHERE line_number = 2")
        changed, changed_s = _run(runtime, scene)
        if changed.repeats_id is not None:
            wrong.append("a changed line was not seen")
    join_s = median([join_s, *(_seconds(lambda: _join(url)) for _ in range(2))])
    return {
        "conversions": conversions, "lines": first.counts["theirs"], "join_s": join_s, "run_s": run_s,
        "ratio": run_s / join_s, "rerun_s": rerun_s, "changed_s": changed_s,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "counts": first.counts, "wrong": wrong,
        "beside": _beside(url) if beside else {},
    }  # fmt: skip


def _run(runtime: Runtime, scene: Scene) -> tuple[Reconciliation, float]:
    with runtime.transaction() as session:
        asked = reconciliation.ask(
            runtime, session, period=month.PERIOD, leg=Leg.NETWORK, source_id=scene.source_id, actor=system("bench")
        )
    seconds = _seconds(jobs.month_end)
    with runtime.reading() as session:
        done = session.get_one(Reconciliation, asked.id)
    if done.state != "finished":
        raise RuntimeError(done.error)
    return done, seconds


def _faults(url: str, run: Reconciliation, conversions: int) -> list[str]:
    """Return what the run found otherwise than the month was made."""
    truth = month.truth(conversions)
    expected = {
        "exact_id": truth.by_exact_id,
        "composite": truth.by_click,
        "amounts": truth.amounts_differ,
        **{name: getattr(truth, name) for name in ("missing_at_network", "missing_at_us", "duplicate_at_network")},
    }
    found = run.counts["by_pass"]["confirmed"] | run.counts["discrepancies"]
    # How much they differ decides which of three classes they are of: that is looked at row by row.
    found["amounts"] = sum(found.pop(name, 0) for name in _AMOUNTS)
    faults = [] if found == expected else [f"found {found}, and the month was made with {expected}"]
    for statement, what in ((_WRONG, "confirmed matches are wrong"), (_MISCLASSED, "differences are misclassed")):
        if wrong := databases.number(url, statement):
            faults.append(f"{wrong} {what}")
    return faults


def _join(url: str) -> None:
    with psycopg.connect(url) as connection:
        # With the memory that a run has, and as a hash join, whatever else the planner would choose.
        for setting in (f"work_mem = '{WORK_MEMORY_MB}MB'", "enable_mergejoin = off", "enable_nestloop = off"):
            connection.execute(f"SET LOCAL {setting}".encode())
        connection.execute(_JOIN.encode())


def _beside(url: str) -> dict[str, str]:
    found = {"a row at a time": f"{_row_at_a_time(url):,.0f} conversions/s"}
    for name, joined in (("duckdb", _duckdb), ("polars", _polars)):
        if importlib.util.find_spec(name) is None:
            found[name] = "not installed"
        else:
            found[name] = f"{joined(*_columns(url)):.2f} s for the join alone, its tables in memory"
    return found


def _row_at_a_time(url: str) -> float:
    """Look for the partner of each conversion by itself, as a loop over an ORM does; return conversions a second."""
    with psycopg.connect(url) as connection:
        ours = connection.execute(
            f"SELECT {', '.join(_KEY)} FROM conversions ORDER BY id LIMIT {ROWS_AT_A_TIME}".encode()
        ).fetchall()
        find = f"SELECT id, amount_minor FROM network_lines WHERE source_id = %s AND period = '{month.PERIOD}' \
            AND transaction_id = %s AND currency = %s"
        seconds = _seconds(lambda: [connection.execute(find.encode(), key).fetchone() for key in ours])
    return len(ours) / seconds


def _columns(url: str) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    sides = []
    with psycopg.connect(url) as connection:
        for name in ("conversions", "network_lines"):
            rows = connection.execute(f"SELECT {', '.join(_KEY)} FROM {name}".encode()).fetchall()
            sides.append(dict(zip(_KEY, map(list, zip(*rows, strict=True)), strict=True)))
    return sides[0], sides[1]


def _duckdb(ours: dict[str, list[Any]], theirs: dict[str, list[Any]]) -> float:
    duckdb, pyarrow = (importlib.import_module(name) for name in ("duckdb", "pyarrow"))
    connection = duckdb.connect()
    connection.register("c", pyarrow.table(ours))
    connection.register("n", pyarrow.table(theirs))
    return _seconds(lambda: connection.execute(f"SELECT count(*) FROM c JOIN n USING ({', '.join(_KEY)})").fetchall())


def _polars(ours: dict[str, list[Any]], theirs: dict[str, list[Any]]) -> float:
    polars = importlib.import_module("polars")
    left, right = polars.DataFrame(ours), polars.DataFrame(theirs)
    return _seconds(lambda: left.join(right, on=list(_KEY)).height)


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _missed(large: dict[str, Any], growth: float) -> list[str]:
    targets = (
        ("ratio", large["ratio"], RATIO_MAX),
        ("rerun_s", large["rerun_s"], RERUN_S_MAX),
        ("memory_mb", large["memory_mb"], MEMORY_MB_MAX),
        ("growth", growth, GROWTH_MAX),
    )
    return [f"{name} is {value:.2f}, at most {most}" for name, value, most in targets if value > most]


def _page(small: dict[str, Any], large: dict[str, Any], growth: float, missed: list[str]) -> list[str]:
    rows = [
        [
            f"{each['conversions']:,}", f"{each['lines']:,}", f"{each['join_s']:.2f}", f"{each['run_s']:.2f}",
            f"x{each['ratio']:.1f}", f"{each['rerun_s']:.2f}", f"{each['changed_s']:.2f}", f"{each['memory_mb']:.0f}",
        ]
        for each in (small, large)
    ]  # fmt: skip
    head = ("conversions", "lines", "bare join s", "run s", "ratio", "unchanged s", "one line changed s", "memory MB")
    return [
        "# Matching a month", "",
        f"The bare hash join has the run's {WORK_MEMORY_MB} MB of work_mem; the run ends with stored matches and",
        f"discrepancies. Targets: x{RATIO_MAX}, {RERUN_S_MAX} s unchanged, {MEMORY_MB_MAX} MB, growth x{GROWTH_MAX}.",
        "",
        *table(head, rows), "",
        f"Growth: x{growth:.2f} the time a conversion. Counts: `{large['counts']}`.", "",
        *[f"- {name}: {value}" for name, value in large["beside"].items()], "",
        *(f"- MISSED: {each}" for each in missed),
        *([] if missed else ["Every planted difference was found under its name, and no confirmed match is wrong."]),
        "", f"Made with: `{asdict(month.truth(large['conversions']))}`",
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
