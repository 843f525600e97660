"""Behind proxies: only as many hops of X-Forwarded-For are believed as are said to be ours."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from a2wsgi.wsgi import build_environ
from hypothesis import given
from hypothesis import strategies as st

import config
from core.runtime import Runtime
from postback import peers
from postback.door import AsyncDoor, Door
from postback.models import Receipt
from web import proxies
from web.app import create_app

# What a sender wrote itself, what our outer proxy saw, what our inner proxy saw.
FORWARDED = "192.0.2.66, 198.51.100.7, 203.0.113.9"


@pytest.mark.parametrize(("hops", "peer"), [(0, "127.0.0.1"), (1, "203.0.113.9"), (2, "198.51.100.7")])
def test_the_address_is_the_one_that_our_outermost_proxy_saw(
    settings: config.Settings, runtime: Runtime, hops: int, peer: str
) -> None:
    client = create_app(replace(settings, trusted_proxy_hops=hops)).test_client()

    client.get("/postback/src_none?click_id=1", headers={"X-Forwarded-For": FORWARDED})

    with runtime.reading() as session:
        assert session.scalars(sa.select(Receipt.peer)).all() == [peer]


def test_an_open_quote_in_the_senders_own_words_does_not_make_him_our_proxy(
    settings: config.Settings, runtime: Runtime
) -> None:
    client = create_app(replace(settings, trusted_proxy_hops=2)).test_client()

    client.get("/postback/src_none", headers={"X-Forwarded-For": '192.0.2.66, ", 198.51.100.7, 203.0.113.9'})

    with runtime.reading() as session:
        assert session.scalars(sa.select(Receipt.peer)).all() == ["198.51.100.7"]


ADDRESSES = st.sampled_from(
    ["192.0.2.66", "::1", "[::1]:443", "198.51.100.7:80", "unknown", "", " ", '"', "\t10.0.0.1 ", ";"]
)
VALUES = st.one_of(
    st.lists(ADDRESSES, max_size=5).map(",".join), st.text(st.characters(max_codepoint=0xFF), max_size=20)
)
NAMES = st.sampled_from([b"x-forwarded-for", b"X-Forwarded-For", b"x-forwarded-host", b"forwarded", b"x-real-ip"])


@given(
    sent=st.lists(st.tuples(NAMES, VALUES), max_size=6),
    hops=st.integers(0, 4),
    connected=st.sampled_from([None, ("203.0.113.9", 40000), ("::1", 40000)]),
)
def test_the_event_loop_and_the_threads_take_a_request_to_come_from_the_same_address(
    sent: list[tuple[bytes, str]], hops: int, connected: tuple[str, int] | None
) -> None:
    # As gunicorn hands them over: names in lower case.
    headers = [(name.lower(), value.encode("latin-1")) for name, value in sent]
    scope: dict[str, Any] = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": "/", "query_string": b"", "headers": headers,
        "client": connected, "server": ("localhost", 80), "scheme": "http", "root_path": "",
    }  # fmt: skip
    body: Any = None
    environ: dict[str, Any] = dict(build_environ(scope, body))  # type: ignore[arg-type]
    seen: list[str] = []

    def app(environ: dict[str, Any], _start_response: Any) -> list[bytes]:
        seen.append(environ.get("REMOTE_ADDR") or "")
        return []

    served = proxies.in_front_of(app, hops=hops) if hops else app
    served(environ, None)
    loop = AsyncDoor.__new__(AsyncDoor)
    loop._door = Door(lambda: pytest.fail("no runtime is needed"), hops=hops)

    assert loop._peer(scope) == seen[0]
    values = [value for name, value in sent if name.lower() == b"x-forwarded-for"]
    entries = ",".join(values).split(",") if values else []
    if hops and len(entries) >= hops and entries[-hops].strip():
        # The entry of our outermost proxy, whatever stands before it.
        assert seen[0] == entries[-hops].strip()
    assert seen[0] == peers.of((connected or ("", 0))[0], ",".join(values) if values else None, hops=hops)
