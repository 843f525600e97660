"""Terms of campaigns: what a conversion earns, in versions that are never edited."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from core import money
from core.errors import Fault, Invalid
from core.money import MoneyError
from partners.models import Campaign, CampaignTerms

KINDS = ("told", "fixed", "percent", "share")
PERCENT_DECIMALS_MAX = 8  # the column's
TIERS_MAX = 20
TIERS_BY = ("count", "sum")
_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
_NEEDS = {"told": set(), "fixed": {"amount", "currency"}, "percent": {"percent"}, "share": {"percent"}}


@dataclass(frozen=True)
class NewStep:
    """From which volume on which figure counts: a number of conversions, or an amount of sales, as text."""

    from_: str
    amount: str | None = None
    percent: str | None = None


@dataclass(frozen=True)
class NewTiers:
    """Steps over the volume of an affiliate in a calendar month: conversions, or sales in `currency`."""

    by: str
    steps: Sequence[NewStep]
    currency: str | None = None


@dataclass(frozen=True)
class NewTerms:
    """Terms as they are asked for: which of the fields stand beside `kind` depends on it."""

    kind: str
    amount: str | None = None
    currency: str | None = None
    percent: str | None = None
    starts_at: datetime | None = None
    tiers: NewTiers | None = None


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
    return found or list(_tier_faults(new, f"{path}.tiers"))


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
        tiers=_tiers(new),
        starts_at=new.starts_at or now,
        created_at=now,
    )
    campaign.terms.append(terms)
    return terms


def _tier_faults(new: NewTerms, path: str) -> Iterator[Fault]:
    if new.tiers is None:
        return
    if new.kind == "told":
        yield Fault(path, "say nothing in told terms: share terms of 100 percent pay what is told")
        return
    is_sum = new.tiers.by == "sum"
    if is_sum is not (new.tiers.currency is not None):
        yield Fault(f"{path}.currency", "is needed for a sum, and says nothing for a count")
        return
    last = 0
    for number, step in enumerate(new.tiers.steps):
        where = f"{path}.steps.{number}"
        begins = _volume(step.from_, new.tiers.currency)
        if begins is None or begins <= last:
            yield Fault(f"{where}.from", "takes a volume over zero and over that of the step before, as text")
        last = max(last, begins or 0)
        name, other = ("amount", "percent") if new.kind == "fixed" else ("percent", "amount")
        figure = getattr(step, name)
        if getattr(step, other) is not None:
            yield Fault(f"{where}.{other}", f"says nothing in {new.kind} terms")
        if figure is None or _figure(figure, new) is None:
            yield Fault(f"{where}.{name}", f"takes the {name} of the step as text, over zero")


def _tiers(new: NewTerms) -> dict[str, Any] | None:
    if new.tiers is None:
        return None
    steps = [
        {"from": _volume(step.from_, new.tiers.currency), **(_figure(step.amount or step.percent or "", new) or {})}
        for step in new.tiers.steps
    ]
    return {"by": new.tiers.by, "currency": new.tiers.currency, "steps": steps}


def _volume(text: str, currency: str | None) -> int | None:
    """Return a number of conversions, or minor units of `currency` where it is a sum."""
    if currency is None:
        return int(text) if _COUNT.fullmatch(text) else None
    try:
        return money.parse(text, currency).amount_minor
    except MoneyError:
        return None


def _figure(text: str, new: NewTerms) -> dict[str, Any] | None:
    """Return a step's figure as it is frozen on accruals, None for one that does not hold."""
    if new.kind != "fixed":
        percent = _percent(text)
        return None if percent is None else {"percent": f"{percent.normalize():f}"}
    try:
        amount = money.parse(text, new.currency or "")
    except MoneyError:
        return None
    return {"amount_minor": amount.amount_minor} if amount.amount_minor > 0 else None


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
