"""Pricing: terms and what was told make an amount, or a reason."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import money
from core.money import Money
from payouts.pricing import PayoutMeans, Priced, Terms, TermsKind, Told, Unpriceable, price

THEIRS, OURS = PayoutMeans.OWED_TO_AFFILIATE, PayoutMeans.OWED_TO_US
TOLD = Terms(TermsKind.TOLD)
FIXED = Terms(TermsKind.FIXED, amount_minor=250, currency="USD")


def percent(text: str) -> Terms:
    return Terms(TermsKind.PERCENT, percent=Decimal(text))


def share(text: str) -> Terms:
    return Terms(TermsKind.SHARE, percent=Decimal(text))


@pytest.mark.parametrize(
    ("terms", "told", "owed"),
    [
        (TOLD, Told(1250, None, "EUR", THEIRS), Money(1250, "EUR")),
        (TOLD, Told(0, None, "EUR", THEIRS), Money(0, "EUR")),
        (FIXED, Told(None, None, "EUR", THEIRS), Money(250, "USD")),
        (percent("12.5"), Told(None, 9999, "EUR", THEIRS), Money(1250, "EUR")),
        (share("70"), Told(1000, None, "EUR", OURS), Money(700, "EUR")),
        (share("70"), Told(1000, None, "JPY", OURS), Money(700, "JPY")),
        (share("33.33333333"), Told(1000, None, "KWD", OURS), Money(333, "KWD")),
    ],
)
def test_each_kind_of_terms_finds_its_amount(terms: Terms, told: Told, owed: Money) -> None:
    priced = price(terms, told)

    assert isinstance(priced, Priced)
    assert priced.money == owed


@pytest.mark.parametrize(("sale_minor", "owed_minor"), [(5, 2), (15, 8), (25, 12), (35, 18)])
def test_half_a_cent_goes_to_the_even_neighbour(sale_minor: int, owed_minor: int) -> None:
    assert price(percent("50"), Told(None, sale_minor, "EUR", THEIRS)) == Priced(
        Money(owed_minor, "EUR"), Decimal(sale_minor) / 200
    )


@pytest.mark.parametrize(
    ("terms", "told", "reason"),
    [
        (TOLD, Told(None, None, "EUR", THEIRS), Unpriceable.PAYOUT_NOT_TOLD),
        (TOLD, Told(1250, None, "EUR", OURS), Unpriceable.TOLD_IS_OWED_TO_US),
        (TOLD, Told(None, None, "EUR", OURS), Unpriceable.TOLD_IS_OWED_TO_US),
        (percent("10"), Told(1250, None, "EUR", THEIRS), Unpriceable.SALE_NOT_TOLD),
        (share("70"), Told(None, 1250, "EUR", OURS), Unpriceable.PAYOUT_NOT_TOLD),
        (TOLD, Told(-1, None, "EUR", THEIRS), Unpriceable.NEGATIVE),
        (TOLD, Told(10**15 + 1, None, "EUR", THEIRS), Unpriceable.TOO_LARGE),
        (percent("999999999999.99999999"), Told(None, 10**15 - 1, "EUR", THEIRS), Unpriceable.TOO_LARGE),
    ],
)
def test_what_cannot_be_priced_says_why(terms: Terms, told: Told, reason: Unpriceable) -> None:
    assert price(terms, told) is reason


@given(
    st.integers(0, 10**15),
    st.decimals(min_value=Decimal("0.00000001"), max_value=100, places=8),
    st.sampled_from(["EUR", "JPY", "KWD"]),
)
def test_the_one_rounding_is_exact_and_goes_half_to_even(sale_minor: int, rate: Decimal, currency: str) -> None:
    priced = price(Terms(TermsKind.PERCENT, percent=rate), Told(None, sale_minor, currency, THEIRS))

    assert isinstance(priced, Priced)
    exact = Fraction(sale_minor) * Fraction(rate) / 100
    assert priced.money.amount_minor == round(exact)  # Python rounds a fraction half to even
    assert abs(priced.money.amount_minor - exact) <= Fraction(1, 2)
    assert Fraction(priced.unrounded) * 10 ** money.exponent(currency) == exact
