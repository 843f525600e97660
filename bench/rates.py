"""What sharing rates costs and how exact it is: `python -m bench.rates URL` of a Redis whose keys may be written."""

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from redis import Redis

from core.clock import system_clock
from postback.rate import Buckets, Rate
from postback.shared_rate import Exchange

RATE = Rate(per_second=200, burst=1000)
CALLS, EXCHANGES, SPAN_S = 200_000, 200, 10


def token_us(buckets: Buckets) -> float:
    """Return the processor's microseconds of one token that is given, of one key."""
    rate, now = Rate(1_000_000, 1_000_000), system_clock()
    began = time.process_time()
    for _ in range(CALLS):
        buckets.wait_s("key", rate, now=now)
    return (time.process_time() - began) / CALLS * 1_000_000


def exchange_us(url: str, keys: int) -> tuple[float, float]:
    """Return the microseconds of an exchange of so many keys: all of them, and of this process's processor."""
    exchange = Exchange(lambda: redis, lambda: system_clock, interval_s=3600)
    redis, buckets = Redis.from_url(url), exchange.buckets("bench")
    wall, busy = 0.0, 0.0
    for turn in range(EXCHANGES):
        for key in range(keys):
            buckets.wait_s(f"{turn % 2} {key}", Rate(1_000_000, 1_000_000), now=system_clock())
        started, began = time.perf_counter(), time.process_time()
        exchange.settle()
        wall, busy = wall + time.perf_counter() - started, busy + time.process_time() - began
    exchange.close()
    return wall / EXCHANGES * 1_000_000, busy / EXCHANGES * 1_000_000


def given(url: str, until: float, *, is_shared: bool) -> int:
    """Try far more often than the rate until then, and return what one process gave."""
    redis = Redis.from_url(url)
    exchange = Exchange(lambda: redis, lambda: system_clock)
    buckets = exchange.buckets("bench-span") if is_shared else Buckets()
    count = 0
    while system_clock().timestamp() < until:
        count += buckets.wait_s("source", RATE, now=system_clock()) == 0
        time.sleep(0.0005)
    exchange.close()
    return count


def main(url: str) -> None:
    """Print all of it."""
    exchange = Exchange(lambda: Redis.from_url(url), lambda: system_clock)
    print(f"a token, in memory alone      {token_us(Buckets()):8.2f} us")
    print(f"a token that is told of       {token_us(exchange.buckets('bench-token')):8.2f} us")
    exchange.close()
    for keys in (1, 50, 200):
        wall, busy = exchange_us(url, keys)
        print(f"an exchange of {keys:3} keys       {wall:8.0f} us, {busy:.0f} of them this process")
    allowed = RATE.burst + RATE.per_second * SPAN_S
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as processes:
        list(processes.map(time.sleep, [0.2] * 4))
        for name, is_shared in (("each for itself", False), ("together", True)):
            Redis.from_url(url).delete("clickledger:rate:bench-span:source")
            until = system_clock().timestamp() + SPAN_S
            futures = [processes.submit(given, url, until, is_shared=is_shared) for _ in range(4)]
            total = sum(future.result() for future in futures)
            print(f"4 processes, {name:16} {total:6} given in {SPAN_S} s, {allowed} allowed: {total / allowed:.3f}")


if __name__ == "__main__":
    main(sys.argv[1])
