"""Postbacks that ask for a source at once share a reading, and none is told what was true before it came."""

import asyncio
import threading

import pytest

from core.errors import Unavailable
from postback.looking import Looks


class Database:
    """Says how often it was read; each reading lasts until it is let go."""

    def __init__(self) -> None:
        self.readings = 0
        self.begun = threading.Semaphore(0)
        self.let_go = threading.Semaphore(0)

    def look(self, source_id: str) -> None:
        self.readings += 1
        self.begun.release()
        self.let_go.acquire(timeout=5)
        if source_id == "away":
            message = "away"
            raise Unavailable(message)


async def _one_begun_and_many_waiting(database: Database, looks: Looks, source_id: str) -> list[asyncio.Task[object]]:
    first = asyncio.create_task(looks.at(source_id))
    await asyncio.to_thread(database.begun.acquire)
    others = [asyncio.create_task(looks.at(source_id)) for _ in range(20)]
    await asyncio.sleep(0)
    database.let_go.release()
    await asyncio.wait([first])
    return [first, *others]


def test_those_who_come_during_a_reading_share_the_one_after_it() -> None:
    database = Database()
    looks = Looks(database.look)

    async def asked() -> None:
        tasks = await _one_begun_and_many_waiting(database, looks, "src_1")
        await asyncio.to_thread(database.begun.acquire)
        assert not any(task.done() for task in tasks[1:]), "told what was read before they came"
        database.let_go.release()
        await asyncio.gather(*tasks)

    asyncio.run(asked())
    assert database.readings == 2


def test_a_database_that_is_away_is_told_to_each_and_asked_again_by_the_next() -> None:
    database = Database()
    looks = Looks(database.look)

    async def asked() -> None:
        tasks = await _one_begun_and_many_waiting(database, looks, "away")
        database.let_go.release()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(each, Unavailable) for each in found)
        database.let_go.release()
        with pytest.raises(Unavailable):
            await looks.at("away")

    asyncio.run(asked())
    assert database.readings == 3


def test_one_who_gives_up_takes_nothing_from_the_others() -> None:
    database = Database()
    looks = Looks(database.look)

    async def asked() -> None:
        one, other = asyncio.create_task(looks.at("src_1")), asyncio.create_task(looks.at("src_1"))
        await asyncio.to_thread(database.begun.acquire)
        one.cancel()
        database.let_go.release()
        assert await other is None

    asyncio.run(asked())
    assert database.readings == 1
