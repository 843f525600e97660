"""What a conversion makes us owe: terms and what the postback told, rounded once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from enum import StrEnum
from typing import Any

from core import money
from core.money import Money, MoneyError

# 15 digits of an amount times 20 of a percentage fit whole: nothing is rounded before the one rounding, and what is
# too large is seen to be so.
_EXACT = Context(prec=60)


class TermsKind(StrEnum):
    """How the terms of a campaign find the amount."""

    TOLD = "told"
    FIXED = "fixed"
    PERCENT = "percent"
    SHARE = "share"


class PayoutMeans(StrEnum):
    """What a source's postbacks mean by `payout`."""

    OWED_TO_AFFILIATE = "owed_to_affiliate"
    OWED_TO_US = "owed_to_us"


class Unpriceable(StrEnum):
    """Why no amount follows from the terms and what was told, in the order it is looked at."""

    TOLD_IS_OWED_TO_US = "told_is_owed_to_us"
    PAYOUT_NOT_TOLD = "payout_not_told"
    SALE_NOT_TOLD = "sale_not_told"
    NEGATIVE = "negative"
    TOO_LARGE = "too_large"


@dataclass(frozen=True)
class Terms:
    """A campaign's terms: `percent` for percent and share, amount and currency for fixed."""

    kind: TermsKind
    percent: Decimal | None = None
    amount_minor: int | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Told:
    """What the postback said, in minor units of its one currency: our payout or the affiliate's, and the sale."""

    payout_minor: int | None
    sale_minor: int | None
    currency: str
    payout_means: PayoutMeans


@dataclass(frozen=True)
class Priced:
    """What we owe; `unrounded` is the exact figure in major units before its one rounding, half-even."""

    money: Money
    unrounded: Decimal


def price(terms: Terms, told: Told) -> Priced | Unpriceable:
    """Return what `terms` make of what was `told`, or why nothing follows.

    The currency is that of the terms where they name an amount, else that of the postback. A share is one of the
    told payout, whoever it is owed to: that is what the campaign's terms say.
    """
    basis = _basis(terms, told)
    if isinstance(basis, Unpriceable):
        return basis
    if basis.amount_minor < 0:
        return Unpriceable.NEGATIVE
    if terms.percent is None:
        # Nothing to reckon, and so nothing to round.
        is_too_large = basis.amount_minor > money.AMOUNT_MINOR_MAX
        return Unpriceable.TOO_LARGE if is_too_large else Priced(basis, basis.amount)
    with localcontext(_EXACT):
        unrounded = basis.amount * terms.percent / 100
        try:
            return Priced(money.rounded(unrounded, basis.currency), unrounded)
        except MoneyError:
            return Unpriceable.TOO_LARGE


def is_covered(terms: Terms, covered: Collection[str], *, is_usual_currency: bool) -> bool:
    """Say whether nobody without the secret could have made `terms` come to another amount.

    `covered` are our fields that the proof covers. A currency that the source takes by default need not be: a network
    that sends none signs none, but then whoever sends one could turn 30 euros into 30 dinars.
    """
    match terms.kind:
        case TermsKind.FIXED:
            return True
        case TermsKind.PERCENT:
            figure = "amount"
        case TermsKind.TOLD | TermsKind.SHARE:
            figure = "payout"
    return figure in covered and (is_usual_currency or "currency" in covered)


def thawed(facts: Mapping[str, Any]) -> Terms:
    """Return the terms that were frozen as plain JSON."""
    percent = None if facts.get("percent") is None else Decimal(facts["percent"])
    return Terms(TermsKind(facts["kind"]), percent, facts.get("amount_minor"), facts.get("currency"))


def revenue_minor(told: Told) -> int:
    """Return what the network owes us for what it told, in minor units of its currency."""
    return told.payout_minor or 0 if told.payout_means is PayoutMeans.OWED_TO_US else 0


def _basis(terms: Terms, told: Told) -> Money | Unpriceable:
    """Return the amount that is owed whole, or of which a percentage is."""
    match terms.kind:
        case TermsKind.FIXED:
            if terms.amount_minor is None or terms.currency is None:
                message = "fixed terms name their amount and currency"
                raise ValueError(message)
            return Money(terms.amount_minor, terms.currency)
        case TermsKind.PERCENT:
            return Unpriceable.SALE_NOT_TOLD if told.sale_minor is None else Money(told.sale_minor, told.currency)
        case TermsKind.TOLD if told.payout_means is PayoutMeans.OWED_TO_US:
            # Paying on what the network owes us would leave us nothing: the terms and the source contradict.
            return Unpriceable.TOLD_IS_OWED_TO_US
        case TermsKind.TOLD | TermsKind.SHARE:
            if told.payout_minor is None:
                return Unpriceable.PAYOUT_NOT_TOLD
            return Money(told.payout_minor, told.currency)
