"""Rates that several processes count together through a real Valkey, and what happens while it is away."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
from redis import Redis

from postback.rate import Rate
from postback.shared_rate import KEYS_A_CALL_MAX, Exchange
from tests.conftest import START, TestClock
from web import assembly

RATE = Rate(per_second=10, burst=100)
PROCESSES, TRIES, TRIES_AN_EXCHANGE = 4, 300, 20


@pytest.fixture
def valkey(valkey_url: str) -> Iterator[Redis]:
    """An emptied Valkey."""
    redis = Redis.from_url(valkey_url)
    redis.flushall()
    yield redis
    redis.close()


@pytest.fixture
def exchange(valkey: Redis, clock: TestClock) -> Iterator[Callable[..., Exchange]]:
    """Make what one process has: `exchange()`. It settles when a test says so, and not by itself."""
    made: list[Exchange] = []

    def one(redis: Callable[[], Redis] = lambda: valkey, at: TestClock = clock) -> Exchange:
        made.append(Exchange(redis, lambda: at, interval_s=3600))
        return made[-1]

    yield one
    for each in made:
        each.close()


def test_what_one_has_spent_another_cannot_spend_again(exchange: Callable[..., Exchange], clock: TestClock) -> None:
    one, other = exchange(), exchange()
    here, there = one.buckets("source"), other.buckets("source")
    for _ in range(70):
        assert here.wait_s("src", RATE, now=clock()) == 0
    one.settle()

    assert there.wait_s("src", RATE, now=clock()) == 0  # nobody has told it yet
    other.settle()
    given = sum(there.wait_s("src", RATE, now=clock()) == 0 for _ in range(100))

    assert given == 100 - 70 - 1
    assert there.wait_s("src", RATE, now=clock()) == pytest.approx(0.1)
    clock.advance(seconds=1)
    assert there.wait_s("src", RATE, now=clock()) == 0


def test_what_was_given_too_much_is_paid_back_and_the_wait_says_so(
    exchange: Callable[..., Exchange], clock: TestClock
) -> None:
    one, other = exchange(), exchange()
    here, there = one.buckets("source"), other.buckets("source")
    for buckets in (here, there):
        assert sum(buckets.wait_s("src", RATE, now=clock()) == 0 for _ in range(150)) == 100
    one.settle()
    other.settle()

    # A hundred too many at ten a second, and then one.
    assert there.wait_s("src", RATE, now=clock()) == pytest.approx(10.1)
    clock.advance(seconds=10.05)
    assert there.wait_s("src", RATE, now=clock()) == pytest.approx(0.05)
    clock.advance(seconds=0.1)
    assert there.wait_s("src", RATE, now=clock()) == 0


def test_kinds_and_keys_are_apart_and_many_are_settled_at_once(
    exchange: Callable[..., Exchange], clock: TestClock, valkey: Redis
) -> None:
    one = exchange()
    sources, addresses = one.buckets("source"), one.buckets("address")
    names = [f"key {number}" for number in range(KEYS_A_CALL_MAX + 5)]
    for name in names:
        sources.wait_s(name, RATE, now=clock())
    addresses.wait_s(names[0], RATE, now=clock())
    addresses.wait_s(names[0], RATE, now=clock())
    one.settle()

    def level(kind: str, name: str) -> float:
        return float(valkey.hget(f"clickledger:rate:{kind}:{name}", "tokens") or 0)

    assert [level("source", name) for name in names] == [99] * len(names)
    assert level("address", names[0]) == 98
    assert all(0 < int(valkey.ttl(key)) <= 80 for key in valkey.scan_iter("clickledger:rate:*"))


def hammered(url: str, now: datetime) -> tuple[int, int]:
    """Try TRIES times in one process, telling the others after every few; return what was given, and given last."""
    redis = Redis.from_url(url)
    exchange = Exchange(lambda: redis, lambda: lambda: now, interval_s=3600)
    buckets = exchange.buckets("source")
    given = []
    for turn in range(TRIES):
        given.append(buckets.wait_s("src", RATE, now=now) == 0)
        if turn % TRIES_AN_EXCHANGE == TRIES_AN_EXCHANGE - 1:
            exchange.settle()
    exchange.close()
    redis.close()
    return sum(given), sum(given[-TRIES_AN_EXCHANGE:])


def test_processes_at_once_give_out_one_burst_and_what_they_could_not_yet_know_of(
    valkey: Redis, valkey_url: str
) -> None:
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes:
        together = [processes.submit(hammered, valkey_url, START) for _ in range(PROCESSES)]
        results = [each.result() for each in together]

    given = sum(total for total, _ in results)
    assert RATE.burst <= given <= RATE.burst + PROCESSES * TRIES_AN_EXCHANGE
    assert [last for _, last in results] == [0] * PROCESSES
    # No exchange is lost in the race: the common bucket knows of every token.
    assert float(valkey.hget("clickledger:rate:source:src", "tokens") or 0) == RATE.burst - given


def test_while_redis_is_away_a_source_keeps_its_rate_and_an_address_its_part_of_it(
    exchange: Callable[..., Exchange], valkey: Redis, clock: TestClock, tmp_path: Path
) -> None:
    nobody = Redis(unix_socket_path=str(tmp_path / "nobody.sock"), retry=assembly.REDIS_RETRY)
    present = [nobody]
    one = exchange(lambda: present[0])
    sources, addresses = one.buckets("source"), one.buckets("address", alone_share=4)
    for buckets in (sources, addresses):
        buckets.wait_s("before", RATE, now=clock())
    one.settle()

    assert sum(sources.wait_s("key", RATE, now=clock()) == 0 for _ in range(200)) == 100
    assert sum(addresses.wait_s("key", RATE, now=clock()) == 0 for _ in range(200)) == 25
    assert addresses.wait_s("key", RATE, now=clock()) == pytest.approx(0.4)
    one.settle()
    present[0] = valkey
    clock.advance(seconds=1)
    assert sources.wait_s("key", RATE, now=clock()) == 0
    one.settle()
    # What was spent in the dark is paid back by nobody.
    assert sources.wait_s("key", RATE, now=clock()) == 0
    assert float(valkey.hget("clickledger:rate:source:key", "tokens") or 0) == 99
    assert sum(addresses.wait_s("new", RATE, now=clock()) == 0 for _ in range(200)) == 100


def test_a_thread_of_its_own_settles_what_was_spent_and_ends(valkey: Redis, clock: TestClock) -> None:
    one = Exchange(lambda: valkey, lambda: clock)
    buckets = one.buckets("source")

    buckets.wait_s("src", RATE, now=START)
    one.close()

    assert float(valkey.hget("clickledger:rate:source:src", "tokens") or 0) == 99


def test_a_clock_that_lags_behind_the_others_fills_nothing_twice(exchange: Callable[..., Exchange]) -> None:
    ahead, behind = TestClock(START + timedelta(seconds=5)), TestClock(START)
    one, other = exchange(at=ahead), exchange(at=behind)
    here, there = one.buckets("source"), other.buckets("source")
    for _ in range(100):
        here.wait_s("src", RATE, now=ahead())
    one.settle()
    there.wait_s("src", RATE, now=behind())
    other.settle()

    assert there.wait_s("src", RATE, now=behind()) == pytest.approx(0.2)
