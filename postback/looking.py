"""Reading a source for a loop: many postbacks that ask at once share one reading."""

import asyncio
from collections.abc import Callable

from postback.known import KnownSource


class Looks:
    """Reads sources in threads. Who asks is told what the database said at that moment or later, never before.

    So nobody joins a reading that has begun: all who come meanwhile share the one after it. Without that, every
    connection of a process that has just started reads the same source in a thread of its own.
    """

    def __init__(self, look: Callable[[str], KnownSource | None]) -> None:
        self._look = look
        self._begun: dict[str, asyncio.Task[KnownSource | None]] = {}
        self._next: dict[str, asyncio.Task[KnownSource | None]] = {}

    async def at(self, source_id: str) -> KnownSource | None:
        """Return the source; raise Unavailable while the database is away."""
        task = self._next.get(source_id)
        if task is None:
            task = self._next[source_id] = asyncio.create_task(self._read(source_id, self._begun.get(source_id)))
        # Whoever gives up takes nothing away from the others.
        return await asyncio.shield(task)

    async def _read(self, source_id: str, before: "asyncio.Task[KnownSource | None] | None") -> KnownSource | None:
        if before is not None:
            await asyncio.wait([before])
        task = self._begun[source_id] = self._next.pop(source_id)
        try:
            return await asyncio.to_thread(self._look, source_id)
        finally:
            if self._begun.get(source_id) is task:
                del self._begun[source_id]
