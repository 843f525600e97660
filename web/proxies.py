"""The sender's address, when proxies of our own stand in front of a server with threads."""

from collections.abc import Callable, Iterable
from typing import Any

from postback import peers

Wsgi = Callable[..., Iterable[bytes]]


def in_front_of(app: Wsgi, *, hops: int) -> Wsgi:
    """Return `app` with REMOTE_ADDR as the outermost of `hops` proxies saw it."""

    def corrected(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["REMOTE_ADDR"] = peers.of(
            environ.get("REMOTE_ADDR") or "", environ.get("HTTP_X_FORWARDED_FOR"), hops=hops
        )
        return app(environ, start_response)

    return corrected
