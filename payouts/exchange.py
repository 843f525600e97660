"""Exchange: what an amount comes to in the base currency, at the rate of its day; the decision without the database."""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

from core import money
from core.money import Money, MoneyError

# Weekends and holidays take the last rate before them; the longest pause of the ECB's calendar is five days.
DAYS_BACK_MAX = 7
_EXACT = Context(prec=60)
_KEPT = Decimal(1).scaleb(-18)  # the column's decimals
_LARGEST = Decimal(10) ** 20


@dataclass(frozen=True)
class Rate:
    """Units of a currency for one of the base, with the day it was quoted for and who quoted it."""

    rate: Decimal
    on: date
    source: str


def cross(*, currency: Decimal, base: Decimal) -> Decimal | None:
    """Return units of a currency for one of the base, from what one unit of a third is worth in each.

    None for one beyond what is kept. A rate that is quoted in the base comes back as it was quoted.
    """
    if base == 1:
        return currency
    with localcontext(_EXACT):
        rate = (currency / base).quantize(_KEPT, rounding=ROUND_HALF_EVEN)
    return rate if 0 < rate < _LARGEST else None


def converted(amount: Money, rate: Decimal, base: str) -> Money | None:
    """Return `amount` in `base`, rounded once, half-even; None for one too large to keep."""
    with localcontext(_EXACT):
        try:
            return money.rounded(amount.amount / rate, base)
        except MoneyError:
            return None
