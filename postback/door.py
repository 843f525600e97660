"""The postback door, once for threads (WSGI) and once for an event loop (ASGI): both run `intake.steps`.

It stands in front of Flask: a postback needs none of it, and a Flask view costs more than the whole check.
"""

import asyncio
import logging
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from core.errors import Unavailable
from core.runtime import Runtime
from postback import intake, known, peers
from postback.answers import Answer
from postback.intake import Headers, Look, Memory, Steps, Write
from postback.known import KnownSource
from postback.looking import Looks
from postback.loop_writer import LoopWriter, give_up
from postback.receipts import Attempt
from postback.shared_rate import Exchange
from postback.writer import WAIT_S_MAX, Outcome, Ticket, Writer

PREFIX = "/postback/"
METHODS = ("GET", "POST")
ALLOW = "GET, OPTIONS, POST"
BODY_WAIT_S_MAX = 10.0
WARM_UP_S_MAX = 5.0
# One source and perhaps a token behind it.
_PATH = re.compile(r"/postback/([^/]*)(?:/([^/]*))?", re.DOTALL)

_REASONS = {
    200: "OK", 202: "Accepted", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 410: "Gone", 411: "Length Required", 413: "Content Too Large", 414: "URI Too Long",
    422: "Unprocessable Content", 429: "Too Many Requests", 503: "Service Unavailable",
}  # fmt: skip

log = logging.getLogger(__name__)

