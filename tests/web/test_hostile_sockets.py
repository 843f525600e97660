"""Hostile bytes on real sockets: no 5xx of ours, no forged row, no broken line in the log, and a good one goes in."""

import contextlib
import os
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.runtime import Runtime
from tests.postback.conftest import Stored
from tests.processes import gunicorn
from tests.raw_http import ask, codes, connected, request
from tests.web.served import Network, broken, new_network, stored

__all__ = ["new_network", "stored"]

# HOSTILE_REQUESTS=50000 sends that many to each of both databases; a few minutes for each ten thousand.
REQUESTS = int(os.environ.get("HOSTILE_REQUESTS", "1500"))
SENDERS = 16
IDLE_S = 0.5
LAST = request("/healthz")
# RFC 9112 section 6.1: a transfer coding that nobody knows, and a version of HTTP that is none of ours.
NOT_OURS = {501, 505}

METHODS = ["HEAD", "OPTIONS", "PUT", "TRACE", "CONNECT", "PRI", "get", "G\x00T", "", "A" * 300]
VERSIONS = ["HTTP/1.0", "HTTP/2.0", "HTTP/9.9", "HTTP/1.1 ", "http/1.1", "", "HTTP/1.1\x00", "ICY/1.0"]
ENDS = ["\n", "\r", "\r\r\n", "\n\r", "\x00\r\n"]
PLAIN = ["click_id=C1", "transaction_id=T1", "payout=1.00", "currency=EUR", "ts=1793610000", "sig=" + "0" * 64]
PARTS = [
    "click_id=C1", "transaction_id=T1", "payout=1.00", "currency=EUR", "ts=1793610000", "sig=" + "0" * 64, "sig=",
    "%00", "%ff%fe", "%", "%zz", "\x00", "\xff", "\u00e9", "&&", "#", " ", "a" * 3000, "'--", "{{7*7}}", "..%2f..",
    "\t", "\x7f",
]  # fmt: skip
HEADERS = [
    "Host: localhost", "Host: a\r\nHost: b", "Host:", "Content-Length: 5", "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 5, 5", "Content-Length: +5", "Content-Length: 0x5", "Content-Length: -1",
    "Content-Length: 99999999999999999999", "Content-Length : 5", "Content-Length:", "Content_Length: 5",
    "Transfer-Encoding: chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding:\tchunked", "Transfer-Encoding: \x0bchunked", " folded: 1", "X: 1\r\n folded", "\tX: 1",
    ": empty", "no colon", "X\x00Y: 1", "X: \x00", "X: \xff\xfe", "X: " + "y" * 9000, "X-" + "z" * 9000 + ": 1",
    "Expect: 100-continue", "Expect: something", "Connection: keep-alive", "Connection: close",
    "Connection: upgrade\r\nUpgrade: websocket", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ",
    "X-Forwarded-For: 127.0.0.1", 'X-Forwarded-For: "', "X-Forwarded-Proto: https", "X-Forwarded-Host: \xe9",
    "Forwarded: for=127.0.0.1", "X-Request-ID: \xff", "Cookie: session=\x01; a=b", "Authorization: Bearer \xff",
    "Authorization: Basic Og==", "Accept: text/html", "Content-Type: application/json",
    "Content-Type: multipart/form-data; boundary=x", "Content-Encoding: gzip", "Range: bytes=0-",
    "webhook-id: m\r\nwebhook-timestamp: 1793610000\r\nwebhook-signature: v1,AAAA", "If-None-Match: \xff",
    "Idempotency-Key: \x01",
]  # fmt: skip
BODIES = [
    b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhel", b"zz\r\nhello\r\n0\r\n\r\n", b"-1\r\n\r\n",
    b"5;ext=\x00\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffff\r\n", b"0\r\nX: y\r\n\r\n",
    b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 3000, b"{" * 20000, b"5\nhello\n0\n\n",
    b"05\r\nhello\r\n0\r\n\r\n", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n',
]  # fmt: skip
OTHER_TARGETS = [
    "/", "*", "/healthz", "/metrics", "/session", "/api/v1/receipts", "/api/v1/sources", "/api/v1/network-reports",
    "/console", "/c/CAMPAIGN/AFFILIATE", "//postback/src_none", "/postback/", "/postback/src_none",
    "/postback/%2e%2e/healthz", "http://other/postback/src_none", "/postback/\xe9", "/postback/%ff", "/%ff", "/\xff",
    "/openapi.json", "/static/..%2f..%2fetc/passwd", "other:443", "",
]  # fmt: skip


