"""Group commit: one thread commits all that waits in one transaction, and tells each waiter what came of it.

While one batch commits the next one gathers, so the batches grow with the load and a commit's cost is shared by all
in it. Measured against a commit a postback: bench/results.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Histogram

from core.database import is_worth_repeating, writers_turn
from core.doorbell import Ringer
from core.errors import Unavailable
from core.runtime import Runtime
from postback import known, receipts, recording, use_of_secrets
from postback.beliefs import Recorded
from postback.intake import Kept, Write

BATCH_MAX = 256
# More than this would wait longer than a sender does: the next one hears 503 at once.
WAITING_MAX = 4000
WAIT_S_MAX = 5.0
DEADLOCK_TRIES = 4

BATCHES = Histogram("clickledger_intake_batch", "Postbacks a commit.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256))

log = logging.getLogger(__name__)

Outcome = Recorded | Kept | Unavailable | None
Deliver = Callable[[list["Ticket"]], None]


@dataclass(slots=True, eq=False)
class Ticket:
    """A place in the line. `outcome` counts once `deliver` was called; an abandoned one is not begun any more."""

    write: Write
    deliver: Deliver
    asked_at: float
    outcome: Outcome = None
    is_abandoned: bool = False


class Writer:
    """The one thread of a process that writes postbacks; started with the first of them, as workers fork."""

    def __init__(self, runtime: Callable[[], Runtime]) -> None:
        self._runtime = runtime
        self.ringer = Ringer(lambda: runtime().redis)
        self._uses = use_of_secrets.Uses()
        self._waiting: deque[Ticket] = deque()
        self._lock = threading.Lock()
        self._asked = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._is_closed = True
        self._asked.set()
        if self._thread is not None:
            self._thread.join(WAIT_S_MAX)
        self.ringer.close()

    def submit(self, write: Write, deliver: Deliver) -> Ticket:
        """Take a place in the line; raise Unavailable when it is full. `deliver` is called from the writer's thread."""
        if len(self._waiting) >= WAITING_MAX:
            message = "too many postbacks wait to be written"
            raise Unavailable(message)
        ticket = Ticket(write, deliver, time.monotonic())
        self._waiting.append(ticket)
        if self._thread is None:
            self._start()
        # Asking who is awake already would cost more than looking whether he is.
        if not self._asked.is_set():
            self._asked.set()
        return ticket

    def note_uses(self, uses: Sequence[tuple[str, datetime]]) -> None:
        """Keep when secrets were last used, where that is due; nobody waits for it."""
        for used in self._uses.due(uses).items():
            with suppress(Unavailable):
                self.submit(Write("", None, used_secret=used), _nobody)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="intake-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._asked.wait()
            # Cleared before the line is looked at: who comes between the two is seen now or wakes us again.
            self._asked.clear()
            while self._waiting:
                batch = self._taken()
                if batch:
                    BATCHES.observe(len(batch))
                    self._commit(batch)
                    _deliver(batch)
            if self._is_closed:
                return

    def _taken(self) -> list[Ticket]:
        """Return who stands first in the line, without those who have left or have waited too long."""
        batch: list[Ticket] = []
        oldest = time.monotonic() - WAIT_S_MAX
        while self._waiting and len(batch) < BATCH_MAX:
            ticket = self._waiting.popleft()
            if not ticket.is_abandoned and ticket.asked_at >= oldest:
                batch.append(ticket)
        return batch

    def _commit(self, batch: list[Ticket]) -> None:
        """Commit `batch`, or as much of it as can be: one row that the database refuses must not fail the others."""
        try:
            outcomes = self._written([ticket.write for ticket in batch])
        except Unavailable as error:
            for ticket in batch:
                ticket.outcome = error
        except Exception as error:  # noqa: BLE001 - told to whoever waits, or the writer would end for everybody
            if len(batch) == 1:
                # Our mistake, whatever it is. The class alone: the driver's text may quote the postback.
                log.error("postback not written", extra={"error": type(error).__name__})  # noqa: TRY400
                batch[0].outcome = Unavailable("this postback could not be written")
                return
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                # Who has left meanwhile is not begun again: seals rest on no receipt being written long after its time.
                waiting = [ticket for ticket in half if not ticket.is_abandoned]
                if waiting:
                    self._commit(waiting)
        else:
            for ticket, outcome in zip(batch, outcomes, strict=True):
                ticket.outcome = outcome

    def _written(self, writes: Sequence[Write]) -> list[Recorded | Kept | None]:
        for _ in range(1, DEADLOCK_TRIES):
            try:
                return self._write(writes)
            except Unavailable as error:
                if not is_worth_repeating(error.__cause__):
                    raise
        return self._write(writes)

    def _write(self, writes: Sequence[Write]) -> list[Recorded | Kept | None]:
        runtime = self._runtime()
        try:
            with writers_turn(runtime.engine), runtime.transaction(ring=self.ringer.ring) as session:
                moved = _moved(known.revisions(session, _source_ids(writes)), writes)
                good = [write for write in writes if id(write) not in moved]
                recorded = iter(
                    recording.record(runtime, session, [write.belief for write in good if write.belief is not None])
                )
                receipts.write(session, [write.row for write in good if write.row is not None])
                uses = self._uses.due([write.used_secret for write in good if write.used_secret is not None])
                use_of_secrets.note(session, uses)
        except OSError as error:
            # The file that SQLite's writers line up at: a full or read-only disk, as the database's own would be.
            message = "there is no room to write"
            raise Unavailable(message) from error
        self._uses.noted(uses)
        return [
            None if id(write) in moved else next(recorded) if write.belief is not None else Kept() for write in writes
        ]


def _source_ids(writes: Sequence[Write]) -> list[str]:
    return sorted({write.source_id for write in writes if write.revision is not None})


def _moved(revisions: dict[str, int], writes: Sequence[Write]) -> set[int]:
    """Return, by identity, the writes that rest on a source's earlier revision."""
    return {
        id(write) for write in writes if write.revision is not None and revisions.get(write.source_id) != write.revision
    }


def _nobody(_tickets: list[Ticket]) -> None:
    """Tell nobody."""


def _deliver(batch: list[Ticket]) -> None:
    """Tell the waiters, each event loop once."""
    by_waiter: dict[Deliver, list[Ticket]] = {}
    for ticket in batch:
        by_waiter.setdefault(ticket.deliver, []).append(ticket)
    for deliver, tickets in by_waiter.items():
        try:
            deliver(tickets)
        except Exception as error:  # noqa: BLE001 - a waiter that is gone must not end the writer
            log.warning("nobody to tell", extra={"error": type(error).__name__})
