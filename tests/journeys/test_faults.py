"""What is acknowledged stays recorded and is owed once, whatever dies, fills up or is taken away meanwhile."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis, RedisError

from tests.conftest import MISSING_POSTGRESQL
from tests.journeys.engine import until
from tests.journeys.house import House, answers, opened
from tests.servers import postgresql_binaries

# Each lane; FAULTS_S=60 is a minute of them.
FAULTS_S = float(os.environ.get("FAULTS_S", "12"))
IS_ROOT = os.geteuid() == 0


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """The whole engine, once for each kind of database."""
    binaries = postgresql_binaries()
    if request.param == "postgresql" and binaries is None:
        pytest.skip(MISSING_POSTGRESQL)
    with opened(request.param, binaries, small_disk=IS_ROOT) as house:
        yield house


def children(pid: int) -> list[int]:
    """Return the children of a process that may be gone by now."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def kill_one(pid: int, dice: random.Random) -> None:
    """Kill one child of a process, if it has any."""
    found = children(pid)
    if found:
        with suppress(ProcessLookupError):
            os.kill(dice.choice(found), signal.SIGKILL)


def flush(house: House) -> None:
    """Empty Redis."""
    redis = Redis.from_url(house.environment["REDIS_URL"])
    with suppress(RedisError):
        redis.flushall()
    redis.close()


def test_whatever_is_killed_nothing_acknowledged_is_lost_or_owed_twice(house: House) -> None:
    dice = random.Random(20261102)  # noqa: S311 - chooses a victim
    faults: dict[str, Callable[[], None]] = {
        "web worker": lambda: kill_one(house.manager.pid("web"), dice),
        "web master": lambda: house.manager.kill("web"),
        "stages": lambda: house.manager.kill("work"),
        "ring": lambda: house.manager.kill("ring"),
        "valkey": lambda: house.manager.kill("valkey"),
        "flush": lambda: flush(house),
    }
    if house.kind == "postgresql":
        faults |= {
            "backend": lambda: kill_one(house.manager.pid("postgres"), dice),
            "postmaster": lambda: house.manager.kill("postgres"),
        }
    names = list(faults)
    done = 0
    with house.senders():
        house.more(200, 50, "the load runs")
        ends = time.monotonic() + FAULTS_S
        while time.monotonic() < ends or done < len(names):
            if done % len(names) == 0:
                dice.shuffle(names)
            faults[names[done % len(names)]]()
            done += 1
            time.sleep(dice.uniform(0.2, 1.5))
        house.more(200, 50, "the load runs again")

    house.check()


def test_a_retry_after_a_crash_finishes_what_was_half_done(house: House) -> None:
    query = house.source.signed_query(click_id="CLICK-1", transaction_id="HALF", payout="1.00", currency="EUR")
    with house.manager.without("work", "ring"):
        first = until(lambda: answers(house.url) and house.source.fire(query), "the first is acknowledged")
        house.manager.kill("web")
        flush(house)
        until(lambda: answers(house.url), "the server is back")
        again = house.source.fire(query)
    house.load.acknowledged["HALF"] = first.json()["conversion_id"]

    assert (first.status_code, first.json()["status"]) == (200, "accepted")
    assert (again.status_code, again.json()) == (200, {**first.json(), "status": "duplicate"})
    house.check()


def test_while_the_disk_is_full_senders_hear_503_and_with_room_again_all_goes_on_by_itself(house: House) -> None:
    if not IS_ROOT:
        pytest.skip("a disk of our own needs root")
    ballast = house.disk / "ballast"
    with house.senders():
        house.more(200, 20, "the load runs")
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        house.more(503, 50, "the full disk is heard of")
        ballast.unlink()
        house.more(200, 50, "all goes on")

    house.check()


def test_while_the_database_is_read_only_senders_hear_503_and_afterwards_all_goes_on(house: House) -> None:
    if IS_ROOT and shutil.which("setpriv") is None:
        pytest.skip("a file that root may not write needs setpriv")
    with house.senders():
        house.more(200, 20, "the load runs")
        read_only(house, is_on=True)
        house.more(503, 50, "it is heard of")
        read_only(house, is_on=False)
        if house.kind == "sqlite":
            # Who has mapped SQLite's write-ahead log read-only keeps it so: deploy/README.md says to restart.
            kill_workers(house)
        house.more(200, 50, "all goes on")

    house.check()


def read_only(house: House, *, is_on: bool) -> None:
    """Turn the database read-only, or back."""
    if house.kind == "postgresql":
        # As a standby, where an explicit READ WRITE is refused too; a mere default gives way to it.
        signal_file = house.disk / "pg" / "standby.signal"
        if is_on:
            signal_file.touch()
        else:
            signal_file.unlink()
        house.manager.kill("postgres")
        return
    for path in house.disk.glob("var/clickledger.sqlite*"):
        path.chmod(0o444 if is_on else 0o644)
    if is_on:
        # Whoever has the file open may go on writing; whoever comes now may not.
        kill_workers(house)


def kill_workers(house: House) -> None:
    """Kill all web workers; their master starts others."""
    for pid in children(house.manager.pid("web")):
        os.kill(pid, signal.SIGKILL)
