"""One SQLite connection of an event loop, for the loop that takes postbacks.

Its statements run on the loop itself: each lets go of the interpreter's lock for every row, and a thread that had to
take it back from a busy loop each time needed twice the processor time (docs/decisions/0006). What may take long does
not hold up the loop: the turn and the write lock are waited for without it, and the commit, which waits for the disk,
runs in a thread.
"""

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from core.database import prepare_sqlite, turn_file
from core.errors import Unavailable

# How long is slept while somebody outside the line holds the write lock: a stage of the worker, a page that writes.
LOCKED_WAIT_S = 0.002
# Busy and locked; the lowest byte of what SQLite calls its extended codes.
_TAKEN = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class Statements:
    """A connection that is opened when it is first needed, and again after it failed."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._connection: sqlite3.Connection | None = None
        self._file: IO[bytes] | None = None

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[sqlite3.Cursor]:
        """Open a transaction that may write; committed when the block ends well.

        Raise Unavailable when the database cannot be opened or written: nothing was stored then. What it refuses for
        the rows' sake is raised as sqlite3 raises it.
        """
        try:
            async with self._turn():
                cursor = await self._begun()
                try:
                    yield cursor
                    await _finished(asyncio.to_thread(cursor.connection.commit))
                finally:
                    if cursor.connection.in_transaction:
                        cursor.connection.rollback()
        except (sqlite3.OperationalError, OSError) as error:
            self.close()
            message = f"the database does not answer just now ({type(error).__name__})"
            raise Unavailable(message) from error
        except (asyncio.CancelledError, sqlite3.ProgrammingError):
            self.close()
            raise

    def close(self) -> None:
        """Give the connection up."""
        connection, self._connection = self._connection, None
        file, self._file = self._file, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
        if file is not None:
            file.close()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Stand in the line in which all writers of postbacks stand (core.database.writers_turn)."""
        if self._file is None:
            self._file = turn_file(self._engine).open("ab")
        file = self._file
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if not file.closed:
                fcntl.flock(file, fcntl.LOCK_UN)

    async def _begun(self) -> sqlite3.Cursor:
        if self._connection is None:
            self._connection = _opened(Path(str(self._engine.url.database)))
        cursor = self._connection.cursor()
        while True:
            try:
                return cursor.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _TAKEN:
                    raise
            await asyncio.sleep(LOCKED_WAIT_S)


def _opened(path: Path) -> sqlite3.Connection:
    # Never made here: a file that has gone is a database that is away, not an empty one.
    address = f"{path.resolve().as_uri()}?mode=rw"
    connection = sqlite3.connect(address, uri=True, check_same_thread=False, timeout=0)
    prepare_sqlite(connection, busy_timeout_ms=0)
    return connection


async def _finished(work: Coroutine[Any, Any, None]) -> None:
    """Wait for `work` to its end, even when whoever waits gives up: nobody may touch the connection meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
