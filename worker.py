"""The RQ door: `python worker.py work` runs stages, `python worker.py ring` wakes each in its time."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import rq
from redis import Redis, RedisError

import config
from core import doorbell, logs, runtime
from web import assembly, stages

log = logging.getLogger("clickledger.worker")
# The worker waits for work on a blocking read, so its connection must outlast that wait.
WORKER_TTL_S = 60
# A worker may be started together with its Redis.
REDIS_START_S_MAX = 30


def run_stage(name: str, options: Mapping[str, Any]) -> None:
    """Run one stage: the job that every ring enqueues."""
    started = time.monotonic()
    stages.run(name, options)
    log.info("stage ran", extra={"stage": name, "seconds": round(time.monotonic() - started, 3)})


def is_up(redis: Redis, *, within_s: float) -> bool:
    """Wait until Redis answers, and say whether it did in time."""
    end = time.monotonic() + within_s
    while True:
        try:
            redis.ping()
        except RedisError:
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        else:
            return True


def work(redis: Redis) -> None:
    """Serve the one queue until told to stop.

    Exactly one queue a process: only then RQ takes jobs with LMOVE, so that a worker killed between taking a job and
    starting it does not lose it. No fork a job: stages are our own code, and a fork costs 20 times a small job.
    """
    queue = rq.Queue(doorbell.QUEUE, connection=redis)
    rq.SimpleWorker([queue], connection=redis, worker_ttl=WORKER_TTL_S).work(logging_level="WARNING")


def ring(redis: Redis, stopped: threading.Event) -> None:
    """Wake every stage in its time until told to stop. Two of these do no harm: rings melt into one."""
    due = {stage.name: 0.0 for stage in stages.STAGES.values() if stage.every_s is not None}
    while not stopped.wait(0.5):
        now = time.monotonic()
        for name, moment in due.items():
            if moment <= now:
                doorbell.ring(redis, name)
                due[name] = now + (stages.STAGES[name].every_s or 0)


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
        if not is_up(redis, within_s=REDIS_START_S_MAX):
            log.error("Redis does not answer", extra={"seconds": REDIS_START_S_MAX})
            return 1
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
