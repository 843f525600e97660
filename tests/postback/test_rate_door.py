"""Too many postbacks at both doors: 429 with a Retry-After that holds, and what Redis has to do with it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import flask
import pytest
from redis import Redis

from core import runtime as runtimes
from core.runtime import Runtime
from partners.sources import RateLimit
from postback.door import AsyncDoor, Door
from postback.intake import UNPROVEN
from postback.rate import Rate
from tests.conftest import TestClock
from tests.postback.conftest import Network, Stored
from web import assembly
from web.app import DOOR

LIMIT = RateLimit(per_second=2, burst=3)
# Answers (code, Retry-After) to a query at one of the doors.
Fire = Callable[[Network, str], tuple[int, str | None]]


@pytest.fixture
def door(app: flask.Flask) -> Door:
    """The door of the one process."""
    found: Door = app.extensions[DOOR]
    return found


@pytest.fixture(params=["wsgi", "asgi"])
def fire(request: pytest.FixtureRequest, door: Door) -> Iterator[Fire]:
    """Send a postback to the door with threads, and to that with an event loop."""
    looped, runner = AsyncDoor(door), asyncio.Runner()

    def threads(network: Network, query: str) -> tuple[int, str | None]:
        answer = network.fire(query)
        return answer.status_code, answer.headers.get("Retry-After")

    def loop(network: Network, query: str) -> tuple[int, str | None]:
        return runner.run(_asked(looped, network, query))

    yield threads if request.param == "wsgi" else loop
    runner.run(looped._quick.close())
    runner.close()


async def _asked(door: AsyncDoor, network: Network, query: str) -> tuple[int, str | None]:
    heard: list[Mapping[str, Any]] = []
    scope = {
        "type": "http", "method": "GET", "path": f"/postback/{network.source_id}", "query_string": query.encode(),
        "headers": [], "client": (network.peer, 1234),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        heard.append(message)

    await door(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in heard[0]["headers"]}
    return heard[0]["status"], headers.get("retry-after")


def test_a_source_above_its_rate_hears_429_and_when_to_come_back(
    fire: Fire, new_network: Callable[..., Network], stored: Stored, clock: TestClock
) -> None:
    network, other = new_network(rate_limit=LIMIT), new_network()

    answers = [fire(network, network.signed(transaction_id=f"T{number}")) for number in range(5)]

    assert answers == [(200, None)] * 3 + [(429, "1")] * 2
    assert fire(other, other.signed()) == (200, None)
    assert len(stored.conversions()) == 4
    clock.advance(seconds=1)
    assert fire(network, network.signed(transaction_id="T3")) == (200, None)


def test_an_address_that_proves_nothing_hears_429_and_hinders_no_network_behind_it(
    fire: Fire, network: Network, clock: TestClock
) -> None:
    answers = [fire(network, f"forged={number}") for number in range(UNPROVEN.burst + 2)]

    assert answers == [(401, None)] * UNPROVEN.burst + [(429, "1")] * 2
    assert fire(network, network.signed()) == (200, None)
    clock.advance(seconds=0.2)
    assert fire(network, "forged=again") == (401, None)


def test_what_another_process_let_in_counts_here(
    fire: Fire, new_network: Callable[..., Network], door: Door, runtime: Runtime, clock: TestClock
) -> None:
    network = new_network(rate_limit=LIMIT)
    neighbour = Door(lambda: runtime)
    for _ in range(3):
        neighbour.memory.sources.wait_s(network.source_id, Rate(LIMIT.per_second, LIMIT.burst), now=clock())
    neighbour.close()
    assert fire(network, network.signed(transaction_id="T1")) == (200, None)
    door.rates.settle()

    # Four were let in where three may be: one is to be paid back, and one to come, at two a second.
    assert fire(network, network.signed(transaction_id="T2")) == (429, "1")
    clock.advance(seconds=0.9)
    assert fire(network, network.signed(transaction_id="T2")) == (429, "1")
    clock.advance(seconds=0.2)
    assert fire(network, network.signed(transaction_id="T2")) == (200, None)


def test_a_source_that_was_overdrawn_long_hears_how_long(
    fire: Fire, new_network: Callable[..., Network], door: Door, runtime: Runtime
) -> None:
    network = new_network(rate_limit=RateLimit(per_second=1, burst=10))
    fire(network, network.signed(transaction_id="T1"))
    door.rates.settle()
    runtime.redis.hset(f"clickledger:rate:source:{network.source_id}", "tokens", "-6.5")
    fire(network, network.signed(transaction_id="T2"))
    door.rates.settle()

    # Below zero by 7.5: a whole token is there in 8.5 s.
    assert fire(network, network.signed(transaction_id="T3")) == (429, "9")


def test_without_redis_every_postback_is_still_recorded(
    fire: Fire, network: Network, door: Door, runtime: Runtime, stored: Stored
) -> None:
    nobody = Redis(unix_socket_path="/nonexistent/nobody.sock", retry=assembly.REDIS_RETRY)
    runtimes.install(replace(runtime, redis=nobody))

    answers = []
    for number in range(4):
        answers.append(fire(network, network.signed(transaction_id=f"T{number}")))
        door.rates.settle()

    assert answers == [(200, None)] * 4
    runtimes.install(runtime)
    assert door.memory.sources.is_alone
    # The two doors record by different statements on PostgreSQL: both keep what was covered.
    assert [conversion.covered_fields for conversion in stored.conversions()] == ["*"] * 4
