"""Behind proxies: only as many hops of X-Forwarded-For are believed as are said to be ours."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

import config
from core.runtime import Runtime
from postback.models import Receipt
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
