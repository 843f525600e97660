"""What a conversion still makes us owe after something changed: what is owed now, less what was accrued."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.money import Money
from payouts import pricing
from payouts.pricing import Priced, Terms, Told, Unpriceable

CLAWBACK = "clawback"
ADJUST = "adjust"


@dataclass(frozen=True)
class Difference:
    """What one more accrual is about: a kind, a signed amount, and the signed figure before its rounding."""

    kind: str
    money: Money
    unrounded: Decimal


def now(terms: Terms, told: Told, *, is_reversed: bool, currency: str) -> Priced | Unpriceable:
    """Return what is owed under the frozen `terms` for what is told by now: nothing for what was taken back."""
    return Priced(Money(0, currency), Decimal(0)) if is_reversed else pricing.price(terms, told)


def difference(owed: Priced, accrued: Sequence[Priced]) -> Difference | None:
    """Return what must be accrued for the sum of all to be `owed`, None when it is that already.

    All are in the currency of the first accrual: its terms are frozen, and a conversion keeps its currency.
    """
    already_minor = sum(each.money.amount_minor for each in accrued)
    change_minor = owed.money.amount_minor - already_minor
    if change_minor == 0:
        return None
    unrounded = owed.unrounded - sum((each.unrounded for each in accrued), Decimal(0))
    kind = CLAWBACK if change_minor < 0 else ADJUST
    return Difference(kind, Money(change_minor, owed.money.currency), unrounded)
