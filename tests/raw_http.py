"""HTTP as bytes on a socket: for what no well-behaved client would send."""

import contextlib
import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT_S = 20


@dataclass(frozen=True)
class Reply:
    """What came back: the status codes of all responses on the connection, and every byte."""

    codes: list[int]
    raw: bytes

    @property
    def code(self) -> int | None:
        """The first status, None when the connection was closed without one."""
        return self.codes[0] if self.codes else None


def connected(url: str) -> socket.socket:
    """Open a connection to the server at `url`."""
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=TIMEOUT_S)


def ask(url: str, *pieces: bytes, closes: bool = False) -> Reply:
    """Send `pieces` one after the other, then read until the server closes.

    A request should ask for `Connection: close`. `closes` ends our own side first, as a sender does who dies.
    """
    with connected(url) as wire:
        # The server may answer and close before it has taken everything.
        with contextlib.suppress(ConnectionError):
            for number, piece in enumerate(pieces):
                if number:
                    time.sleep(0.02)
                wire.sendall(piece)
            if closes:
                wire.shutdown(socket.SHUT_WR)
        raw = bytearray()
        with contextlib.suppress(ConnectionError):
            while got := wire.recv(65536):
                raw += got
    return Reply(codes(bytes(raw)), bytes(raw))


def request(target: str, *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
    """Return a request that asks for the connection to be closed; `lines` are header lines as they shall stand."""
    head = [f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "Connection: close", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def codes(raw: bytes) -> list[int]:
    """Return the status of every response in `raw`; those of 100 are none."""
    found = []
    for line in raw.split(b"\r\n"):
        # A body of ours may stand right before the next response's first line.
        _, version, rest = line.rpartition(b"HTTP/1.")
        if version and rest[2:5].isdigit() and rest[2:5] != b"100":
            found.append(int(rest[2:5]))
    return found
