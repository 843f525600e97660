"""Tens of thousands of hostile requests: nothing is believed or breaks, and a good postback is still taken."""

import base64
import hashlib
import hmac
import io
import logging
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import flask
import pytest

from core.runtime import Runtime
from partners import sources
from partners.sources import NewSource
from postback.schemes.base import Request
from postback.schemes.generic import body1, pb1, stripe1, sw1
from tests.postback.conftest import TESTS, Network, Stored

# A refusal looks its source up, which costs PostgreSQL four times what it costs SQLite.
REQUESTS = {"sqlite": 40_000, "postgresql": 6_000}
KEY = bytes(range(32))
BODY = b'{"click_id":"ABC123","currency":"GBP","payout":"0.50","transaction_id":"TXN789"}'
PIECES = [
    b"click_id=C1", b"transaction_id=T1", b"payout=1.00", b"currency=GBP", b"ts=1793610000", b"sig=" + b"0" * 64,
    b"sig=" + b"f" * 64, b"sig=", b"%00", b"%ff%fe", b"%", b"%zz", b"=", b"&&&", b";", b"a" * 3000, b"\x00",
    b"\xc3\x28",
    b"' OR 1=1--", b"{{7*7}}", b"../../etc/passwd", b"$ne=1", b"ts=99999999999", b"payout=-1", b"payout=1e9", b"+",
]  # fmt: skip
BODIES = [
    b"", b"{", b"[" * 20_000, b'{"a":1e999999}', b'{"a":NaN}', b'{"a":1,"a":2}', b'{"\\ud800":1}', b'{"\\u0000":"x"}',
    b"\xff" * 500, BODY, b"null", b"a=1&a=2", b"0" * 5000,
]  # fmt: skip


def hostile(dice: random.Random, paths: list[str]) -> tuple[str, str, bytes, dict[str, str], bytes]:
    """Return method, path, query, headers and body of one request that nobody signed."""
    query = b"&".join(dice.choice(PIECES) for _ in range(dice.randrange(7)))
    method = dice.choice(["GET", "GET", "POST", "POST", "HEAD", "OPTIONS", "PUT", "DELETE"])
    headers = {
        "webhook-id": dice.choice(["", "msg_1", "é", "a.b", "x" * 300]),
        "webhook-timestamp": dice.choice(["1793610000", "-1", "1e9", "", "9" * 400]),
        "webhook-signature": dice.choice(["v1,AAAA", "v1," + base64.b64encode(bytes(32)).decode(), "é", "v2,x " * 50]),
        "stripe-signature": dice.choice(["t=1,v1=" + "0" * 64, "t=1,t=2", "v1=", ",,,=", "t=1793610000,v1=é"]),
        "x-signature": dice.choice(["", "sha256=" + "0" * 64, "sha256=zz", "\xff"]),
        "X-Forwarded-For": dice.choice(["127.0.0.1", "", '"', "::1, 10.0.0.1"]),
    }
    return method, dice.choice(paths), query, headers, dice.choice(BODIES)


