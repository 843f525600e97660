"""Token buckets."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postback.rate import Buckets, Rate, address_key

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RATE = Rate(per_second=2, burst=3)


def test_a_full_bucket_gives_its_burst_and_then_one_token_each_half_second() -> None:
    buckets = Buckets()

    waits = [buckets.wait_s("a", RATE, now=NOW) for _ in range(4)]

    assert waits == [0, 0, 0, 0.5]
    assert buckets.wait_s("a", RATE, now=NOW + timedelta(seconds=0.25)) == 0.25
    assert buckets.wait_s("a", RATE, now=NOW + timedelta(seconds=0.5)) == 0
    assert buckets.wait_s("b", RATE, now=NOW) == 0


def test_a_clock_set_back_gives_nothing_away() -> None:
    buckets = Buckets()
    for _ in range(3):
        buckets.wait_s("a", RATE, now=NOW)

    assert buckets.wait_s("a", RATE, now=NOW - timedelta(hours=1)) > 0


def test_no_more_keys_are_kept_than_agreed() -> None:
    buckets = Buckets(keys_max=2)

    for key in "abc":
        buckets.wait_s(key, RATE, now=NOW)

    assert list(buckets._buckets) == ["b", "c"]


@given(st.lists(st.floats(0, 3), max_size=60))
def test_never_more_than_burst_and_flow_pass(pauses: list[float]) -> None:
    buckets, now, passed = Buckets(), NOW, 0
    for pause in pauses:
        now += timedelta(seconds=pause)
        passed += buckets.wait_s("a", RATE, now=now) == 0

    assert passed <= RATE.burst + RATE.per_second * (now - NOW).total_seconds() + 0.001


@pytest.mark.parametrize(
    ("peer", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("unix:", "no address"),
    ],
)
def test_an_ipv6_sender_is_his_whole_network(peer: str, key: str) -> None:
    assert address_key(peer) == key