StartResponse = Callable[[str, list[tuple[str, str]]], object]
Wsgi = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Door:
    """Takes postbacks of one process. `hops` is how many proxies of our own stand in front (for the event loop).

    `processes` is how many such processes there are: what one address may do is divided among them while they cannot
    tell each other. What a source may do is not: a good postback is never refused for want of Redis.
    """

    def __init__(self, runtime: Callable[[], Runtime], *, hops: int = 0, processes: int = 1) -> None:
        self.runtime = runtime
        self.rates = Exchange(lambda: runtime().redis, lambda: runtime().clock)
        self.memory = Memory(
            sources=self.rates.buckets("source"), addresses=self.rates.buckets("address", alone_share=processes)
        )
        self.writer = Writer(runtime)
        self.hops = hops

    def close(self) -> None:
        """End the threads, once everything that waits is written."""
        self.writer.close()
        self.rates.close()

    def look(self, source_id: str) -> KnownSource | None:
        """Read a source and remember it; raise Unavailable while the database is away."""
        runtime = self.runtime()
        with runtime.reading() as session:
            found = known.load(runtime, session, source_id, now=runtime.clock())
        self.memory.known.put(source_id, found)
        return found

    def in_front_of(self, app: Wsgi) -> Wsgi:
        """Return a WSGI application that answers postbacks itself and hands everything else to `app`."""

        def whole(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            if not environ["PATH_INFO"].startswith(PREFIX):
                return app(environ, start_response)
            found = _PATH.fullmatch(environ["PATH_INFO"])
            # Not left to Flask, which logs paths: what stands behind a source may be its token.
            code, headers, body = self._answer_wsgi(environ, found) if found else not_found()
            start_response(f"{code} {_REASONS[code]}", [*headers.items(), ("Content-Length", str(len(body)))])
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

        return whole

    def _answer_wsgi(self, environ: dict[str, Any], path: "re.Match[str]") -> tuple[int, dict[str, str], bytes]:
        method = environ["REQUEST_METHOD"]
        if method not in METHODS:
            return other_method(method)
        # The bytes as they came: request.args would hide repeated names and turn bytes that are no text into some.
        query = environ.get("QUERY_STRING", "").encode("latin-1")
        answer = intake.out_of_bounds(
            method,
            query_bytes=len(query),
            content_length=environ.get("CONTENT_LENGTH"),
            transfer_encoding=environ.get("HTTP_TRANSFER_ENCODING"),
        )
        if answer is None:
            length = int(environ["CONTENT_LENGTH"]) if method == "POST" else 0
            body = environ["wsgi.input"].read(length) if length else b""
            if len(body) != length:
                # Under a static token half a body is believed like a whole one, and says another amount.
                return cut_short()
            attempt = Attempt(
                source_id=path[1],
                method=method,
                peer=environ.get("REMOTE_ADDR") or "",
                query=query,
                received_at=self.runtime().clock(),
                started=time.perf_counter(),
                body=body,
                path_token=(path[2] or "").encode("latin-1", "replace"),
            )
            answer = self.answered(attempt, lambda names: _wsgi_headers(environ, names))
        return answer.code, answer.headers, answer.body

    def answered(self, attempt: Attempt, headers: Headers) -> Answer:
        """Answer one postback in this thread, waiting for its commit."""
        steps = intake.steps(self.memory, attempt, headers)
        try:
            need = next(steps)
            while True:
                need = steps.send(self.look(need.source_id) if isinstance(need, Look) else self._written(need))
        except StopIteration as done:
            found: Answer = done.value
            return found
        except Unavailable as error:
            return intake.unavailable(error.__cause__)

    def _written(self, write: Write) -> Any:
        waiter = threading.Event()
        ticket = self.writer.submit(write, lambda _: waiter.set())
        if not waiter.wait(WAIT_S_MAX):
            ticket.is_abandoned = True
            message = "the commit takes too long"
            raise Unavailable(message)
        return _outcome(ticket.outcome)


class AsyncDoor:
    """The same door for one event loop: nothing in it waits for anything but the loop."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}
        self._quick = LoopWriter(door.runtime(), door.writer)
        self._looks = Looks(door.look)

    async def warm_up(self) -> None:
        """Make what the first postback would have to wait for: connections, compiled statements."""
        try:
            async with asyncio.timeout(WARM_UP_S_MAX):
                await self._looks.at(intake.NO_SOURCE_ID)
                await self._quick.warm_up()
        except (Unavailable, TimeoutError) as error:
            # A database that is away keeps nobody from starting: postbacks are told 503 until it is there.
            log.warning("started without the database", extra={"error": type(error.__cause__ or error).__name__})

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request whose path begins with PREFIX (ASGI 3)."""
        found = _PATH.fullmatch(scope["path"])
        if found is None:
            await _respond(send, *not_found())
            return
        method = scope["method"]
        if method not in METHODS:
            code, headers, told = other_method(method)
            await _respond(send, code, headers, b"" if method == "HEAD" else told)
            return
        query = scope["query_string"]
        sized = _headers(scope, ("content-length", "transfer-encoding")) if method == "POST" else {}
        answer = intake.out_of_bounds(
            method,
            query_bytes=len(query),
            content_length=sized.get("content-length"),
            transfer_encoding=sized.get("transfer-encoding"),
        )
        if answer is None:
            whole: bytes | None = b""
            if method == "POST":
                whole = await _body(receive, int(sized["content-length"]))
            if whole is None:
                # Half a body and then nothing: whoever sent it is not waiting for an answer either.
                await _respond(send, *cut_short())
                return
            attempt = Attempt(
                source_id=found[1],
                method=method,
                peer=self._peer(scope),
                query=query,
                received_at=self._door.runtime().clock(),
                started=time.perf_counter(),
                body=whole,
                path_token=(found[2] or "").encode("utf-8", "replace"),
            )
            answer = await self._answered(
                intake.steps(self._door.memory, attempt, lambda names: _headers(scope, names))
            )
        await _respond(send, answer.code, answer.headers, answer.body)

    async def _answered(self, steps: Steps) -> Answer:
        try:
            need = next(steps)
            while True:
                if isinstance(need, Look):
                    need = steps.send(await self._looked(need.source_id))
                else:
                    need = steps.send(await self._written(need))
        except StopIteration as done:
            found: Answer = done.value
            return found
        except Unavailable as error:
            return intake.unavailable(error.__cause__)

    async def _looked(self, source_id: str) -> KnownSource | None:
        try:
            # A database that does not even refuse holds the few threads for seconds each: nobody queues for longer.
            async with asyncio.timeout(WAIT_S_MAX):
                return await self._looks.at(source_id)
        except TimeoutError as error:
            message = "the source takes too long to read"
            raise Unavailable(message) from error

    async def _written(self, write: Write) -> Any:
        if self._quick.takes(write):
            recorded = await self._quick.recorded(write)
            if recorded is not None:
                return recorded
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        ticket = self._door.writer.submit(write, self._deliver)
        self._waiting[ticket] = future
        # A timer of the loop, not asyncio.wait_for: that one makes a task for every postback.
        timer = loop.call_later(WAIT_S_MAX, give_up, future)
        try:
            await future
        except Unavailable:
            ticket.is_abandoned = True
            raise
        finally:
            timer.cancel()
            self._waiting.pop(ticket, None)
        return _outcome(ticket.outcome)

    def _deliver(self, tickets: list[Ticket]) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake, tickets)

    def _wake(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            future = self._waiting.get(ticket)
            if future is not None and not future.done():
                future.set_result(None)

    def _peer(self, scope: Mapping[str, Any]) -> str:
        client = scope.get("client")
        connected = client[0] if client else ""
        if not self._door.hops:
            return connected
        forwarded = _headers(scope, ("x-forwarded-for",)).get("x-forwarded-for")
        return peers.of(connected, forwarded, hops=self._door.hops)


def not_found() -> tuple[int, dict[str, str], bytes]:
    """Return the answer to a path below PREFIX that names no source."""
    return 404, {"Content-Type": "application/json", "Cache-Control": "no-store"}, b'{"status": "not_found"}'


def cut_short() -> tuple[int, dict[str, str], bytes]:
    """Return the answer to a body that ends before its Content-Length."""
    return 408, {"Connection": "close", "Cache-Control": "no-store"}, b""


def other_method(method: str) -> tuple[int, dict[str, str], bytes]:
    """Return the answer to a method that records nothing: OPTIONS says which do, HEAD and all others are refused.

    HEAD is a link checker's probe; an empty 200 would look like a recorded postback in the sender's log.
    """
    if method == "OPTIONS":
        return 200, {"Allow": ALLOW, "Cache-Control": "no-store"}, b""
    headers = {"Allow": ALLOW, "Content-Type": "application/problem+json", "Cache-Control": "no-store"}
    return 405, headers, b'{"type": "/problems/method-not-allowed", "title": "Not this method", "status": 405}'


def _outcome(outcome: Outcome) -> Any:
    if isinstance(outcome, Unavailable):
        raise outcome
    return outcome


def _wsgi_headers(environ: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    keys = {name: f"HTTP_{name.upper().replace('-', '_')}" for name in names}
    return {name: environ[key] for name, key in keys.items() if key in environ}


def _headers(scope: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name in names:
            text = value.decode("latin-1")
            # Twice is once with a comma, as WSGI has it: a second signature header is none of its own.
            found[name] = f"{found[name]},{text}" if name in found else text
    return found


async def _body(receive: Receive, length: int) -> bytes | None:
    """Return the whole body, None when the sender has gone or sends it too slowly."""
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(BODY_WAIT_S_MAX):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        return None
    body = b"".join(parts)
    return body if len(body) == length else None


# Nearly every answer has the same headers.
@lru_cache(maxsize=256)
def _raw(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.lower().encode(), value.encode("latin-1")) for name, value in headers)


async def _respond(send: Send, code: int, headers: Mapping[str, str], body: bytes) -> None:
    raw = [*_raw(tuple(headers.items())), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": code, "headers": raw})
    await send({"type": "http.response.body", "body": body})