def test_tens_of_thousands_of_hostile_requests_are_never_believed_and_break_nothing(
    app: flask.Flask,
    runtime: Runtime,
    new_network: Callable[..., Network],
    stored: Stored,
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = new_network()
    others = [
        NewSource("By sw1", "sw1"),
        NewSource("By stripe1", "stripe1"),
        NewSource("By body1", "body1", options={"header": "x-signature", "encoding": "hex", "prefix": "sha256="}),
        NewSource("By token", "token", options={"parameter": "sig"}, allowlist=["198.18.0.0/16"]),
    ]
    with runtime.transaction() as session:
        made = [sources.create(runtime, session, new, actor=TESTS)[0].id for new in others]
    paths = [f"/postback/{each}" for each in (network.source_id, *made)] + [
        "/postback/", "/postback/src_none", "/postback/\x00", "/postback/é", "/postback/" + "a" * 400,
        f"/postback/{network.source_id}/token/more", "/postback/..//",
    ]  # fmt: skip
    dice = random.Random(20261102)  # noqa: S311 - chooses what to send
    codes: Counter[int] = Counter()

    count = REQUESTS[runtime.engine.dialect.name]
    for number in range(count):
        peer = f"198.18.{number // 250 % 256}.{number % 250}"
        codes[answer(app, hostile(dice, paths), peer)] += 1

    assert {code for code in codes if code >= 500} == set()
    assert codes[401] > count // 4
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert (stored.conversions(), stored.events()) == ([], [])
    assert {receipt.verdict for receipt in stored.receipts()} == {"refused"}
    assert network.send().json["status"] == "unmatched"


def answer(app: flask.Flask, told: tuple[str, str, bytes, dict[str, str], bytes], peer: str) -> int:
    """Send straight into the WSGI door, as a server would hand it over, and return the status."""
    method, path, query, headers, body = told
    said: list[str] = []
    reader: Any = io.BytesIO(body)
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path.encode().decode("latin-1"), "QUERY_STRING": query.decode("latin-1"),
        "CONTENT_LENGTH": str(len(body)), "REMOTE_ADDR": peer, "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "wsgi.input": reader, "wsgi.url_scheme": "http",
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }  # fmt: skip
    start: Any = lambda status, _headers: said.append(status)  # noqa: E731 - typed as loosely as a server calls it
    list(app.wsgi_app(environ, start))
    return int(said[0][:3])


def proven(scheme: Any, request: Request, key: bytes) -> bool:
    """Say whether the request is believed under `key`."""
    presented = scheme.present(request)
    expected = scheme.mac(presented.message, key)
    return any(hmac.compare_digest(expected, claimed) for claimed in presented.signatures)


def digest(message: bytes) -> bytes:
    """Sign without any of our own code."""
    return hmac.new(KEY, message, hashlib.sha256).digest()


def signed() -> dict[str, tuple[Any, dict[str, Any], list[str]]]:
    """Return for each scheme a signed request and the names of its parts."""
    query = b"click_id=A&payout=0.50&ts=1767225600"
    pb1_query = query + b"&sig=" + digest(b"pb1\nGET\n/postback/src_1\n" + query).hex().encode()
    sw1_headers = {
        "webhook-id": "msg_1", "webhook-timestamp": "1767225600",
        "webhook-signature": "v1," + base64.b64encode(digest(b"msg_1.1767225600." + BODY)).decode(),
    }  # fmt: skip
    stripe_headers = {"stripe-signature": f"t=1767225600,v1={digest(b'1767225600.' + BODY).hex()}"}
    body1_headers = {"x-signature": "sha256=" + digest(BODY).hex()}
    return {
        "pb1": (pb1(), {"method": "GET", "query": pb1_query}, ["query"]),
        "sw1": (sw1(), {"method": "POST", "body": BODY, "headers": sw1_headers}, ["body", *sw1_headers]),
        "stripe1": (stripe1(), {"method": "POST", "body": BODY, "headers": stripe_headers}, ["body", *stripe_headers]),
        "body1": (
            body1("body1", "x-signature", "hex", "sha256="),
            {"method": "POST", "body": BODY, "headers": body1_headers},
            ["body", *body1_headers],
        ),
    }


@pytest.mark.parametrize("name", ["pb1", "sw1", "stripe1", "body1"])
def test_any_bit_flipped_in_a_signed_request_is_refused(name: str) -> None:
    scheme, parts, names = signed()[name]
    assert proven(scheme, Request(source_id="src_1", url="", **parts), KEY)

    for part in names:
        whole = parts[part] if part in parts else parts["headers"][part].encode("latin-1")
        for place in range(len(whole)):
            for bit in range(8):
                flipped = bytearray(whole)
                flipped[place] ^= 1 << bit
                changed = (
                    {**parts, part: bytes(flipped)}
                    if part in parts
                    else {**parts, "headers": {**parts["headers"], part: flipped.decode("latin-1")}}
                )
                assert not proven(scheme, Request(source_id="src_1", url="", **changed), KEY), (part, place, bit)
