"""The service as it runs: gunicorn's event loop with our settings, from the first byte on the wire to the row."""

import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from core.runtime import Runtime
from postback.models import Receipt
from tests.conftest import Caller
from tests.postback.conftest import Stored
from tests.processes import gunicorn
from tests.raw_http import ask, connected, request
from tests.web.served import Network, broken, new_network, stored, url

__all__ = ["new_network", "stored", "url"]

# Nobody of this machine: only a header can claim to be there.
FAR_AWAY = "198.51.100.7"
# For what has been answered before any database is asked.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


# What a sender may write himself, and the forms in which proxies add to it.
CLAIMS = [
    f"X-Forwarded-For: {FAR_AWAY}", f"X-Forwarded-For: {FAR_AWAY},", f"X-Forwarded-For: {FAR_AWAY}, ,,",
    f'X-Forwarded-For: "{FAR_AWAY}', f'X-Forwarded-For: {FAR_AWAY}"', f"X-Forwarded-For: {FAR_AWAY}:443",
    f"X-Forwarded-For: ::ffff:{FAR_AWAY}", f"X-Forwarded-For: [::ffff:{FAR_AWAY}]:443",
    f"X-Forwarded-For:\t{FAR_AWAY}\t", f"X-Forwarded-For: {FAR_AWAY}\r\nX-Forwarded-For: {FAR_AWAY}",
    f"x-forwarded-for: {FAR_AWAY} {FAR_AWAY}", f"X-Forwarded-For: 10.0.0.1\r\n {FAR_AWAY}",
    f"X-Forwarded-For : {FAR_AWAY}", f"X_Forwarded_For: {FAR_AWAY}", f"Forwarded: for={FAR_AWAY}",
    f"X-Real-IP: {FAR_AWAY}\r\nTrue-Client-IP: {FAR_AWAY}", f"X-Forwarded-For: {FAR_AWAY}\x00",
]  # fmt: skip


@ON_SQLITE
@pytest.mark.parametrize("hops", [0, 1, 2])
def test_no_header_of_a_sender_passes_the_allowlist_and_our_own_proxies_words_do(
    environment: dict[str, str], new_network: Callable[..., Network], stored: Stored, tmp_path: Path, hops: int
) -> None:
    far, here = new_network(allowlist=[f"{FAR_AWAY}/32"]), new_network(allowlist=["127.0.0.1/32", "192.0.2.1/32"])
    inner = ["10.0.0.1"] * (hops - 1)
    with gunicorn({**environment, "TRUSTED_PROXY_HOPS": str(hops)}, tmp_path, workers=1) as (url, _):

        def through_proxies(claim: str, seen: str, *, joins: bool) -> list[str]:
            """Return the header lines that arrive: `seen` and those behind it come from our proxies."""
            if not hops:
                return [claim]
            ours = ", ".join([seen, *inner])
            return (
                [f"{claim}, {ours}"] if joins and claim else [*([claim] if claim else []), f"X-Forwarded-For: {ours}"]
            )

        refused = [
            ask(url, request(far.target(f"T{number}"), *through_proxies(claim, "192.0.2.1", joins=joins))).code
            for joins in (False, True)[: 1 + bool(hops)]
            for number, claim in enumerate(CLAIMS)
        ]
        honest = ask(url, request(here.target("T1"), *through_proxies("", "192.0.2.1", joins=False)))
        through = ask(url, request(far.target("T2"), *through_proxies("", FAR_AWAY, joins=False)))
        faults = broken(tmp_path)

    assert set(refused) == {400, 401}
    assert refused.count(401) > len(refused) // 2
    assert honest.code == 200
    assert through.code == (200 if hops else 401)
    assert [row.source_id for row in stored.conversions()] == [here.id] + [far.id] * bool(hops)
    assert faults == []


def test_neither_half_sent_requests_held_open_nor_an_absent_redis_stop_anybody(
    environment: dict[str, str], new_network: Callable[..., Network], stored: Stored, tmp_path: Path
) -> None:
    network = new_network()
    away = {**environment, "REDIS_URL": f"unix://{tmp_path}/nobody.sock"}
    with gunicorn(away, tmp_path, workers=1) as (url, _), contextlib.ExitStack() as held:
        for number in range(400):
            wire = held.enter_context(connected(url))
            wire.sendall(f"GET {network.target(f'H{number}')} HTTP/1.1\r\nHost: x\r\nX-Slow: ".encode())
        for _ in range(50):
            wire = held.enter_context(connected(url))
            wire.sendall(f"POST {network.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nhalf".encode())

        codes = [ask(url, request(network.target(f"T{number}"))).code for number in range(20)]
        faults = broken(tmp_path)

    assert codes == [200] * 20
    assert faults == []
    assert len(stored.conversions()) == 20


