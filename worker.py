"""The RQ door: `python worker.py work` runs stages, `python worker.py ring` wakes each in its time."""

# ruff: noqa: E402 - what is set before the rest is imported has to stand before it

from core import collector

collector.rarely()

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any

import rq
from redis import Redis, RedisError

import config
from core import doorbell, logs, runtime
from web import assembly, stages

log = logging.getLogger("clickledger.worker")
# The worker waits for work on a blocking read, so its connection must outlast that wait.
WORKER_TTL_S = 60
RECONNECT_EVERY_S = 0.5


def run_stage(name: str, options: Mapping[str, Any]) -> None:
    """Run one stage: the job that every ring enqueues."""
    started = time.monotonic()
    try:
        stages.run(name, options)
    except Exception as error:
        # RQ keeps its traceback, and for seconds only. Of an outage the class alone: a driver's text may quote values.
        log.error(  # noqa: TRY400
            "stage failed",
            extra={"stage": name, "error": type(error).__name__, "cause": type(error.__cause__).__name__},
        )
        raise
    log.info("stage ran", extra={"stage": name, "seconds": round(time.monotonic() - started, 3)})


class _Worker(rq.SimpleWorker):
    """RQ's worker without a fork for each job: stages are our own code, and a fork costs 20 times a small job."""

    max_connection_wait_time = 5.0
    told_to_stop = False

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Note that the end of `work` is wanted: RQ returns from it just the same when Redis goes away."""
        type(self).told_to_stop = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # RQ leaves it untyped


def work(redis: Redis) -> None:
    """Serve the one queue until told to stop, through every absence of Redis.

    Exactly one queue a process: only then RQ takes jobs with LMOVE, so that a worker killed between taking a job and
    starting it does not lose it.
    """
    while not _Worker.told_to_stop:
        try:
            doorbell.ring_again(redis)
            worker = _Worker(
                [doorbell.queue(redis)], connection=redis, serializer=doorbell.SERIALIZER, worker_ttl=WORKER_TTL_S
            )
            worker.work(logging_level="CRITICAL")
        except RedisError as error:
            log.warning("Redis is away", extra={"error": type(error).__name__})
        if not _Worker.told_to_stop:
            time.sleep(RECONNECT_EVERY_S)


def ring(redis: Redis, stopped: threading.Event) -> None:
    """Wake every stage in its time until told to stop. Two of these do no harm: rings melt into one."""
    due = {stage.name: 0.0 for stage in stages.STAGES.values() if stage.every_s is not None}
    while not stopped.wait(0.5):
        now = time.monotonic()
        for name, moment in due.items():
            if moment <= now:
                is_rung = doorbell.ring(redis, name) is not None
                due[name] = now + ((stages.STAGES[name].every_s or 0) if is_rung else RECONNECT_EVERY_S)


def main(arguments: list[str]) -> int:
    """Run the command `arguments` name; return the exit code."""
    logs.configure()
    if arguments not in (["work"], ["ring"]):
        print("usage: python worker.py work|ring", file=sys.stderr)  # noqa: T201 - a person typed it
        return 2
    try:
        settings = config.load(os.environ)
    except config.ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 - before any log can be trusted
        return 2
    runtime.install(assembly.build(settings))
    # No socket timeout here: a worker waits for its queue longer than any request may wait for Redis.
    redis = Redis.from_url(settings.redis_url)
    if arguments == ["work"]:
        work(redis)
    else:
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        ring(redis, stopped)
    return 0


if __name__ == "__main__":
    # RQ finds the job as `worker.run_stage`: this module must be known by that name, not only as __main__.
    sys.modules["worker"] = sys.modules["__main__"]
    sys.exit(main(sys.argv[1:]))
