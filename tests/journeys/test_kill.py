"""kill -9 under load: every acknowledged postback is in the database exactly once."""

import base64
import hashlib
import hmac
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from core.database import connect
from postback.models import Conversion, ConversionEvent, Receipt
from tests.conftest import Caller
from tests.processes import children, gunicorn

SENDERS = 8
LOAD_S = 6
# A worker needs about half a second to come back: killed faster than that, there would be no load to lose.
KILL_EVERY_S = 0.6
# A sender gives up on one postback after this many tries: longer than a worker takes to come back.
TRIES_MAX = 200


@pytest.fixture
def source(machine: Caller) -> tuple[str, bytes]:
    """Return a source's id and its key; its rate limit is out of the way."""
    answer = machine.post(
        "/api/v1/sources",
        {
            "name": "Under load",
            "scheme": "pb1",
            "allowlist": ["127.0.0.1/32"],
            "stale": "hold",
            "default_currency": "EUR",
            "rate_limit": {"per_second": 10000, "burst": 10000},
        },
    )
    assert answer.status_code == 201, answer.text
    return answer.json["id"], base64.b64decode(answer.json["secret"]["value"].removeprefix("whsec_"))


def test_every_acknowledged_postback_survives_killed_workers_exactly_once(
    environment: dict[str, str], source: tuple[str, bytes], tmp_path: Path
) -> None:
    with gunicorn(environment, tmp_path, workers=3) as (url, master):
        acknowledged, kills = _fire_while_workers_die(url, master, source)

    recorded, first_receipts, first_events = _recorded(environment["DATABASE_URL"])
    assert kills >= 5
    assert len(acknowledged) > 100
    assert acknowledged - set(recorded) == set()
    assert set(recorded.values()) == {1}
    # One receipt says "recorded" and one event says so, however often a sender tried again.
    assert set(first_receipts.values()) == {1}
    assert set(first_events.values()) == {1}


def test_the_control_that_acknowledges_before_the_commit_loses_postbacks(
    environment: dict[str, str], source: tuple[str, bytes], tmp_path: Path
) -> None:
    with gunicorn(environment, tmp_path, app="tests.journeys.early_acknowledger:app", workers=3) as (url, master):
        acknowledged, kills = _fire_while_workers_die(url, master, source)
        time.sleep(1)  # let what survived in memory drain

    recorded, _, _ = _recorded(environment["DATABASE_URL"])
    assert kills >= 5
    assert acknowledged - set(recorded) != set()


def _fire_while_workers_die(
    url: str, master: "subprocess.Popen[bytes]", source: tuple[str, bytes]
) -> tuple[set[str], int]:
    """Fire distinct postbacks, each again until it is acknowledged, while workers are killed; return both counts."""
    acknowledged: set[str] = set()
    stop = threading.Event()
    senders = [
        threading.Thread(target=_send_until, args=(stop, url, source, acknowledged.add, number))
        for number in range(SENDERS)
    ]
    for sender in senders:
        sender.start()
    dice, kills, ends = random.Random(20261102), 0, time.monotonic() + LOAD_S  # noqa: S311 - chooses a victim
    while time.monotonic() < ends:
        time.sleep(KILL_EVERY_S)
        victims = children(master)
        if victims:
            os.kill(dice.choice(victims), signal.SIGKILL)
            kills += 1
    stop.set()
    for sender in senders:
        sender.join()
    return acknowledged, kills


def _send_until(
    stop: threading.Event,
    url: str,
    source: tuple[str, bytes],
    acknowledge: Callable[[str], None],
    number: int,
) -> None:
    session, count = requests.Session(), 0
    while not stop.is_set():
        count += 1
        transaction_id = f"T{number}-{count}"
        address = f"{url}/postback/{source[0]}?{_signed(transaction_id, source)}"
        for _ in range(TRIES_MAX):
            try:
                answer = session.get(address, timeout=5)
            except requests.RequestException:
                time.sleep(0.02)
                continue
            if answer.status_code == 200:
                acknowledge(transaction_id)
                break
            # Only "not now" may come back: a refusal would be a mistake of this test.
            assert answer.status_code == 503, answer.text
            time.sleep(0.02)


def _signed(transaction_id: str, source: tuple[str, bytes]) -> str:
    query = f"click_id=unknown&transaction_id={transaction_id}&payout=1.00&currency=EUR&ts={int(time.time())}"
    signed = f"pb1\nGET\n/postback/{source[0]}\n{query}".encode()
    return f"{query}&sig={hmac.new(source[1], signed, hashlib.sha256).hexdigest()}"


def _recorded(database_url: str) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Return how often each transaction is recorded, has a recording receipt, and a first event."""
    engine = connect(database_url)
    with engine.connect() as connection:
        conversions = connection.execute(sa.select(Conversion.transaction_id)).scalars().all()
        receipts = connection.execute(
            sa.select(Receipt.conversion_id).where(Receipt.outcome == "unmatched")
        ).scalars().all()  # fmt: skip
        events = connection.execute(sa.select(ConversionEvent.conversion_id)).scalars().all()
    engine.dispose()
    return Counter(conversions), Counter(str(each) for each in receipts), Counter(events)
