"""One PostgreSQL connection of an event loop, each statement a transaction of its own.

For the loop that takes postbacks. A thread with a connection of the pool did the same before: the two handed the
interpreter's lock to and fro, which cost a postback more than its own check (docs/decisions/0006).
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import psycopg
import sqlalchemy as sa

from core.database import CONNECT_TIMEOUT_S
from core.errors import Unavailable


class Statements:
    """A connection that is opened when it is first needed, and again after it was lost."""

    def __init__(self, engine: sa.Engine) -> None:
        self._address = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows.

        Raise Unavailable when the connection is lost or none can be had: whether the statement was done is unknown
        then. What the database itself refuses is raised as psycopg raises it.
        """
        try:
            if self._connection is None:
                self._connection = await psycopg.AsyncConnection.connect(
                    self._address, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
                )
            cursor = await self._connection.execute(statement, parameters)
            return await cursor.fetchall()
        except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
            await self.close()
            message = f"the database does not answer just now ({type(error).__name__})"
            raise Unavailable(message) from error
        except asyncio.CancelledError:
            # Half a statement may be on the wire: nobody may send another one behind it.
            await self.close()
            raise

    async def close(self) -> None:
        """Give the connection up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
