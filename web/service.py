"""The engine as ASGI services: intake alone, or all of it with Flask in threads beside the loop."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import flask
from a2wsgi import WSGIMiddleware

from core import collector
from postback.door import PREFIX, AsyncDoor, Door, Receive, Send
from web import metrics

Asgi = Callable[[Mapping[str, Any], Receive, Send], Awaitable[None]]

# Threads for Flask in one process. Each holds at most one connection of the database's pool of 20.
THREADS = 8
# Python lets a thread that computes keep the others waiting for 5 ms by default: an export would hold up the loop, and
# the loop the writer, for that long at every turn.
SWITCH_INTERVAL_S = 0.0005


def intake(door: Door) -> Asgi:
    """Return the service for postbacks alone; /healthz and /metrics are all else that is here."""
    take = AsyncDoor(door)

    async def service(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(door, take, receive, send)
        elif scope["type"] == "http":
            if scope["path"] == "/healthz":
                await _said(send, b'{"status": "alive"}', "application/json")
            elif scope["path"] == "/metrics":
                await _said(send, await asyncio.to_thread(metrics.exposition), metrics.CONTENT_TYPE_LATEST)
            else:
                await take(scope, receive, send)

    return service


def whole(intake: Asgi, app: flask.Flask) -> Asgi:
    """Return the service for everything: `intake` on the loop, `app` in threads."""
    bridge: Any = WSGIMiddleware(app, workers=THREADS)  # type: ignore[arg-type]

    async def service(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(PREFIX):
            await bridge(scope, receive, send)
        else:
            await intake(scope, receive, send)

    return service


async def _lifespan(door: Door, take: AsyncDoor, receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            sys.setswitchinterval(SWITCH_INTERVAL_S)
            await take.warm_up()
            collector.rarely()
            collector.spare_what_is_there()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            door.close()
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _said(send: Send, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
