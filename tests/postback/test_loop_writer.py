"""The door of the event loop: one loop's group commit, senders who leave, and connections that die under it.

What is new and plain the loop writes by itself (postback/loop_writer.py), the rest goes through the writer's thread.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from core import database
from core.errors import Unavailable
from core.runtime import Runtime
from partners import secrets
from postback import door as doors
from postback import loop_writer
from postback import writer as writers
from postback.door import AsyncDoor, Door
from postback.intake import Write
from tests.conftest import PostgresqlDatabases
from tests.postback.conftest import TESTS, Network, Stored, secret_ids
from tests.postback.lines import batches, blocked_statements, nobody_can_write, poisoned, unsendable, waiting_write

PATIENCE_S = 30


class Loop:
    """One worker process's loop with its door: the ASGI side of a server."""

    def __init__(self, runtime: Runtime, network: Network) -> None:
        self.door = Door(lambda: runtime)
        self._ask = AsyncDoor(self.door)
        self._network = network

    @property
    def waiting(self) -> int:
        """How many stand in the loop's own line."""
        return len(self._ask._quick._waiting)

    async def send(self, **changes: str) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Sign and send one postback; return the status, the headers and the body."""
        said: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            said.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http", "method": "GET", "path": f"/postback/{self._network.source_id}", "headers": [],
            "query_string": self._network.signed(**changes).encode(), "client": (self._network.peer, 40000),
        }  # fmt: skip
        await self._ask(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in said[0]["headers"]}
        return said[0]["status"], headers, json.loads(said[1]["body"])

    async def warm(self) -> None:
        """Send T0, and wait for what is written behind it: when its secret was last used."""
        await self.send(transaction_id="T0")
        await until(lambda: self.door.writer._uses._noted, "the use of the secret is noted")

    async def codes(self, names: list[str]) -> Counter[int]:
        """Send all at once and count the answers."""
        answers = await asyncio.gather(*(self.send(transaction_id=name) for name in names))
        return Counter(code for code, _, _ in answers)


Play = Callable[[Callable[[Loop], Awaitable[None]]], None]


@pytest.fixture
def play(runtime: Runtime, network: Network) -> Play:
    """Run a story on a loop of its own: `play(story)`."""

    def played(story: Callable[[Loop], Awaitable[None]]) -> None:
        loop = Loop(runtime, network)

        async def whole() -> None:
            try:
                await story(loop)
            finally:
                await loop._ask._quick.close()

        try:
            asyncio.run(whole())
        finally:
            loop.door.close()

    return played


@pytest.fixture
def backends(
    runtime: Runtime, postgresql_databases: PostgresqlDatabases, request: pytest.FixtureRequest
) -> Callable[[], int]:
    """Kill every connection to the test's PostgreSQL and return how many there were."""

    def killed() -> int:
        statement = sa.text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = :name")
        with postgresql_databases.admin.connect() as connection:
            return int(connection.scalar(statement, {"name": runtime.engine.url.database}) or 0)

    return killed


async def until(found: Callable[[], object], what: str) -> None:
    """Wait on the loop until `found` says something true."""
    for _ in range(PATIENCE_S * 100):
        if found():
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{what}: did not happen in {PATIENCE_S} s")


def names(stored: Stored) -> list[str]:
    """Return the transactions that are recorded."""
    return sorted(row.transaction_id for row in stored.conversions())


def test_a_loop_commits_together_what_came_in_together(play: Play, stored: Stored, runtime: Runtime) -> None:
    async def story(loop: Loop) -> None:
        await loop.warm()
        before = batches()
        with nobody_can_write(runtime):
            first = asyncio.create_task(loop.send(transaction_id="T1"))
            await until(lambda: batches()[0] == before[0] + 1, "the first batch waits for the lock")
            rest = asyncio.gather(*(loop.send(transaction_id=f"T{number}") for number in range(2, 102)))
            await until(lambda: loop.waiting == 100, "a hundred wait")
        answers = [await first, *await rest]

        assert {(code, body["status"]) for code, _, body in answers} == {(200, "unmatched")}
        assert (batches()[0] - before[0], batches()[1] - before[1]) == (2, 101)

    play(story)
    assert len(stored.conversions()) == len(stored.receipts()) == len(stored.events()) == 102


def test_a_sender_who_leaves_in_mid_write_takes_nobody_with_him_and_his_retry_finds_the_truth(
    play: Play, stored: Stored, runtime: Runtime
) -> None:
    async def story(loop: Loop) -> None:
        await loop.warm()
        before = batches()
        with nobody_can_write(runtime):
            being_written = asyncio.create_task(loop.send(transaction_id="T1"))
            await until(lambda: batches()[0] == before[0] + 1, "the first batch waits for the lock")
            in_line = asyncio.create_task(loop.send(transaction_id="T2"))
            stays = asyncio.create_task(loop.send(transaction_id="T3"))
            await until(lambda: loop.waiting == 2, "two more wait")
            being_written.cancel()
            in_line.cancel()
            await asyncio.sleep(0)
        assert (await stays)[0] == 200
        assert await loop.codes(["T1", "T2"]) == {200: 2}

    play(story)
    assert names(stored) == ["T0", "T1", "T2", "T3"]
    assert len(stored.events()) == 4


