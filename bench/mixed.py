"""Intake's latency while people sign in and export beside it: with one service for both, and with one for each.

`python -m bench.mixed --contender ours-postgresql --console ours-postgresql`
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from access import people
from bench import filling, results
from bench.contenders import CONTENDERS, Contender
from bench.filling import Stored
from bench.postbacks import target
from bench.results import quantile, table
from bench.rounds import Ground, ground, serving
from bench.scene import BY, stage
from bench.steady import Sender, numbered
from core import runtime as runtimes
from web import stages
from web.guard import COOKIE

EMAIL, PASSWORD = "ada@example.com", "correct horse battery"
ROLES = ["admin", "finance", "auditor"]
PATHS = ("/approvals", "/conversions", "/api/v1/journal?format=hledger", "/api/v1/receipts?limit=200", "/month-end")
WARM_UP_S = 2.0


@dataclass(frozen=True)
class Measured:
    """Intake's latencies in milliseconds, and what the others did meanwhile, each second."""

    answers: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    refused: int
    broken: int
    beside: dict[str, float]


def main() -> int:
    """Measure intake alone, beside the console in one service, and beside it in two."""
    options = _options().parse_args()
    intake, console = CONTENDERS[options.contender], CONTENDERS[options.console]
    found: dict[str, Measured] = {}
    with stage() as place, ground(place) as prepared, prepared.database(intake.database, place.folder) as url:
        _fill(prepared, intake, url, options.rows)
        with serving(prepared, intake, database_url=url) as (served, _):
            found["alone"] = _measured(prepared, intake, served.port, None, options)
            found["one service"] = _measured(prepared, intake, served.port, served.port, options)
        with (
            serving(prepared, intake, database_url=url) as (served, _),
            serving(prepared, console, database_url=url) as (other, _),
        ):
            found["two services"] = _measured(prepared, intake, served.port, other.port, options)
    head = ("intake", "answers", "p50 ms", "p99 ms", "max ms", "refused", "broken", "beside it, each second")
    rows = [[name, *_shown(each)] for name, each in found.items()]
    page = [
        "# Mixed load",
        "",
        f"{options.per_second:g} postbacks a second to {intake.name}, each at its moment, while",
        f"{options.sign_ins} clients sign in and {options.readers} read {', '.join(options.paths)}",
        f"over {options.rows:,} conversions; with two services the console is {console.name}.",
        "",
        *table(head, rows),
    ]
    print("\n".join(page))
    shown = {name: asdict(each) for name, each in found.items()}
    results.write(f"{intake.name}-mixed", {"found": shown, "paths": options.paths}, page, folder=options.results)
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.mixed", description=__doc__)
    ours = [name for name, contender in CONTENDERS.items() if contender.kind == "ours"]
    parser.add_argument("--contender", default="ours-postgresql", choices=ours, help="takes the postbacks")
    parser.add_argument("--console", default="ours-postgresql", choices=ours, help="the second service")
    parser.add_argument("--per-second", type=float, default=30, help="postbacks, well below what intake alone can do")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rows", type=int, default=3000, help="conversions stored and accrued before")
    parser.add_argument("--sign-ins", type=int, default=2, help="clients that sign in over and over")
    parser.add_argument("--readers", type=int, default=2, help="clients that read pages and exports over and over")
    parser.add_argument("--paths", type=lambda text: text.split(","), default=list(PATHS))
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    return parser


def _fill(prepared: Ground, intake: Contender, url: str, rows: int) -> None:
    """Store conversions, accrue them so that the journal is long, and make a person who may read everything."""
    with prepared.stage.runtime(url) as runtime:
        filling.fill(url, prepared.scenes[intake.database or ""], filling.parties(runtime), Stored(rows, days=20))
        with runtime.transaction() as session:
            people.create(runtime, session, email=EMAIL, roles=ROLES, password=PASSWORD, actor=BY)
        runtimes.install(runtime)
        stages.run("accrual", {})


def _measured(
    prepared: Ground, intake: Contender, port: int, console_port: int | None, options: argparse.Namespace
) -> Measured:
    scene = prepared.scenes[intake.database or ""]
    run = f"mixed-{time.monotonic_ns()}"
    sender = Sender(port, options.per_second, numbered(lambda transaction_id: target(scene, transaction_id), run))
    done: Counter[str] = Counter()

    async def sent() -> None:
        sending = asyncio.ensure_future(sender.run(options.seconds + WARM_UP_S))
        await asyncio.sleep(WARM_UP_S)
        sender.take()
        done.clear()
        await sending

    with _crowd(console_port, options, done) if console_port else contextlib.nullcontext():
        asyncio.run(sent())
    answers = sender.take()
    ordered = sorted(answers.latencies_s)
    p50, p99, most = (round(quantile(ordered, part) * 1000, 1) for part in (0.5, 0.99, 1.0))
    beside = {name: round(number / options.seconds, 2) for name, number in sorted(done.items())}
    return Measured(len(ordered), p50, p99, most, answers.refused, answers.broken, beside)


@contextlib.contextmanager
def _crowd(port: int, options: argparse.Namespace, done: Counter[str]) -> Iterator[None]:
    """Keep people busy at the console until the block ends; `done` counts what they were answered."""
    stopped = threading.Event()
    cookie = _signed_in(port)

    def sign_in() -> None:
        _signed_in(port)
        done["sign-ins"] += 1

    def read() -> None:
        for path in options.paths:
            status = _answered(port, "GET", path, cookie=cookie)[0]
            done["reads" if status == http.HTTPStatus.OK else f"{path} {status}"] += 1

    threads = [threading.Thread(target=_over_and_over, args=(sign_in, stopped, done)) for _ in range(options.sign_ins)]
    threads += [threading.Thread(target=_over_and_over, args=(read, stopped, done)) for _ in range(options.readers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def _over_and_over(act: Callable[[], None], stopped: threading.Event, done: Counter[str]) -> None:
    while not stopped.is_set():
        try:
            act()
        except (OSError, http.client.HTTPException) as error:
            done[type(error).__name__] += 1
            stopped.wait(0.2)


def _signed_in(port: int) -> str:
    """Sign in and return the session's cookie; raise RuntimeError when that is refused."""
    body = json.dumps({"email": EMAIL, "password": PASSWORD}).encode()
    status, cookies = _answered(port, "POST", "/session", body=body)
    if status >= http.HTTPStatus.BAD_REQUEST:
        raise http.client.HTTPException(status)
    return next(each.partition(";")[0] for each in cookies if each.startswith(COOKIE))


def _answered(port: int, method: str, path: str, *, body: bytes = b"", cookie: str = "") -> tuple[int, list[str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Cookie": cookie} if cookie else {}
    if body:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get_all("Set-Cookie") or []
    finally:
        connection.close()


def _shown(measured: Measured) -> list[Any]:
    beside = ", ".join(f"{number:g} {name}" for name, number in measured.beside.items()) or "-"
    return [*list(asdict(measured).values())[:-1], beside]


if __name__ == "__main__":
    sys.exit(main())
