"""The RQ door: a worker outlives its Redis, and a killed one leaves no stage silent."""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from redis import Redis, RedisError

from core import doorbell
from core.database import connect
from tests.conftest import KEY_ENCRYPTION_KEY, SECRET_KEY
from tests.processes import started
from tests.servers import start_valkey

WORK = [sys.executable, "worker.py", "work"]
PATIENCE_S = 30


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder with a path short enough for a unix socket."""
    path = Path(tempfile.mkdtemp(prefix="clickledger-worker-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def environment(sqlite_template: Path, folder: Path) -> dict[str, str]:
    """Return the environment of a worker on a database and a Valkey of its own."""
    shutil.copy(sqlite_template, folder / "clickledger.sqlite")
    return {
        "SECRET_KEY": SECRET_KEY,
        "KEY_ENCRYPTION_KEY": KEY_ENCRYPTION_KEY,
        "VAR_DIR": str(folder),
        "REDIS_URL": f"unix://{folder}/valkey.sock",
    }


def test_a_worker_goes_on_when_its_redis_was_killed_and_came_back_empty(
    environment: dict[str, str], folder: Path
) -> None:
    valkey = start_valkey(folder)
    redis = Redis.from_url(environment["REDIS_URL"])
    try:
        with started(WORK, environment, folder / "work.log") as worker:
            doorbell.ring(redis, "accrual")
            _until(lambda: _is_quiet(redis), "the first ring is answered")

            valkey.kill()
            valkey.wait()
            shutil.rmtree(folder / "appendonlydir")
            time.sleep(1)
            valkey = start_valkey(folder)
            doorbell.ring(redis, "accrual")

            _until(lambda: _is_quiet(redis), "a ring after the loss is answered")
            assert worker.poll() is None
    finally:
        valkey.kill()
        valkey.wait()
        redis.close()


def test_a_stage_whose_worker_was_killed_in_the_middle_is_rung_for_again(
    environment: dict[str, str], folder: Path
) -> None:
    valkey = start_valkey(folder)
    redis = Redis.from_url(environment["REDIS_URL"])
    engine = connect(f"sqlite:///{folder}/clickledger.sqlite")
    try:
        with engine.connect() as writer:
            writer.execute(sa.text("SELECT 1"))  # our BEGIN IMMEDIATE: the stage waits for this writer
            with started(WORK, environment, folder / "work.log") as worker:
                doorbell.ring(redis, "accrual")
                _until(doorbell.queue(redis).started_job_registry.get_job_ids, "the stage has begun")
                os.kill(worker.pid, signal.SIGKILL)
        assert doorbell.queue(redis).started_job_registry.get_job_ids() == ["stage_accrual"]

        with started(WORK, environment, folder / "work.log"):
            _until(lambda: _is_quiet(redis), "the stage has run")
            doorbell.ring(redis, "accrual")
            _until(lambda: _is_quiet(redis), "the next ring is answered")
    finally:
        engine.dispose()
        valkey.kill()
        valkey.wait()
        redis.close()


def test_a_stage_that_failed_in_an_outage_is_logged_and_runs_at_a_ring_soon_after(
    environment: dict[str, str], folder: Path
) -> None:
    valkey = start_valkey(folder)
    redis = Redis.from_url(environment["REDIS_URL"])
    environment |= {"DATABASE_URL": f"sqlite:///{folder}/later/clickledger.sqlite"}
    log = folder / "work.log"
    try:
        with started(WORK, environment, log):
            doorbell.ring(redis, "accrual")
            _until(lambda: '"stage failed", "stage": "accrual"' in log.read_text(), "the stage has failed")

            (folder / "later").mkdir()
            (folder / "clickledger.sqlite").rename(folder / "later" / "clickledger.sqlite")

            def has_run() -> bool:
                doorbell.ring(redis, "accrual")
                return '"stage ran", "stage": "accrual"' in log.read_text()

            _until(has_run, "the stage runs again")
    finally:
        valkey.kill()
        valkey.wait()
        redis.close()


def _is_quiet(redis: Redis) -> bool:
    """Say whether no job waits or runs; a worker's answered ring leaves nothing behind."""
    try:
        return not list(redis.scan_iter("rq:job:*"))
    except RedisError:
        return False


def _until(found: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < deadline, f"{what}: did not happen in {PATIENCE_S} s"
        time.sleep(0.05)
