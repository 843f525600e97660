"""Whether a server that runs for long at 70 % of its best stays as fast and as small as it began.

`python -m bench.soak --minutes 10 --share 0.7 --contender ours-postgresql`
"""

import argparse
import asyncio
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

from bench import load, results
from bench.contenders import CONTENDERS, Contender
from bench.load import PER_SECOND_MAX, Lines
from bench.postbacks import target
from bench.processes import memory_bytes, tree
from bench.results import quantile, table
from bench.rounds import Ground, ground, serving
from bench.scene import stage
from bench.steady import Answers, Sender, numbered

WINDOW_S = 30.0
PROBE_S = 5
# Of the last third over the second: caches fill and pools open in the first, and none of it counts.
GROWTH_MAX = 1.05
SLOWER_MAX = 1.25


@dataclass(frozen=True)
class Window:
    """Half a minute: memory is that of all the server's processes at its end."""

    at_s: float
    answers: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    refused: int
    broken: int
    memory_mib: float


def main() -> int:
    """Soak one contender; return 1 when it grew, slowed down or failed."""
    options = _options().parse_args()
    contender = CONTENDERS[options.contender]
    with stage() as place, ground(place) as prepared, serving(prepared, contender) as (served, pids):
        best = options.per_second or _best(prepared, contender, served.port)
        rate = best if options.per_second else best * options.share
        print(f"{contender.name}: {best:.0f}/s at best, soaked at {rate:.0f}/s for {options.minutes:g} minutes")
        windows = asyncio.run(_soaked(prepared, contender, served.port, pids, rate=rate, seconds=options.minutes * 60))
    verdicts = judged(windows)
    page = _page(contender, best, rate, windows, verdicts)
    print("\n".join(page))
    found = {"best_per_second": best, "per_second": rate, "windows": [asdict(each) for each in windows]}
    results.write(f"{options.contender}-soak", {**found, "verdicts": verdicts}, page, folder=options.results)
    return 0 if all(is_met for _, is_met in verdicts) else 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--share", type=float, default=0.7, help="of the best rate")
    parser.add_argument("--per-second", type=float, help="this rate, without looking for the best one")
    parser.add_argument("--contender", default="ours-postgresql", choices=list(CONTENDERS))
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    return parser


def _best(prepared: Ground, contender: Contender, port: int) -> float:
    file = prepared.supplies[contender.database or ""].file((PROBE_S + 1) * PER_SECOND_MAX)
    load.run(port, 1, lines=Lines(file, 0, PER_SECOND_MAX))
    return load.run(port, PROBE_S, lines=Lines(file, PER_SECOND_MAX, PROBE_S * PER_SECOND_MAX)).per_second


async def _soaked(
    prepared: Ground, contender: Contender, port: int, pids: list[int], *, rate: float, seconds: float
) -> list[Window]:
    scene = prepared.scenes[contender.database or ""]
    sender = Sender(port, rate, numbered(lambda transaction_id: target(scene, transaction_id), "soak"))
    sending = asyncio.ensure_future(sender.run(seconds))
    started, windows = time.monotonic(), []
    while not sending.done():
        await asyncio.wait([sending], timeout=min(WINDOW_S, max(2.0, seconds / 9)))
        windows.append(_window(time.monotonic() - started, sender.take(), pids))
        print(f"  {windows[-1]}", flush=True)
    await sending
    # The last one is the moment of waiting after the end.
    return windows[:-1] if len(windows) > 1 else windows


def _window(at_s: float, answers: Answers, pids: list[int]) -> Window:
    ordered = sorted(answers.latencies_s)
    memory = sum(memory_bytes(pid) for pid in tree(pids)) / 2**20
    p50, p99, most = (round(quantile(ordered, part) * 1000, 2) for part in (0.5, 0.99, 1.0))
    return Window(round(at_s, 1), len(ordered), p50, p99, most, answers.refused, answers.broken, round(memory, 1))


def judged(windows: list[Window]) -> list[tuple[str, bool]]:
    """Say of memory, latency and errors whether they hold: the last third is compared with the second one."""
    third = max(1, len(windows) // 3)
    middle, last = windows[third : 2 * third] or windows[:1], windows[-third:]
    growth = mean(each.memory_mib for each in last) / max(1.0, mean(each.memory_mib for each in middle))
    slower = mean(each.p99_ms for each in last) / max(0.1, mean(each.p99_ms for each in middle))
    errors = sum(each.refused + each.broken for each in windows)
    return [
        (f"memory: x{growth:.3f} from the second to the last third (at most x{GROWTH_MAX})", growth <= GROWTH_MAX),
        (f"p99: x{slower:.2f} from the second to the last third (at most x{SLOWER_MAX})", slower <= SLOWER_MAX),
        (f"errors: {errors} (none)", errors == 0),
    ]


def _page(
    contender: Contender, best: float, rate: float, windows: list[Window], verdicts: list[tuple[str, bool]]
) -> list[str]:
    head = ("until, s", "answers", "p50 ms", "p99 ms", "max ms", "refused", "broken", "memory MiB")
    return [
        f"# Soak of {contender.name}",
        "",
        f"{contender.title}. {best:.0f}/s at best; {rate:.0f}/s sent, each postback at its moment whether or not the",
        "server keeps up: latency counts from that moment.",
        "",
        *table(head, [list(asdict(each).values()) for each in windows]),
        "",
        *(f"- {'holds' if is_met else '**does not hold**'}: {text}" for text, is_met in verdicts),
    ]


if __name__ == "__main__":
    sys.exit(main())
