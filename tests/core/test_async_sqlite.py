"""The event loop's own SQLite connection: it waits without the loop, and leaves the line whatever happens."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.async_sqlite import Statements
from core.database import connect, writers_turn
from core.errors import Unavailable

PATIENCE_S = 20


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """Return an engine on a file with one table, and dispose of it."""
    found = connect(f"sqlite:///{tmp_path}/a.sqlite")
    with found.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE words (word TEXT UNIQUE)")
    yield found
    found.dispose()


def words(engine: sa.Engine) -> list[str]:
    """Return what another connection finds."""
    with engine.connect() as connection:
        return [row[0] for row in connection.exec_driver_sql("SELECT word FROM words ORDER BY word")]


async def insert(statements: Statements, *words: str) -> None:
    """Insert words in a transaction."""
    async with statements.writing() as cursor:
        for word in words:
            cursor.execute("INSERT INTO words VALUES (?)", [word])


@contextmanager
def write_lock(engine: sa.Engine) -> Iterator[None]:
    """Hold SQLite's write lock, as a stage of the worker does."""
    with closing(sqlite3.connect(str(engine.url.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()


def test_what_is_inserted_is_committed_and_durable_as_elsewhere(engine: sa.Engine) -> None:
    statements = Statements(engine)

    async def play() -> tuple[int, ...]:
        await insert(statements, "one")
        async with statements.writing() as cursor:
            return tuple(cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "foreign_keys"))

    assert asyncio.run(play()) == (2, 1)  # FULL, ON
    assert words(engine) == ["one"]
    statements.close()


def test_a_refused_row_rolls_all_of_its_transaction_back_and_the_next_one_works(engine: sa.Engine) -> None:
    statements = Statements(engine)

    async def play() -> None:
        await insert(statements, "one")
        with pytest.raises(sqlite3.IntegrityError):
            await insert(statements, "two", "one")
        await insert(statements, "three")

    asyncio.run(play())
    assert words(engine) == ["one", "three"]
    statements.close()


@pytest.mark.parametrize("holder", [write_lock, writers_turn])
def test_the_loop_goes_on_while_another_writes(engine: sa.Engine, holder: object) -> None:
    statements = Statements(engine)

    async def play() -> None:
        await insert(statements, "one")
        with holder(engine):  # type: ignore[operator]
            waiting = asyncio.create_task(insert(statements, "two"))
            for _ in range(10):  # the loop turns: blocked, it would never come here
                await asyncio.sleep(0.005)
            assert not waiting.done()
        await asyncio.wait_for(waiting, PATIENCE_S)

    asyncio.run(play())
    assert words(engine) == ["one", "two"]
    statements.close()


@pytest.mark.parametrize("holder", [write_lock, writers_turn])
def test_who_gives_up_waiting_leaves_the_line(engine: sa.Engine, holder: object) -> None:
    statements = Statements(engine)

    async def play() -> None:
        with holder(engine):  # type: ignore[operator]
            waiting = asyncio.create_task(insert(statements, "lost"))
            await asyncio.sleep(0.02)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await asyncio.wait_for(insert(statements, "next"), PATIENCE_S)

    asyncio.run(play())
    with writers_turn(engine):  # it is free for other processes
        assert words(engine) == ["next"]
    statements.close()


def test_a_file_that_has_gone_is_a_database_that_is_away_and_not_an_empty_one(engine: sa.Engine) -> None:
    path = Path(str(engine.url.database))
    kept = path.rename(path.with_suffix(".kept"))
    statements = Statements(engine)

    async def play() -> None:
        with pytest.raises(Unavailable):
            await insert(statements, "one")
        assert not path.exists()  # noqa: ASYNC240
        kept.rename(path)
        await insert(statements, "two")

    asyncio.run(play())
    assert words(engine) == ["two"]
    statements.close()
