"""What a postback claims."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import Money
from postback import content
from postback.content import Claim, DedupeBy, Reading

SENT = datetime(2026, 1, 1, tzinfo=UTC)
VALUES = {"click_id": "ABC123", "transaction_id": "TXN789", "payout": "0.50", "currency": "GBP"}


def claim(reading: Reading | None = None, **changes: str) -> Claim:
    found = content.read({**VALUES, **changes}, reading or Reading(), sent_at=SENT)
    assert isinstance(found, Claim), found
    return found


def faulty(reading: Reading | None = None, **changes: str) -> list[str]:
    found = content.read({**VALUES, **changes}, reading or Reading(), sent_at=SENT)
    assert isinstance(found, list), found
    return [fault.field for fault in found]


def test_a_plain_postback_is_read() -> None:
    found = claim(amount="20", sub1="news", status="Approved!")

    assert (found.payout, found.amount) == (Money(50, "GBP"), Money(2000, "GBP"))
    assert (found.event, found.status_word, found.subs) == ("sale", "Approved!", {"sub1": "news"})
    assert found.occurred_at == SENT


def test_every_fault_is_told_at_once_under_the_networks_own_names() -> None:
    reading = Reading(parameters={"payout": "commission", "transaction_id": "order"})

    fields = faulty(reading, click_id="", commission="1.005", currency="QQQ", occurred_at="yesterday", event="x" * 41)

    assert fields == ["click_id", "order", "event", "currency", "occurred_at"]
    assert faulty(reading, order="O1", commission="1.005") == ["commission"]


@pytest.mark.parametrize(
    "amount", ["-1", "+1", "1,50", "1.", ".5", "1e3", "1234567890123", "0.1234567", "١", " 1", "NaN"]
)
def test_an_amount_is_plain_ascii_decimal_and_nothing_else(amount: str) -> None:
    assert faulty(payout=amount) == ["payout"]


def test_a_currency_allows_its_own_decimals_only() -> None:
    assert claim(payout="50.00", currency="JPY").payout == Money(50, "JPY")
    assert claim(payout="0.505", currency="KWD").payout == Money(505, "KWD")
    assert faulty(payout="0.50", currency="JPY") == ["payout"]
    assert faulty(payout="0.505") == ["payout"]
    assert claim(payout="0.500").payout == Money(50, "GBP")


def test_without_a_currency_the_sources_own_counts_and_without_that_it_is_a_fault() -> None:
    assert claim(Reading(default_currency="EUR"), currency="").currency == "EUR"
    assert faulty(currency="") == ["currency"]


def test_a_name_given_to_another_field_is_not_read_twice() -> None:
    found = claim(Reading(parameters={"click_id": "sub1"}), sub1="ABC9", sub2="news")

    assert found.click_id == "ABC9"
    assert found.subs == {"sub2": "news"}


@pytest.mark.parametrize(
    ("text", "occurred_at"),
    [
        ("1767225599", SENT - timedelta(seconds=1)),
        ("1767225600", SENT),
        ("1767225601", SENT),  # after the postback itself: that counts
        ("2025-12-31T23:59:59Z", SENT - timedelta(seconds=1)),
        ("2026-01-01T01:00:00+02:00", SENT - timedelta(hours=1)),
        ("2026-01-01T00:00:00.000001Z", SENT),
    ],
)
def test_the_networks_own_time_counts_unless_it_lies_after_the_postback(text: str, occurred_at: datetime) -> None:
    assert claim(occurred_at=text).occurred_at == occurred_at


@pytest.mark.parametrize(
    "text", ["2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "176722560", "0001-01-01T00:00:00+01:00"]
)
def test_a_time_without_offset_or_calendar_is_a_fault(text: str) -> None:
    assert faulty(occurred_at=text) == ["occurred_at"]


def test_the_hash_is_over_the_meaning_and_not_over_when_it_was_sent() -> None:
    later = content.read({**VALUES, "payout": "0.5"}, Reading(), sent_at=SENT + timedelta(hours=3))

    assert isinstance(later, Claim)
    assert later.sha256 == claim().sha256
    others = [
        claim(payout="0.51"), claim(currency="EUR"), claim(click_id="X"), claim(event="lead"), claim(sub1="a"),
        claim(status="x"), claim(amount="0.50"), claim(occurred_at="1767225600"), claim(transaction_id="T"),
    ]  # fmt: skip
    assert len({claim().sha256, *(other.sha256 for other in others)}) == 10


def test_the_dedupe_key_is_what_the_source_says() -> None:
    found = claim(event="lead")

    assert found.dedupe_key(DedupeBy.TRANSACTION_ID) == "TXN789"
    assert found.dedupe_key(DedupeBy.TRANSACTION_EVENT) == "TXN789\x1flead"
    assert found.dedupe_key(DedupeBy.CLICK_EVENT) == "ABC123\x1flead"
    assert claim(Reading(dedupe_by=DedupeBy.CLICK_EVENT), transaction_id="").transaction_id == ""


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_two_different_pairs_never_have_one_key(a: str, b: str, c: str, d: str) -> None:
    texts = ["".join(x for x in text if x >= " ") or "x" for text in (a, b, c, d)]
    keys = [
        claim(transaction_id=texts[0], event=texts[1]).dedupe_key(DedupeBy.TRANSACTION_EVENT),
        claim(transaction_id=texts[2], event=texts[3]).dedupe_key(DedupeBy.TRANSACTION_EVENT),
    ]

    assert (keys[0] == keys[1]) is (texts[:2] == texts[2:])