@pytest.mark.parametrize("spoiled", [poisoned, unsendable])
def test_a_row_that_cannot_be_written_is_refused_alone_out_of_a_loops_batch(
    play: Play, stored: Stored, network: Network, caplog: pytest.LogCaptureFixture, spoiled: Callable[[Write], Write]
) -> None:
    async def story(loop: Loop) -> None:
        await loop.warm()
        write = spoiled(waiting_write(stored.runtime, loop.door, network, transaction_id="T9"))
        with nobody_can_write(stored.runtime):
            sent = [asyncio.create_task(loop.send(transaction_id=f"T{number}")) for number in (1, 2)]
            bad = asyncio.create_task(loop._ask._written(write))
            sent += [asyncio.create_task(loop.send(transaction_id=f"T{number}")) for number in (3, 4)]
            await asyncio.sleep(0.1)
        assert [code for code, _, _ in await asyncio.gather(*sent)] == [200] * 4
        with pytest.raises(Unavailable):
            await bad

    play(story)
    assert names(stored) == ["T0", "T1", "T2", "T3", "T4"]
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == ["postback not written"]


def test_a_full_line_and_a_commit_that_takes_too_long_are_503_and_never_acknowledged(
    play: Play, stored: Stored, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(loop: Loop) -> None:
        await loop.warm()
        for module in (doors, loop_writer):
            monkeypatch.setattr(module, "WAIT_S_MAX", 0.5)
        for module in (writers, loop_writer):
            monkeypatch.setattr(module, "WAITING_MAX", 2)
        before = batches()
        with nobody_can_write(runtime):
            early = [asyncio.create_task(loop.send(transaction_id="T1"))]
            await until(lambda: batches()[0] == before[0] + 1, "one is being written")
            early += [asyncio.create_task(loop.send(transaction_id=name)) for name in ("T2", "T3")]
            await until(lambda: loop.waiting == 2, "two wait")
            turned_away = await loop.send(transaction_id="T4")
            assert loop.waiting == 2
            too_slow = await asyncio.gather(*early)
        monkeypatch.undo()
        assert {(code, headers["retry-after"]) for code, headers, _ in [turned_away, *too_slow]} == {(503, "5")}
        assert await loop.codes(["T1", "T2", "T3", "T4"]) == {200: 4}

    play(story)
    assert names(stored) == ["T0", "T1", "T2", "T3", "T4"]


def test_a_source_that_moves_on_between_the_look_and_the_write_is_looked_at_again(
    play: Play, stored: Stored, runtime: Runtime, network: Network
) -> None:
    async def story(loop: Loop) -> None:
        assert (await loop.send(transaction_id="T0"))[0] == 200
        with runtime.transaction() as session:
            [secret_id] = secret_ids(session, network.source_id)
            secrets.revoke(runtime, session, network.source_id, secret_id, actor=TESTS)

        # The loop remembers the secret; only the insert itself can tell that it counts no more.
        assert await loop.codes(["T1", "T2"]) == {401: 2}

    play(story)
    assert names(stored) == ["T0"]


def test_a_look_while_the_database_is_away_is_503(play: Play, runtime: Runtime, tmp_path: Any) -> None:
    async def story(loop: Loop) -> None:
        away = database.connect(f"postgresql:///nothing?host={tmp_path}")
        lost = replace(runtime, engine=away, reading_sessions=database.reading_sessions(away))
        loop.door.runtime = lambda: lost
        code, headers, body = await loop.send()

        assert (code, headers["retry-after"], body) == (503, "5", {"status": "unavailable"})

    play(story)


def test_connections_killed_between_two_batches_are_opened_again_and_no_sender_notices(
    play: Play, stored: Stored, runtime: Runtime, backends: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    if runtime.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no connections to lose")

    async def story(loop: Loop) -> None:
        for number in range(5):
            assert await loop.codes([f"A{number}-{each}" for each in range(8)]) == {200: 8}
            assert await loop.codes([f"B{number}-{each}" for each in range(8)]) == {200: 8}
            assert backends() > 0

    play(story)
    assert len(names(stored)) == 80
    # Once for each time that they were killed: the batch after that is the loop's own again.
    assert [r.getMessage() for r in caplog.records].count("loop writer hands over") == 4


def test_connections_killed_in_mid_batch_are_503_at_worst_and_the_retry_is_recorded_once(
    play: Play, stored: Stored, runtime: Runtime, postgresql_databases: PostgresqlDatabases
) -> None:
    if runtime.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no connections to lose")

    async def story(loop: Loop) -> None:
        await loop.warm()
        with (
            blocked_statements(postgresql_databases.admin, runtime.engine.url.database) as blocked,
            postgresql_databases.admin.connect() as admin,
            nobody_can_write(runtime),
        ):
            sent = asyncio.gather(*(loop.send(transaction_id=f"T{number}") for number in range(1, 9)))
            killed: set[int] = set()
            # First the loop's own connection, then that of the thread to which it hands over.
            while len(killed) < 2:
                await until(lambda: set(blocked()) - killed, "a batch waits for the lock")
                for pid in set(blocked()) - killed:
                    admin.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
                    killed.add(pid)
            answers = await sent
        assert {code for code, _, _ in answers} == {503}
        assert await loop.codes([f"T{number}" for number in range(1, 9)]) == {200: 8}

    play(story)
    assert names(stored) == [f"T{number}" for number in range(9)]
    assert len(stored.events()) == 9
