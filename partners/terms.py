"""Terms of campaigns: what a conversion earns, in versions that are never edited."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

from core import money
from core.errors import Fault, Invalid
from core.money import MoneyError
from partners.models import Campaign, CampaignTerms

KINDS = ("told", "fixed", "percent", "share")
PERCENT_DECIMALS_MAX = 8  # the column's
_NEEDS = {"told": set(), "fixed": {"amount", "currency"}, "percent": {"percent"}, "share": {"percent"}}


@dataclass(frozen=True)
class NewTerms:
    """Terms as they are asked for: which of the fields stand beside `kind` depends on it."""

    kind: str
    amount: str | None = None
    currency: str | None = None
    percent: str | None = None
    starts_at: datetime | None = None


def faults(new: NewTerms, *, path: str = "terms") -> list[Fault]:
    """Return everything wrong with terms; empty when `added` can store them."""
    values = {"amount": new.amount, "currency": new.currency, "percent": new.percent}
    found = []
    for name, value in values.items():
        if name in _NEEDS[new.kind] and value is None:
            found.append(Fault(f"{path}.{name}", f"is needed for {new.kind} terms"))
        elif name not in _NEEDS[new.kind] and value is not None:
            found.append(Fault(f"{path}.{name}", f"says nothing in {new.kind} terms"))
    if found:
        return found
    if new.percent is not None and _percent(new.percent) is None:
        found.append(Fault(f"{path}.percent", "takes a number over 0 and up to 100 as text, such as 12.5"))
    if new.amount is not None and new.currency is not None:
        try:
            if money.parse(new.amount, new.currency).amount_minor <= 0:
                found.append(Fault(f"{path}.amount", "takes an amount over zero"))
        except MoneyError as error:
            found.append(Fault(f"{path}.amount", str(error)))
    return found


def added(campaign: Campaign, new: NewTerms, *, now: datetime) -> CampaignTerms:
    """Give `campaign` a new version of its terms, from `starts_at` on or from now; raise Invalid for faulty ones.

    A start in the past is allowed: it counts for conversions not yet accrued, and those that are keep theirs.
    """
    found = faults(new)
    if found:
        raise Invalid.of(*found)
    amount = money.parse(new.amount, new.currency) if new.amount and new.currency else None
    terms = CampaignTerms(
        version=len(campaign.terms) + 1,
        kind=new.kind,
        percent=_percent(new.percent) if new.percent is not None else None,
        amount_minor=amount.amount_minor if amount else None,
        currency=amount.currency if amount else None,
        starts_at=new.starts_at or now,
        created_at=now,
    )
    campaign.terms.append(terms)
    return terms


def in_force(versions: Sequence[CampaignTerms], when: datetime) -> CampaignTerms:
    """Return the newest version that has started by `when`, the first one for moments before any has."""
    started = [terms for terms in versions if terms.starts_at <= when]
    return max(started or versions[:1], key=lambda terms: terms.version)


def _percent(text: str) -> Decimal | None:
    try:
        percent = Decimal(text)
    except InvalidOperation:
        return None
    if not text.isascii() or not percent.is_finite() or not 0 < percent <= 100:  # noqa: PLR2004 - a percentage
        return None
    exponent = percent.as_tuple().exponent
    return percent if isinstance(exponent, int) and -exponent <= PERCENT_DECIMALS_MAX else None
