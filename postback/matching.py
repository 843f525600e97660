"""Give unmatched conversions their click once it has arrived."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import doorbell
from core.actors import system
from core.database import claim
from core.runtime import Runtime
from postback import attribution, events
from postback.event_rules import EventKind, HoldReason, State
from postback.events import Event
from postback.models import Conversion
from postback.recording import known_clicks
from tracking.models import Click

STAGE = "matching-clicks"
BATCH_ROWS_MAX = 500


def run_batch(runtime: Runtime, session: Session, *, limit: int = BATCH_ROWS_MAX) -> int:
    """Match at most `limit` conversions whose click is here by now; return how many there were."""
    has_click = sa.exists().where(Click.click_id == Conversion.claimed_click_id)
    waiting = (
        sa.select(Conversion)
        .where(Conversion.state == State.UNMATCHED.value, has_click)
        .order_by(Conversion.id)
        .limit(limit)
    )
    found = list(session.scalars(claim(waiting)))
    known = known_clicks(session, {conversion.claimed_click_id for conversion in found})
    now, happened = runtime.clock(), []
    for conversion in found:
        click = known[conversion.claimed_click_id]
        conversion.click_id = click.id
        conversion.campaign_id, conversion.affiliate_id = click.campaign_id, click.affiliate_id
        conversion.state = State.RECORDED.value
        if conversion.hold_reason is None and attribution.is_outside_window(
            occurred_at=conversion.occurred_at,
            clicked_at=click.clicked_at,
            window_days=click.attribution_window_days,
        ):
            conversion.hold_reason = HoldReason.OUTSIDE_WINDOW.value
        details = {"click_id": click.id, **events.standing(conversion)}
        happened.append((conversion, Event(EventKind.MATCHED, system(STAGE), now, details=details)))
    if found:
        events.append_each(session, happened)
        doorbell.after_commit(session, "accrual")
    return len(found)
