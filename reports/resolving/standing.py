"""Where a discrepancy stands: what is left of its difference, and what may be said about it now."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from reports import accounting
from reports.matching import DiscrepancyClass, DiscrepancyState, Leg, Resolution, difference
from reports.models import Discrepancy
from reports.resolving.models import Adjustment, DiscrepancyClaim
from reports.taxonomy import Standing

_POSTED = {Resolution.ACCEPT, Resolution.WRITE_OFF, Resolution.CREATE_CONVERSION}


def of(session: Session, found: Discrepancy) -> Standing:
    """Return `found` as far as a resolution looks at it.

    Its difference is what is left of it: less what was posted about it before, and what the network has awarded.
    """
    off = difference(found.ours_minor, found.ours_currency, found.theirs_minor, found.theirs_currency)
    return Standing(
        klass=DiscrepancyClass(found.klass),
        leg=Leg(found.leg),
        state=DiscrepancyState(found.state),
        difference_minor=None if off is None else _left(session, found.id, *off),
        is_posted=found.state == DiscrepancyState.RESOLVED and found.resolution in _POSTED,
        has_open_claim=session.scalar(_open_claim(found.id)) is not None,
    )


def currency_of(found: Discrepancy) -> str | None:
    """Return the one currency of its difference, None between two."""
    off = difference(found.ours_minor, found.ours_currency, found.theirs_minor, found.theirs_currency)
    return None if off is None else off[1]


def _open_claim(discrepancy_id: str) -> sa.Select[str]:
    return sa.select(DiscrepancyClaim.id).where(
        DiscrepancyClaim.discrepancy_id == discrepancy_id, DiscrepancyClaim.state == "open"
    )


def _left(session: Session, discrepancy_id: str, difference_minor: int, currency: str) -> int:
    posted = session.scalar(
        sa.select(sa.func.sum(Adjustment.difference_minor)).where(
            Adjustment.discrepancy_id == discrepancy_id, Adjustment.state == "posted", Adjustment.currency == currency
        )
    )
    awarded = session.scalar(
        sa.select(sa.func.sum(DiscrepancyClaim.awarded_minor)).where(
            DiscrepancyClaim.discrepancy_id == discrepancy_id, DiscrepancyClaim.currency == currency
        )
    )
    return accounting.left_after(difference_minor - int(posted or 0), int(awarded or 0))
