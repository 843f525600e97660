"""Amounts: what is parsed, what is refused, what is never lost."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import money
from core.money import AMOUNT_MINOR_MAX, EXPONENTS, Money, MoneyError

AMOUNTS = st.builds(
    Money, st.integers(-AMOUNT_MINOR_MAX // 10, AMOUNT_MINOR_MAX // 10), st.sampled_from(sorted(EXPONENTS))
)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.5", "EUR", 1250),
        ("12.50", "EUR", 1250),
        ("12.50000", "EUR", 1250),
        ("-0.01", "EUR", -1),
        ("0", "EUR", 0),
        ("1250", "JPY", 1250),
        ("1250.0", "JPY", 1250),
        ("0.005", "KWD", 5),
        ("0.0001", "UYW", 1),
        ("10000000000000.00", "EUR", 10**15),
    ],
)
def test_an_amount_is_read_to_the_minor_unit(text: str, currency: str, minor: int) -> None:
    assert money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("12.505", "EUR"),
        ("0.5", "JPY"),
        ("12,50", "EUR"),
        ("1e3", "EUR"),
        ("+1", "EUR"),
        (" 1", "EUR"),
        ("1.", "EUR"),
        (".5", "EUR"),
        ("", "EUR"),
        ("NaN", "EUR"),
        ("1_000", "EUR"),
        ("١٢", "EUR"),
        ("1\n", "EUR"),
        ("10000000000000.01", "EUR"),
        ("1", "eur"),
        ("1", "ZZZ"),
    ],
)
def test_a_text_that_is_no_amount_in_its_currency_is_refused(text: str, currency: str) -> None:
    with pytest.raises(MoneyError):
        money.parse(text, currency)


def test_two_currencies_are_never_added() -> None:
    with pytest.raises(MoneyError):
        Money(1, "EUR") + Money(1, "USD")
    with pytest.raises(MoneyError):
        Money(1, "EUR") - Money(1, "USD")


@pytest.mark.parametrize(
    ("amount", "minor"),
    [("0.005", 0), ("0.015", 2), ("0.025", 2), ("0.0250001", 3), ("-0.005", 0), ("-0.015", -2), ("-0.025", -2)],
)
def test_a_half_is_rounded_to_the_even_neighbour(amount: str, minor: int) -> None:
    assert money.rounded(Decimal(amount), "EUR") == Money(minor, "EUR")


def test_an_amount_beyond_what_can_be_kept_is_refused_in_both_directions() -> None:
    assert money.bounded(-AMOUNT_MINOR_MAX, "EUR").amount_minor == -AMOUNT_MINOR_MAX
    for minor in (AMOUNT_MINOR_MAX + 1, -AMOUNT_MINOR_MAX - 1):
        with pytest.raises(MoneyError):
            money.bounded(minor, "EUR")


@given(AMOUNTS)
def test_what_is_written_is_read_back_with_exactly_the_currencys_decimals(amount: Money) -> None:
    text = money.to_text(amount.amount_minor, amount.currency)

    assert money.parse(text, amount.currency) == amount
    assert Decimal(text) == amount.amount
    assert len(text.partition(".")[2]) == EXPONENTS[amount.currency]


@given(AMOUNTS, st.integers(-(10**9), 10**9))
def test_what_is_added_and_taken_away_again_leaves_the_amount(amount: Money, minor: int) -> None:
    other = Money(minor, amount.currency)

    assert amount + other - other == amount
    assert amount + -amount == Money(0, amount.currency)


@given(
    st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=8),
    st.sampled_from(["JPY", "EUR", "KWD"]),
)
def test_rounding_moves_an_amount_by_half_a_minor_unit_at_most(amount: Decimal, currency: str) -> None:
    exact = amount.scaleb(EXPONENTS[currency])

    assert abs(money.rounded(amount, currency).amount_minor - exact) <= Decimal("0.5")
