"""Token buckets."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.runtime import Runtime
from postback import intake
from postback.answers import Status
from postback.door import Door
from postback.intake import Look, Write
from postback.rate import Buckets, Rate, address_key
from postback.receipts import Attempt
from tests.postback.conftest import Network
from web.app import DOOR

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


def test_a_postback_that_is_looked_at_again_takes_one_token_of_its_source(
    runtime: Runtime, network: Network, app: flask.Flask
) -> None:
    door: Door = app.extensions[DOOR]
    found = door.look(network.source_id)
    assert found is not None
    source = replace(found, rate=Rate(per_second=0.001, burst=1))
    door.memory.known.put(source.id, source)

    def fire(name: str) -> intake.Steps:
        query = network.signed(transaction_id=name).encode()
        attempt = Attempt(source.id, "GET", network.peer, query, runtime.clock(), 0.0)
        return intake.steps(door.memory, attempt, lambda _: {})

    steps = fire("1")
    first = next(steps)
    look = steps.send(None)  # nothing was written: the source has moved on
    second = steps.send(source)

    assert (type(first), type(look), type(second)) == (Write, Look, Write)
    with pytest.raises(StopIteration) as ended:
        next(fire("2"))
    assert ended.value.value.status is Status.TOO_MANY
