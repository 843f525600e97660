"""What the servers cost without any work: a bare WSGI callable, and the same in Flask."""

from collections.abc import Callable, Iterable

import flask

app = flask.Flask(__name__)


@app.get("/hello")
def hello() -> str:
    """Answer at once."""
    return "hello"


def bare(_environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer at once, without a framework."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
