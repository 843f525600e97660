"""What is still to be accrued for a conversion that changed after its accrual."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from core.money import Money
from payouts.pricing import Priced, Terms, TermsKind, Told, Unpriceable, price


def frozen_terms(facts: Mapping[str, Any]) -> Terms:
    """Return the terms as an accrual has frozen them."""
    percent = facts.get("percent")
    return Terms(
        TermsKind(facts["kind"]),
        None if percent is None else Decimal(percent),
        facts.get("amount_minor"),
        facts.get("currency"),
    )


def owed_now(terms: Terms, told: Told, *, is_reversed: bool, currency: str) -> Priced | Unpriceable:
    """Return what a conversion comes to now: nothing when it was taken back, else its price under its own terms."""
    return Priced(Money(0, currency), Decimal(0)) if is_reversed else price(terms, told)


def difference(owed: Money, accrued: Money) -> Money:
    """Return what the next accrual has to say, so that all of them together come to what is owed."""
    return owed - accrued
