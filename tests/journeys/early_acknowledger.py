"""The control of test_kill.py: our application behind a door that acknowledges before the commit.

It answers 200 as soon as a postback is in memory and lets a thread do the real intake. This is the design the kill test
must be able to convict: acknowledged postbacks die with the worker.
"""

import io
import queue
import threading
from collections.abc import Iterable
from typing import Any

from wsgi import app as durable_app

_waiting: "queue.Queue[dict[str, Any]]" = queue.Queue()
_started = threading.Lock()


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Acknowledge a postback at once; pass everything else on."""
    if not environ["PATH_INFO"].startswith("/postback/"):
        return durable_app(environ, start_response)
    _ensure_drain()
    later = {name: value for name, value in environ.items() if not name.startswith(("wsgi.", "gunicorn.", "werkzeug."))}
    _waiting.put(later)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b'{"status": "accepted"}']


def _ensure_drain() -> None:
    # Once a worker process: the thread must be born after the fork.
    if _started.acquire(blocking=False):
        threading.Thread(target=_drain, daemon=True).start()


def _drain() -> None:
    while True:
        environ = _waiting.get() | {
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "http",
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for _ in durable_app(environ, lambda *_: lambda _: None):
            pass
