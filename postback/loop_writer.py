"""Group commit of an event loop: the loop itself writes what is new and plain.

Everything else goes on to the writer with its thread: a repeated key, a reversal, a source
that has moved on, rows of refusals, a statement that the database refuses.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from core import async_postgresql, async_sqlite
from core.errors import Unavailable
from core.runtime import Runtime
from postback import quick_recording, quick_sqlite
from postback.beliefs import Belief, Recorded
from postback.intake import Write
from postback.writer import BATCH_MAX, BATCHES, WAIT_S_MAX, WAITING_MAX, Writer

GATHER_S = 0.001

log = logging.getLogger(__name__)

_Record = Callable[[Sequence[Belief], Mapping[str, int]], Awaitable[dict[int, Recorded]]]
_Place = tuple[Write, "asyncio.Future[Recorded | None]"]


class LoopWriter:
    """Writes for one loop. `recorded` answers None for what the other writer has to take."""

    def __init__(self, runtime: Runtime, writer: Writer) -> None:
        self._runtime = runtime
        self._writer = writer
        is_postgresql = runtime.engine.dialect.name == "postgresql"
        connected: tuple[async_postgresql.Statements | async_sqlite.Statements, _Record] = (
            _on_postgresql(runtime, writer) if is_postgresql else _on_sqlite(runtime, writer)
        )
        self._statements, self._record = connected
        self._waiting: deque[_Place] = deque()
        self._task: asyncio.Task[None] | None = None
        # How many came with the last batch and while it was written; they are likely to come again as one.
        self._crowd = 1

    async def warm_up(self) -> None:
        """Open the loop's connection; raise Unavailable when there is none."""
        if isinstance(self._statements, async_postgresql.Statements):
            await self._statements.rows(quick_recording.CLICKS_BY_ID, {"ids": []})

    async def close(self) -> None:
        """Give the loop's connection up; it is opened again when somebody writes."""
        if isinstance(self._statements, async_sqlite.Statements):
            self._statements.close()
        else:
            await self._statements.close()

    def takes(self, write: Write) -> bool:
        """Say whether this writer is the one to ask."""
        return write.belief is not None and quick_recording.may_be_quick(write.belief)

    async def recorded(self, write: Write) -> Recorded | None:
        """Write a belief with the next batch; raise Unavailable when the line is full or the commit takes too long."""
        if len(self._waiting) >= WAITING_MAX:
            message = "too many postbacks wait to be written"
            raise Unavailable(message)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Recorded | None] = loop.create_future()
        self._waiting.append((write, future))
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run())
        # A timer of the loop, not asyncio.wait_for: that one makes a task for every postback.
        timer = loop.call_later(WAIT_S_MAX, give_up, future)
        try:
            return await future
        finally:
            timer.cancel()

    async def _run(self) -> None:
        # Once round the loop first: what has come in with the first of them goes out with it.
        await asyncio.sleep(0)
        while self._waiting:
            if len(self._waiting) < self._crowd:
                # Senders who keep their connection have the next one ready when the last is answered. Without the wait
                # half of them would always come in just behind a batch, and every batch would be half as long.
                await asyncio.sleep(GATHER_S)
            batch: list[_Place] = []
            while self._waiting and len(batch) < BATCH_MAX:
                write, future = self._waiting.popleft()
                if not future.done():
                    batch.append((write, future))
            if batch:
                BATCHES.observe(len(batch))
                await self._write(batch)
            self._crowd = min(len(batch) + len(self._waiting), BATCH_MAX)

    async def _write(self, batch: list[_Place]) -> None:
        revisions: dict[str, int] = {}
        for write, _ in batch:
            revisions[write.source_id] = max(write.revision or 0, revisions.get(write.source_id, 0))
        # Of two revisions of one source the higher is the newer: who rests on the other is looked at again.
        beliefs = [write.belief for write, _ in batch if write.belief and write.revision == revisions[write.source_id]]
        done: dict[int, Recorded] = {}
        try:
            async with asyncio.timeout(WAIT_S_MAX):
                done = await self._record(beliefs, revisions)
        except Unavailable as error:
            # Lost or refused: the other writer finds out which, with a connection of its own.
            log.warning("loop writer hands over", extra={"error": type(error.__cause__).__name__})
        except TimeoutError:
            for _, future in batch:
                give_up(future)
            return
        except Exception as error:  # noqa: BLE001 - refused by the database or by us: whose fault, the other one finds out
            log.warning("loop writer hands over", extra={"error": type(error).__name__})
        self._writer.note_uses([write.used_secret for write, _ in batch if write.used_secret is not None])
        for write, future in batch:
            if not future.done():
                future.set_result(done.get(id(write.belief)))


def _on_postgresql(runtime: Runtime, writer: Writer) -> tuple[async_postgresql.Statements, _Record]:
    statements = async_postgresql.Statements(runtime.engine)
    return statements, lambda beliefs, revisions: quick_recording.record(
        runtime, statements, beliefs, revisions, writer.ringer.ring
    )


def _on_sqlite(runtime: Runtime, writer: Writer) -> tuple[async_sqlite.Statements, _Record]:
    statements = async_sqlite.Statements(runtime.engine)
    return statements, lambda beliefs, revisions: quick_sqlite.record(
        runtime, statements, beliefs, revisions, writer.ringer.ring
    )


def give_up(future: "asyncio.Future[Any]") -> None:
    """Tell who waits for `future` that it takes too long, unless it has come meanwhile."""
    if not future.done():
        future.set_exception(Unavailable("the commit takes too long"))