@ON_SQLITE
def test_what_is_too_long_too_large_or_without_a_length_is_refused_where_it_belongs(
    url: str, new_network: Callable[..., Network], stored: Stored
) -> None:
    path = new_network(scheme="sw1").path
    chunked = "Transfer-Encoding: chunked"

    replies = {
        "no length": ask(url, request(path, method="POST")),
        "chunked": ask(url, request(path, chunked, method="POST", body=b"4\r\n{}  \r\n0\r\n\r\n")),
        "large": ask(url, request(path, "Content-Length: 65537", method="POST", body=b"x" * 65537)),
        "huge, said only": ask(url, request(path, "Content-Length: 9999999999", method="POST")),
        "as large as may be": ask(url, request(path, "Content-Length: 65536", method="POST", body=b"x" * 65536)),
        "line": ask(url, request(f"{path}?a={'x' * 9000}")),
        "header": ask(url, request(path, f"X-Long: {'x' * 20000}")),
        "headers": ask(url, request(path, *[f"X-{number}: 1" for number in range(500)])),
        "other method": ask(url, request(path, method="DELETE")),
        "head": ask(url, request(path, method="HEAD")),
        "no number": ask(url, request(path, "Content-Length: 1e3", method="POST")),
        "below zero": ask(url, request(path, "Content-Length: -1", method="POST")),
        "unknown coding": ask(url, request(path, "Transfer-Encoding: rot13", method="POST")),
    }

    assert {name: reply.code for name, reply in replies.items()} == {
        "no length": 411, "chunked": 411, "large": 413, "huge, said only": 413, "as large as may be": 401, "line": 414,
        "header": 431, "headers": 431, "other method": 405, "head": 405, "no number": 400, "below zero": 400,
        "unknown coding": 501,
    }  # fmt: skip
    assert all(len(reply.codes) == 1 for reply in replies.values())
    assert {receipt.reason for receipt in stored.receipts()} == {"signature_missing"}


@ON_SQLITE
def test_a_body_that_ends_before_its_length_leaves_no_row(
    url: str, new_network: Callable[..., Network], stored: Stored
) -> None:
    path, whole = new_network(scheme="sw1").path, new_network()
    head = request(path, "Content-Length: 200", method="POST")

    replies = [
        ask(url, head + b'{"click_id":"A"', closes=True),
        ask(url, head, b'{"click', b'_id":"A"', closes=True),
        ask(url, head, closes=True),
    ]
    with connected(url) as wire:
        wire.sendall(head + b'{"click_id":"A"')
        # Away without a word: RST in place of FIN.
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    assert {reply.code for reply in replies} <= {None, 400, 408}
    # Behind them in the writer's one line: with its answer, what they have left would be there.
    last = [ask(url, request(whole.target(f"LAST{number}"))).code for number in range(20)]
    assert last == [200] * 20
    assert {receipt.source_id for receipt in stored.receipts()} == {whole.id}
    assert len(stored.conversions()) == 20


def test_an_upload_passes_the_bridge_whole_or_not_at_all(
    url: str, machine: Caller, new_network: Callable[..., Network], runtime: Runtime
) -> None:
    network = new_network()
    report = "Transaction,Payout,Currency,Date\n" + "".join(f"T{n},1.00,EUR,2026-10-15\n" for n in range(5_000))
    mapping = {
        "transaction_id": "Transaction", "amount": "Payout", "currency": "Currency",
        "occurred_on": {"column": "Date", "format": "%Y-%m-%d", "timezone": "UTC"},
    }  # fmt: skip
    prepared = requests.Request(
        "POST", f"{url}/api/v1/network-reports", headers=machine.headers, files={"file": ("october.csv", report)},
        data={"source_id": network.id, "period": "2026-10", "mapping": json.dumps(mapping)},
    ).prepare()  # fmt: skip
    body = prepared.body
    assert isinstance(body, bytes)
    lines = [f"{name}: {value}" for name, value in prepared.headers.items()]
    head = request("/api/v1/network-reports", *lines, method="POST")

    cut = ask(url, head + body[: len(body) // 2], closes=True)
    pieces = [body[start : start + 50_000] for start in range(0, len(body), 50_000)]
    whole = ask(url, head, *pieces)

    assert cut.code in {None, 400, 408}
    assert whole.code == 201
    told = json.loads(whole.raw.partition(b"\r\n\r\n")[2])
    assert (told["lines"], told["new"], told["rejected"]) == (5_000, 5_000, [])
    with runtime.reading() as session:
        assert session.scalar(sa.text("SELECT count(*) FROM statements")) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(Receipt)) == 0


@ON_SQLITE
def test_a_process_starts_without_its_database_and_tells_senders_to_come_again(
    environment: dict[str, str], tmp_path: Path
) -> None:
    nowhere = "postgresql://clickledger@127.0.0.1:1/clickledger"
    with gunicorn({**environment, "DATABASE_URL": nowhere}, tmp_path, workers=1, app="wsgi:intake") as (url, _):
        assert requests.get(f"{url}/healthz", timeout=5).status_code == 200
        assert requests.get(f"{url}/postback/src_1?click_id=c&transaction_id=t", timeout=10).status_code == 503
