"""Secrets that must be seen nowhere: not in a log, an error, a receipt for everybody, nor in Redis."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from redis import Redis

from access import people
from core.actors import system
from core.runtime import Runtime, installed
from tests.conftest import KEY_ENCRYPTION_KEY, PASSWORD, SECRET_KEY, Caller
from tests.journeys.engine import until
from tests.processes import gunicorn, started
from tests.raw_http import ask, request
from tests.servers import start_valkey
from tests.web.served import Network, new_network

__all__ = ["new_network"]

DATABASE_PASSWORD = "canary-of-the-database"
PAYOUT = "7351.19"
WRONG_PASSWORD = "canary-of-a-mistyped-password"


@pytest.fixture
def valkey() -> Iterator[Path]:
    """Folder of a Valkey of its own, whose files can be read."""
    folder = Path(tempfile.mkdtemp(prefix="clickledger-vk-", dir="/tmp"))
    process = start_valkey(folder)
    yield folder
    process.kill()
    process.wait()
    shutil.rmtree(folder)


@contextmanager
def away(runtime: Runtime) -> Iterator[None]:
    """Let nobody into the database: PostgreSQL refuses connections, SQLite's file is no database."""
    if runtime.engine.dialect.name == "sqlite":
        yield
        return
    server = sa.create_engine(runtime.engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    name = runtime.engine.url.database
    try:
        with server.connect() as connection:
            connection.execute(sa.text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            connection.execute(
                sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
            )
            yield
            connection.execute(sa.text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    finally:
        server.dispose()


def misuse(url: str, pb1: Network, token: Network, bearer: str) -> bytes:
    """Send every secret where it belongs and where it does not; return all that came back."""
    signed = pb1.target("T1").replace("payout=1.00", f"payout={PAYOUT}")
    told = f"click_id=C1&transaction_id=K1&payout={PAYOUT}&currency=EUR"
    by_token = f"{token.path}/{token.secret}"
    targets = [
        signed, pb1.target("T2"), f"{by_token}?{told}", f"{by_token}/more?{told}", f"/{by_token}", f"/x{by_token}",
        f"{by_token}%00", f"{by_token}%0a?{told}", f"/postback{by_token}", f"{token.path}?key={token.secret}",
        f"{pb1.path}/{pb1.secret}", f"{pb1.path}?secret={pb1.secret}", f"/api/v1/nothing?token={bearer}",
    ]  # fmt: skip
    said = b""
    for target in targets:
        for method in ("GET", "POST"):
            length = ["Content-Length: 0"] if method == "POST" else []
            said += ask(url, request(target, *length, method=method)).raw
    for line in (
        f"GET {by_token} HTTP/9.9", f"GET  {by_token} HTTP/1.1", f"G\x01T {by_token} HTTP/1.1", f"GET {by_token}",
        f"GET {by_token} HTTP/1.1\r\nAuthorization: Bearer {bearer}\x01", f"GET {by_token}{'x' * 9000} HTTP/1.1",
    ):  # fmt: skip
        said += ask(url, f"{line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode(), closes=True).raw
    for authorisation in (f"Bearer {bearer}", f"Bearer {bearer}x", f"Basic {bearer}", bearer):
        for path in ("/api/v1/receipts", "/api/v1/sources", "/api/v1/receipts/rcp_none", "/console"):
            said += ask(url, request(path, f"Authorization: {authorisation}")).raw
        broken = f'{{"name": "{bearer}", "password": "{WRONG_PASSWORD}"'.encode()
        lines = [f"Authorization: {authorisation}", "Content-Type: application/json", f"Content-Length: {len(broken)}"]
        said += ask(url, request("/api/v1/affiliates", *lines, method="POST", body=broken)).raw
        said += ask(url, request("/session", *lines, method="POST", body=broken)).raw
    return said


def test_no_secret_is_seen_in_a_log_an_error_a_receipt_or_redis(
    environment: dict[str, str],
    new_network: Callable[..., Network],
    machine: Caller,
    valkey: Path,
    tmp_path: Path,
) -> None:
    runtime = installed()
    bearer = machine.headers["Authorization"].removeprefix("Bearer ")
    pb1 = new_network()
    token = new_network(scheme="token", allowlist=["127.0.0.0/8"], default_currency="EUR")
    with runtime.transaction() as session:
        for name, role in (("manager", "affiliate_manager"), ("admin", "admin")):
            email = f"{name}@example.com"
            people.create(runtime, session, email=email, roles=[role], password=PASSWORD, actor=system("tests"))
    address = runtime.engine.url
    if address.get_backend_name() == "postgresql":
        address = address.set(password=DATABASE_PASSWORD)
    environment |= {
        "REDIS_URL": f"unix://{valkey}/valkey.sock",
        "DATABASE_URL": address.render_as_string(hide_password=False),
        "TRUSTED_PROXY_HOPS": "1",
    }
    secrets = {
        "source secret": pb1.secret.removeprefix("whsec_"), "token": token.secret, "bearer": bearer,
        "password": PASSWORD, "wrong password": WRONG_PASSWORD, "database": DATABASE_PASSWORD, "key": SECRET_KEY,
        "key-encryption key": KEY_ENCRYPTION_KEY,
    }  # fmt: skip

    with (
        gunicorn(environment, tmp_path, workers=1) as (url, _),
        started([sys.executable, "worker.py", "work"], environment, tmp_path / "work.log"),
    ):
        answers = misuse(url, pb1, token, bearer)
        with away(runtime):
            answers += misuse(url, pb1, token, bearer)
        seen_by = {name: _receipts(url, f"{name}@example.com") for name in ("manager", "admin")}
        redis = Redis.from_url(environment["REDIS_URL"])
        until(lambda: not list(redis.scan_iter("rq:job:*")), "the rings are answered")
        redis.close()

    places = {
        "answers": answers, "receipts": seen_by["manager"],
        "server's log": (tmp_path / "gunicorn.log").read_bytes(), "worker's log": (tmp_path / "work.log").read_bytes(),
        "redis": b"".join(path.read_bytes() for path in valkey.rglob("*") if path.is_file()),
    }  # fmt: skip
    assert b"stage ran" in places["worker's log"]
    assert b"run_stage" in places["redis"]
    assert b"believed" in places["receipts"]
    found = [
        (what, where) for what, value in secrets.items() for where, text in places.items() if value.encode() in text
    ]
    assert found == []
    assert [where for where, text in places.items() if PAYOUT.encode() in text] == []
    # Else the canary would sing nowhere: who may see the raw request sees what was paid.
    assert PAYOUT.encode() in seen_by["admin"]
    assert token.secret.encode() not in seen_by["admin"]


def _receipts(url: str, email: str) -> bytes:
    session = requests.Session()
    answer = session.post(f"{url}/session", json={"email": email, "password": PASSWORD}, timeout=30)
    assert answer.status_code == 201
    listed = session.get(f"{url}/api/v1/receipts", params={"limit": "100"}, timeout=30)
    ids: list[Any] = [each["id"] for each in listed.json()["items"]]
    return listed.content + b"".join(session.get(f"{url}/api/v1/receipts/{each}", timeout=30).content for each in ids)
