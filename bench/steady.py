"""Open-loop load: postbacks leave at their moment whether or not the server keeps up, so waiting shows as latency."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

# Enough for every postback under way at the rates here; more waiting than this shows as latency anyhow.
CONNECTIONS = 64
TICK_S = 0.005


@dataclass
class Answers:
    """What came back in one stretch of time: latencies in seconds since each postback was due, and what went wrong."""

    latencies_s: list[float] = field(default_factory=list)
    refused: int = 0
    broken: int = 0


class _Connection(asyncio.Protocol):
    """One kept-alive connection with at most one request under way."""

    def __init__(self, sender: "Sender") -> None:
        self.sender = sender
        self.transport: asyncio.Transport | None = None
        self.due: float | None = None
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self.transport = transport
        self.sender.is_free(self)

    def send(self, request: bytes, due: float) -> None:
        """Send what was due at `due`."""
        self.due, self.received = due, b""
        if self.transport is not None:
            self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head) or self.due is None:
            return
        self.sender.answered(head.startswith(b"HTTP/1.1 2"), self.due)
        self.due = None
        self.sender.is_free(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's interface
        self.sender.is_lost(self)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


class Sender:
    """Sends `per_second` postbacks a second; `answers` collects until somebody takes it."""

    def __init__(self, port: int, per_second: float, next_target: Callable[[], str]) -> None:
        self.port, self.per_second, self.next_target = port, per_second, next_target
        self.answers = Answers()
        self._connections = 0
        self._free: deque[_Connection] = deque()
        self._waiting: deque[float] = deque()
        self._is_over = False
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float) -> None:
        """Send for `seconds`, then wait a moment for the last answers."""
        started = time.monotonic()
        due = 0
        while (elapsed := time.monotonic() - started) < seconds:
            wanted = int(elapsed * self.per_second) + 1  # the first is due at once
            for number in range(due, wanted):
                self._waiting.append(started + number / self.per_second)
            due = wanted
            self._send_waiting()
            await asyncio.sleep(TICK_S)
        await asyncio.sleep(1)
        self._is_over = True
        for connection in list(self._free):
            if connection.transport is not None:
                connection.transport.close()

    def take(self) -> Answers:
        """Return what has come back since the last time."""
        taken, self.answers = self.answers, Answers()
        return taken

    def answered(self, is_good: bool, due: float) -> None:  # noqa: FBT001 - one caller, beside it
        """Note an answer."""
        self.answers.latencies_s.append(time.monotonic() - due)
        self.answers.refused += not is_good

    def is_free(self, connection: _Connection) -> None:
        """Take a connection back, and use it at once if something is due."""
        self._free.append(connection)
        self._send_waiting()

    def is_lost(self, connection: _Connection) -> None:
        """Note a closed connection; servers close idle ones, and that is no fault."""
        self._connections -= 1
        if connection.due is not None and not self._is_over:
            self.answers.broken += 1
        if connection in self._free:
            self._free.remove(connection)

    def _send_waiting(self) -> None:
        while self._free and self._waiting:
            request = f"GET {self.next_target()} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            # The one used last: others may fall idle and be closed, as they do between a network and its target.
            self._free.pop().send(request.encode(), self._waiting.popleft())
        for _ in range(min(len(self._waiting), CONNECTIONS - self._connections)):
            self._connections += 1
            task = asyncio.ensure_future(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: _Connection(self), "127.0.0.1", self.port)
        except OSError:
            self._connections -= 1
            self.answers.broken += 1


def numbered(make: Callable[[str], str], run: str) -> Callable[[], str]:
    """Return a function that makes one target after the other, with transaction ids of this `run`."""

    def targets() -> Iterator[str]:
        number = 0
        while True:
            number += 1
            yield make(f"TXN-{run}-{number:09}")

    found = targets()
    return lambda: next(found)