def one(dice: random.Random, targets: list[str]) -> bytes:
    """Return the bytes of one request that nobody signed: well formed but for some parts, and sometimes for none."""

    def odd(ordinary: str, others: list[str]) -> str:
        return dice.choice(others) if dice.random() < oddity else ordinary

    oddity = dice.choice([0.0, 0.1, 0.1, 0.3, 0.9])
    target = dice.choice(targets)
    if dice.random() < 0.6:
        target += "?" + "&".join(odd(dice.choice(PLAIN), PARTS) for _ in range(dice.randrange(6)))
    if dice.random() < 0.02:
        target += "x" * 9000
    method, body = odd(dice.choice(["GET", "GET", "POST"]), METHODS), dice.choice(BODIES)
    lines = [f"{method} {target} {odd('HTTP/1.1', VERSIONS)}", odd("Host: localhost", HEADERS)]
    if method == "POST" or body:
        lines.append(odd(f"Content-Length: {len(body)}", HEADERS))
    lines += [line for line in dice.choices(HEADERS, k=5) if dice.random() < oddity]
    end = odd("\r\n", ENDS)
    raw = (end.join(lines) + end + end).encode("latin-1", "replace") + body
    if dice.random() < oddity / 5:
        raw = raw[: dice.randrange(len(raw) + 1)]
    if raw and dice.random() < oddity / 5:
        spoiled = bytearray(raw)
        for _ in range(dice.randrange(1, 6)):
            spoiled[dice.randrange(len(spoiled))] = dice.randrange(256)
        raw = bytes(spoiled)
    return raw


def fire(url: str, seed: int, count: int, targets: list[str]) -> Counter[int]:
    """Send `count` requests, some of them one behind the other on a connection, and count the answers' codes."""
    dice, said, sent = random.Random(seed), Counter[int](), 0  # noqa: S311 - chooses what to send
    while sent < count:
        together = [one(dice, targets) for _ in range(dice.choice([1, 1, 1, 2, 4]))]
        sent += len(together)
        with connected(url) as wire, contextlib.suppress(ConnectionError, TimeoutError):
            # Who keeps in step answers the last one and closes; who waits for more of an earlier one is not waited for.
            wire.settimeout(IDLE_S)
            wire.sendall(b"".join(together) + LAST)
            if dice.random() < 0.05:
                continue  # away before an answer
            raw = bytearray()
            try:
                while got := wire.recv(65536):
                    raw += got
            finally:
                said.update(codes(bytes(raw)) or [0])
    return said


def test_hostile_bytes_on_the_wire_are_never_believed_and_break_nothing(
    environment: dict[str, str],
    new_network: Callable[..., Network],
    stored: Stored,
    runtime: Runtime,
    tmp_path: Path,
) -> None:
    # An address with no proof is soon told to wait; the allowlist refuses it at once and counts no less.
    networks = [new_network(), new_network(scheme="sw1"), new_network(scheme="token", allowlist=["192.0.2.0/24"])]
    targets = OTHER_TARGETS + [network.path for network in networks] * 6 + [f"{networks[2].path}/guess"] * 3

    with gunicorn(environment, tmp_path, workers=2) as (url, _):
        with ThreadPoolExecutor(SENDERS) as threads:
            each = REQUESTS // SENDERS + 1
            said = sum(threads.map(lambda seed: fire(url, seed, each, targets), range(SENDERS)), Counter[int]())
        good = ask(url, request(networks[0].target("GOOD")))
        faults = broken(tmp_path)

    print(f"{runtime.engine.dialect.name}: {SENDERS * each} sent, answers by status: {sorted(said.items())}")  # noqa: T201
    assert {code for code in said if code >= 500} - NOT_OURS == set()
    assert said[400] > 100
    assert said[401] + said[429] > 50
    assert faults == []
    assert good.code == 200
    assert [row.transaction_id for row in stored.conversions()] == ["GOOD"]
    assert {receipt.verdict for receipt in stored.receipts() if receipt.conversion_id is None} <= {"refused"}
