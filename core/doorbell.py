"""RQ as a doorbell: wake a stage. The work itself waits in the database, so a lost ring loses nothing."""

import logging
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

from redis import Redis, RedisError
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer
from sqlalchemy.orm import Session

QUEUE = "stages"
# Not RQ's default, pickle: whoever can write to Redis may ring, and must not be able to do more.
SERIALIZER = JSONSerializer
JOB = "worker.run_stage"
JOB_TIMEOUT_S = 900
# A finished or failed job's key must go soon: while it is there, RQ refuses the same job id, and so the next ring.
# Not at once, or a stage that fails would run as often as postbacks come in.
FAILURE_TTL_S = 5
_PENDING = "clickledger_rings"
_NOT_IN_A_JOB_ID = re.compile(r"[^A-Za-z0-9_-]")

log = logging.getLogger(__name__)


def after_commit(session: Session, stage: str) -> None:
    """Ring for `stage` once this transaction has committed, and not at all when it is rolled back."""
    session.info.setdefault(_PENDING, set()).add(stage)


def taken_rings(session: Session) -> set[str]:
    """Return, and forget, the stages to ring for."""
    rings: set[str] = session.info.pop(_PENDING, set())
    return rings


def queue(redis: Redis) -> Queue:
    """Return the one queue of all stages."""
    return Queue(QUEUE, connection=redis, serializer=SERIALIZER)


class Ringer:
    """Rings from a thread of its own, a stage at most once an interval: the caller never waits for Redis.

    A ring that dies with the process loses nothing: the periodic ring wakes every stage anyway.
    """

    def __init__(self, redis: Callable[[], Redis], *, interval_s: float = 0.25) -> None:
        self._redis = redis
        self._interval_s = interval_s
        self._wanted: set[str] = set()
        self._lock = threading.Lock()
        self._asked = threading.Event()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def close(self) -> None:
        """End the thread once it has rung for what was asked."""
        self._ended.set()
        self._asked.set()
        if self._thread is not None:
            self._thread.join(2)

    def ring(self, stage: str) -> None:
        """Ask for `stage` to be woken soon."""
        with self._lock:
            self._wanted.add(stage)
            if self._thread is None:
                # Not in __init__: a server forks after it has built its parts, and threads do not survive that.
                self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
                self._thread.start()
        self._asked.set()

    def _run(self) -> None:
        while not self._ended.is_set() or self._wanted:
            self._asked.wait()
            self._asked.clear()
            with self._lock:
                wanted, self._wanted = self._wanted, set()
            for stage in sorted(wanted):
                try:
                    ring(self._redis(), stage)
                except Exception as error:  # noqa: BLE001 - whatever RQ makes of an emptied Redis, the next ring counts
                    log.warning("doorbell silent", extra={"stage": stage, "error": type(error).__name__})
            self._ended.wait(self._interval_s)


def ring_again(redis: Redis) -> None:
    """Ring anew for jobs that a killed worker has left behind; called when a worker starts.

    A job left as "started" keeps its id, and so refuses every ring for its stage until RQ's own cleaning finds it a
    quarter of an hour later. Should another worker be alive with it after all, the stage runs twice, which harms
    nothing.
    """
    stages = queue(redis)
    for job_id in {*stages.started_job_registry.get_job_ids(), *stages.intermediate_queue.get_job_ids()}:
        job = stages.fetch_job(job_id)
        if job is not None:
            stage, options = job.args
            job.delete()
            ring(redis, stage, options)


def ring(redis: Redis, stage: str, options: Mapping[str, Any] | None = None) -> str | None:
    """Wake `stage`; return the job id, or None when Redis is away (the periodic ring will do it then).

    Rings for the same stage and options melt into one while the first waits in the queue.
    """
    parts = [stage, *(f"{name}-{value}" for name, value in sorted((options or {}).items()))]
    job_id = _NOT_IN_A_JOB_ID.sub("-", "_".join(["stage", *parts]))
    try:
        queue(redis).enqueue(
            JOB,
            stage,
            dict(options or {}),
            job_id=job_id,
            unique=True,
            job_timeout=JOB_TIMEOUT_S,
            result_ttl=0,
            failure_ttl=FAILURE_TTL_S,
        )
    except DuplicateJobError:
        return job_id
    except RedisError as error:
        # Only the class: a connection error's text holds the address, and with it perhaps a password.
        log.warning("doorbell silent", extra={"stage": stage, "error": type(error).__name__})
        return None
    return job_id
