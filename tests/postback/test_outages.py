"""What senders hear while the database or Redis is away."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from redis import Redis

from core import database
from core import runtime as runtimes
from core.runtime import Runtime
from tests.conftest import Answer
from tests.postback.conftest import Network, Stored
from web import assembly


@pytest.fixture
def installed(runtime: Runtime) -> Iterator[Callable[..., None]]:
    """Change parts of the installed runtime: `installed(engine=..)`."""
    yield lambda **parts: runtimes.install(replace(runtime, **parts))
    runtimes.install(runtime)


def is_unavailable(answer: Answer) -> bool:
    return (answer.status_code, answer.data, answer.headers["Retry-After"], answer.headers["Cache-Control"]) == (
        503, b'{"status": "unavailable"}', "5", "no-store",
    )  # fmt: skip


def test_while_the_database_is_away_everybody_is_asked_to_come_back_and_nothing_is_stored(
    network: Network, stored: Stored, runtime: Runtime, installed: Callable[..., None], tmp_path: Path
) -> None:
    away = (
        f"sqlite:///{tmp_path}/no/such/folder/file.sqlite"
        if runtime.engine.dialect.name == "sqlite"
        else f"postgresql:///nothing?host={tmp_path}"
    )
    engine = database.connect(away)
    installed(engine=engine, sessions=database.sessions(engine), reading_sessions=database.reading_sessions(engine))

    answers = [network.send(), network.fire("forged=1")]

    assert all(is_unavailable(answer) for answer in answers)
    runtimes.install(runtime)
    assert (stored.receipts(), stored.conversions()) == ([], [])
    assert network.send().status_code == 200


def test_a_locked_sqlite_or_an_empty_pool_is_an_outage_of_some_seconds(
    network: Network, stored: Stored, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    if runtime.engine.dialect.name == "sqlite":
        monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 50)
        runtime.engine.dispose()
        with runtime.sessions() as writer:
            writer.execute(sa.text("SELECT 1"))  # BEGIN IMMEDIATE: the write lock is ours
            answer = network.send()
    else:
        # The pool gives up after 2 s; a test need not wait so long.
        monkeypatch.setattr(runtime.engine.pool, "_timeout", 0.05)
        held = [runtime.engine.connect() for _ in range(20)]
        answer = network.send()
        for connection in held:
            connection.close()

    assert is_unavailable(answer)
    assert stored.conversions() == []
    assert network.send().status_code == 200


def test_without_redis_a_postback_is_still_recorded_and_acknowledged_soon(
    network: Network, stored: Stored, runtime: Runtime, installed: Callable[..., None], tmp_path: Path
) -> None:
    installed(redis=Redis(unix_socket_path=str(tmp_path / "nobody.sock"), retry=assembly.REDIS_RETRY))

    answers: list[Answer] = []
    sender = threading.Thread(target=lambda: answers.append(network.send()), daemon=True)
    sender.start()
    sender.join(timeout=1)

    assert [answer.status_code for answer in answers] == [200]
    assert len(stored.conversions()) == 1
