"""Clicks: each gets an id that the network hands back to us with its postback."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import doorbell
from core.database import insert_new
from core.errors import Conflict, Fault, Invalid
from core.runtime import Runtime
from partners.models import Affiliate, Campaign
from tracking.models import Click

BATCH_MAX = 1000
FUTURE_MAX = timedelta(minutes=2)
STAGE = "matching-clicks"
_NAMED_MAX = 10


@dataclass(frozen=True)
class NewClick:
    """A click to record; `click_id` is another tracker's own, else one is made; without `clicked_at` it is now."""

    campaign_id: str
    affiliate_id: str
    sub1: str | None = None
    sub2: str | None = None
    sub3: str | None = None
    sub4: str | None = None
    sub5: str | None = None
    click_id: str | None = None
    clicked_at: datetime | None = None
    via: str = "api"


def record(runtime: Runtime, session: Session, clicks: Sequence[NewClick]) -> list[Click]:
    """Store `clicks` in one statement and return them in their order; a conversion may wait for one of them.

    All or none: raise Invalid with every fault, its field behind the click's place (`3.campaign_id`), or Conflict
    naming the click ids that are taken.
    """
    now = runtime.clock()
    faults = list(_faults(session, clicks, now))
    if faults:
        raise Invalid.of(*faults)
    rows = [_row(runtime.new_id("clk"), click, now) for click in clicks]
    inserted = insert_new(session, Click, rows, key=["click_id"])
    if len(inserted) < len(rows):
        stored = {row.id for row in inserted}
        taken = [str(row["click_id"]) for row in rows if row["id"] not in stored]
        message = f"taken already: {', '.join(taken[:_NAMED_MAX])}"
        if len(taken) > _NAMED_MAX:
            message += f" and {len(taken) - _NAMED_MAX} more"
        raise Conflict(message, slug="click-id-taken")
    doorbell.after_commit(session, STAGE)
    return [Click(**row) for row in rows]


def _row(click_row_id: str, click: NewClick, now: datetime) -> dict[str, object]:
    return {
        "id": click_row_id,
        "click_id": click.click_id or click_row_id.removeprefix("clk_"),
        "campaign_id": click.campaign_id,
        "affiliate_id": click.affiliate_id,
        "sub1": click.sub1,
        "sub2": click.sub2,
        "sub3": click.sub3,
        "sub4": click.sub4,
        "sub5": click.sub5,
        "via": click.via,
        "clicked_at": click.clicked_at or now,
        "recorded_at": now,
    }


def _faults(session: Session, clicks: Sequence[NewClick], now: datetime) -> Iterator[Fault]:
    wanted_campaigns, wanted_affiliates = {c.campaign_id for c in clicks}, {c.affiliate_id for c in clicks}
    campaigns = set(session.scalars(sa.select(Campaign.id).where(Campaign.id.in_(wanted_campaigns))))
    affiliates = set(session.scalars(sa.select(Affiliate.id).where(Affiliate.id.in_(wanted_affiliates))))
    seen: dict[str, int] = {}
    for place, click in enumerate(clicks):
        if click.campaign_id not in campaigns:
            yield Fault(f"{place}.campaign_id", f"there is no campaign {click.campaign_id}")
        if click.affiliate_id not in affiliates:
            yield Fault(f"{place}.affiliate_id", f"there is no affiliate {click.affiliate_id}")
        if click.clicked_at is not None and click.clicked_at > now + FUTURE_MAX:
            yield Fault(f"{place}.clicked_at", "lies in the future")
        if click.click_id is not None and seen.setdefault(click.click_id, place) != place:
            yield Fault(f"{place}.click_id", f"is the same as that of click {seen[click.click_id]}")
