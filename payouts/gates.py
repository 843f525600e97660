"""What keeps an affiliate's money back: a missing tax form, an account changed a moment ago, a cycle not yet over."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

_LAST_MONTHS_OF_QUARTERS = {"03", "06", "09", "12"}
_W8_YEARS = 3


class TaxForm(StrEnum):
    """What an affiliate may have to hand in before it is paid."""

    W9 = "w9"
    W8BEN = "w8ben"
    VAT_ID = "vat_id"


class Cycle(StrEnum):
    """How often an affiliate is paid; `every_run` leaves it to whoever asks for a bundling."""

    EVERY_RUN = "every_run"
    WEEKLY = "weekly"
    BIWEEKLY = "biweekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"


DAYS_BETWEEN = {Cycle.WEEKLY: timedelta(days=7), Cycle.BIWEEKLY: timedelta(days=14)}


@dataclass(frozen=True)
class Papers:
    """Which form an affiliate must hand in, which one is there, since when, and its VAT id."""

    required: str | None
    received: str | None
    received_on: date | None
    vat_id: str | None


def papers_missing(papers: Papers, *, today: date) -> str | None:
    """Return why an affiliate's papers hold its payouts, None when they do not.

    A W-8BEN counts until the end of the third year after it was signed (26 CFR 1.1441-1(e)(4)(ii)).
    """
    if papers.required is None:
        return None
    if papers.required == TaxForm.VAT_ID:
        return None if papers.vat_id else "its VAT id is missing"
    if papers.received != papers.required or papers.received_on is None:
        return f"its form {papers.required} is missing"
    if papers.required == TaxForm.W8BEN and today.year > papers.received_on.year + _W8_YEARS:
        return f"its form {papers.required} of {papers.received_on} is too old"
    return None


def cooling_until(changed_at: datetime | None, *, cool_off: timedelta, now: datetime) -> datetime | None:
    """Return until when an account changed at `changed_at` is not paid to; None when it may be."""
    if changed_at is None or now >= changed_at + cool_off:
        return None
    return changed_at + cool_off


def is_due(
    cycle: str, *, period: str, bundled_periods: frozenset[str], bundled_at: datetime | None, now: datetime
) -> bool:
    """Say whether a bundling up to the end of `period` (YYYY-MM) takes an affiliate of `cycle`.

    `bundled_periods` are those of its payouts that were not rejected or cancelled, `bundled_at` is when the newest of
    them was made.
    """
    match Cycle(cycle):
        case Cycle.EVERY_RUN:
            return True
        case Cycle.WEEKLY | Cycle.BIWEEKLY:
            return bundled_at is None or now - bundled_at >= DAYS_BETWEEN[Cycle(cycle)]
        case Cycle.MONTHLY:
            return period not in bundled_periods
        case Cycle.QUARTERLY:
            return period[5:] in _LAST_MONTHS_OF_QUARTERS and period not in bundled_periods
