"""Whether a normal postback is answered while hundreds of clients hold half-sent headers, for each configuration.

`python -m bench.slow_clients --held 400 --only ours-postgresql,fastapi`
"""

import argparse
import contextlib
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import results
from bench.contenders import CONTENDERS, REFERENCE, Contender
from bench.postbacks import target
from bench.results import quantile, table
from bench.rounds import Ground, ground, serving
from bench.scene import stage

HALF = b"GET /postback/slow HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "
PATIENCE_S = 5.0
PROBES = 20
SETTLE_S = 1.0


def main() -> int:
    """Hold connections at each server and count the normal postbacks that are answered meanwhile."""
    options = _options().parse_args()
    found: dict[str, dict[str, Any]] = {}
    with stage() as place, ground(place) as prepared:
        for contender in CONTENDERS.values():
            is_wanted = contender.name in options.only if options.only else contender.kind != REFERENCE
            if not is_wanted or not contender.database:
                continue
            reason = contender.missing()
            if reason:
                print(f"skipped {contender.name}: {reason}")
                continue
            found[contender.name] = _measured(prepared, contender, options.held)
            print(contender.name, found[contender.name], flush=True)
    head = ("contender", "answered alone", "p50 ms alone", "answered beside them", "p50 ms beside them", "max ms")
    page = [
        "# Slow clients",
        "",
        f"{options.held} connections hold half a header; {PROBES} normal postbacks, each with {PATIENCE_S:g} s to be",
        "answered, one after the other, before and meanwhile.",
        "",
        *table(head, [[name, *_shown(each)] for name, each in found.items()]),
    ]
    print("\n".join(page))
    results.write("slow-clients", {"held": options.held, "found": found}, page, folder=options.results)
    return 0 if all(each["answered"] == PROBES for each in found.values()) else 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.slow_clients", description=__doc__)
    parser.add_argument("--held", type=int, default=400, help="connections with half a header")
    parser.add_argument("--only", type=lambda text: text.split(","), help="NAME[,NAME]: these contenders alone")
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    return parser


def _measured(prepared: Ground, contender: Contender, held: int) -> dict[str, Any]:
    scene = prepared.scenes[contender.database or ""]
    with serving(prepared, contender) as (place, _):
        alone = _probed(place.port, [target(scene, f"alone-{number}") for number in range(PROBES)])
        with _holding(place.port, held):
            time.sleep(SETTLE_S)
            beside = _probed(place.port, [target(scene, f"beside-{number}") for number in range(PROBES)])
    return {
        "alone": len(alone),
        "alone_p50_ms": round(quantile(alone, 0.5) * 1000, 1),
        "answered": len(beside),
        "p50_ms": round(quantile(beside, 0.5) * 1000, 1),
        "max_ms": round(quantile(beside, 1.0) * 1000, 1),
    }


def _shown(found: dict[str, Any]) -> list[object]:
    return ["-" if name.endswith("ms") and not value else value for name, value in found.items()]


@contextlib.contextmanager
def _holding(port: int, number: int) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        for _ in range(number):
            # A server that takes no more of them has found its own answer to slow clients.
            with contextlib.suppress(OSError):
                connection = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=1))
                connection.sendall(HALF)
        yield


def _probed(port: int, targets: list[str]) -> list[float]:
    """Return the times of those answered with a success, in order of size; give up after three that were not."""
    times: list[float] = []
    unanswered = 0
    for each in targets:
        started = time.monotonic()
        if _is_answered(port, each):
            times.append(time.monotonic() - started)
        else:
            unanswered += 1
        if unanswered == 3:  # noqa: PLR2004 - each costs the whole patience
            break
    return sorted(times)


def _is_answered(port: int, path: str) -> bool:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(request)
        return connection.recv(12).startswith(b"HTTP/1.1 2")
    return False


if __name__ == "__main__":
    sys.exit(main())
