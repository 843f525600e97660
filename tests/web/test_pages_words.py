"""How the console says things."""

from datetime import timedelta

import pytest

from core.money import Money
from web.pages import words


@pytest.mark.parametrize(
    ("minor", "currency", "said"),
    [
        (1248000, "EUR", "12,480.00 EUR"),
        (-5, "GBP", "\u22120.05 GBP"),
        (2412000, "JPY", "2,412,000 JPY"),
        (-1204500, "KWD", "\u22121,204.500 KWD"),
        (0, "EUR", "0.00 EUR"),
        (10**15, "EUR", "10,000,000,000,000.00 EUR"),
    ],
)
def test_money_has_the_exact_decimals_of_its_currency_and_a_real_minus(minor: int, currency: str, said: str) -> None:
    assert words.amount(Money(minor, currency)) == said


def test_two_currencies_are_never_added() -> None:
    assert words.amounts([Money(100, "EUR"), Money(250, "GBP")]) == "1.00 EUR and 2.50 GBP"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(40, "40 s"), (89, "89 s"), (90, "1 min"), (3600, "60 min"), (31 * 3600, "31 h"), (25 * 86400, "25 d")],
)
def test_an_age_is_said_in_its_largest_unit(seconds: int, said: str) -> None:
    assert words.span(timedelta(seconds=seconds)) == said


def test_characters_that_change_what_is_read_are_shown_as_codes() -> None:
    assert words.visible("a\u202eb\x00c\u200bé") == "aU+202EbU+0000cU+200Bé"


def test_a_trusted_affiliate_with_an_old_account_gives_nothing_to_check() -> None:
    facts = {
        "affiliate.status": "trusted",
        "affiliate.bank_changed_days": 30,
        "assurance": "A",
        "category": ["6210"],
    }

    assert words.warnings_of(facts) == []
    assert [each.flag for each in words.warnings_of(facts | {"affiliate.bank_changed_days": 29})] == ["Bank changed"]
