"""Whether a postback is believed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postback import canonical, verification
from postback.schemes.base import Presented
from postback.verification import Proven, Refusal
from tests.postback.conftest import sign_pb1

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE = "src_7Qm2vK9x"
QUERY = "click_id=ABC123&transaction_id=TXN789&payout=0.50&currency=GBP&ts=1767225600"


@dataclass(frozen=True)
class Key:
    """A live secret."""

    id: str
    key: bytes


OLD, NEW = Key("sec_old", bytes(range(32))), Key("sec_new", bytes(range(1, 33)))
SIGNED = sign_pb1(OLD.key, SOURCE, QUERY).encode()


def decided(presented: Presented, *, known: bool = True, admitted: bool = True, method: bool = True) -> object:
    return verification.decide(
        presented, [OLD, NEW] if known else [], is_known=known, is_admitted=admitted, is_right_method=method
    )


def test_whichever_live_secret_signed_is_named() -> None:
    assert decided(canonical.pb1_presented("GET", SOURCE, SIGNED)) == Proven("sec_old")
    new = sign_pb1(NEW.key, SOURCE, QUERY).encode()
    assert decided(canonical.pb1_presented("GET", SOURCE, new)) == Proven("sec_new")


def test_of_several_reasons_the_first_in_order_counts() -> None:
    good = canonical.pb1_presented("GET", SOURCE, SIGNED)
    missing, malformed = Presented(b"m", is_missing=True), Presented(b"m")
    forged = Presented(b"m", (bytes(32),))

    assert decided(forged, known=False, admitted=False, method=False) is Refusal.UNKNOWN_SOURCE
    assert decided(good, admitted=False, method=False) is Refusal.ADDRESS_NOT_ALLOWED
    assert decided(good, method=False) is Refusal.WRONG_METHOD
    assert decided(missing) is Refusal.SIGNATURE_MISSING
    assert decided(malformed) is Refusal.SIGNATURE_MALFORMED
    assert decided(forged) is Refusal.BAD_SIGNATURE


def test_a_source_without_a_live_secret_believes_nobody() -> None:
    presented = canonical.pb1_presented("GET", SOURCE, SIGNED)

    assert verification.decide(presented, [], is_known=True, is_admitted=True, is_right_method=True) is (
        Refusal.BAD_SIGNATURE
    )


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_no_query_with_a_changed_byte_is_believed(place: int, change: int) -> None:
    forged = bytearray(SIGNED)
    forged[place] ^= change

    assert isinstance(decided(canonical.pb1_presented("GET", SOURCE, bytes(forged))), Refusal)


@given(st.binary(max_size=200), st.binary(min_size=32, max_size=32))
def test_no_signature_made_without_a_secret_is_believed(payload: bytes, guess: bytes) -> None:
    forged = payload + b"&sig=" + guess.hex().encode()

    assert isinstance(decided(canonical.pb1_presented("GET", SOURCE, forged)), Refusal)


@pytest.mark.parametrize("other", ["src_7Qm2vK9y", "src_7Qm2vK9"])
def test_a_signature_for_one_source_or_method_is_none_for_another(other: str) -> None:
    assert decided(canonical.pb1_presented("GET", other, SIGNED)) is Refusal.BAD_SIGNATURE
    assert decided(canonical.pb1_presented("POST", SOURCE, SIGNED)) is Refusal.BAD_SIGNATURE


def test_the_window_has_both_its_ends_in() -> None:
    microsecond = timedelta(microseconds=1)

    assert not verification.is_stale(sent_at=NOW - timedelta(seconds=1800), now=NOW)
    assert verification.is_stale(sent_at=NOW - timedelta(seconds=1800) - microsecond, now=NOW)
    assert not verification.is_from_future(sent_at=NOW + timedelta(seconds=120), now=NOW)
    assert verification.is_from_future(sent_at=NOW + timedelta(seconds=120) + microsecond, now=NOW)
