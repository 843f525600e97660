"""Give unmatched conversions their click once it has arrived."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import doorbell
from core.actors import system
from core.database import among
from core.runtime import Runtime
from partners.models import Campaign
from postback import attribution, events
from postback.event_rules import EventKind, HoldReason, State
from postback.events import Event
from postback.models import Conversion
from tracking.models import Click

STAGE = "matching-clicks"
BATCH_ROWS_MAX = 5000
_ACTOR = system(STAGE)
_OUTSIDE = HoldReason.OUTSIDE_WINDOW.value


def run_batch(runtime: Runtime, session: Session, limit: int) -> int:
    """Match at most `limit` conversions whose click is here by now; return how many there were."""
    # Another worker's rows are skipped; clicks and campaigns are only read, and nobody waits for them.
    waiting = (
        sa.select(
            Conversion.id, Conversion.occurred_at, Conversion.hold_reason, Click.id.label("click_id"),
            Click.clicked_at, Campaign.attribution_window_days,
        )
        .join(Click, Click.click_id == Conversion.claimed_click_id)
        .join(Campaign, Campaign.id == Click.campaign_id)
        .where(Conversion.state == State.UNMATCHED.value)
        .order_by(Conversion.id)
        .limit(limit)
        .with_for_update(of=Conversion, skip_locked=True)
    )  # fmt: skip
    found = session.execute(waiting).all()
    if not found:
        return 0
    now, outside, happened = runtime.clock(), [], []
    for conversion in found:
        hold_reason = conversion.hold_reason
        if hold_reason is None and _is_outside(conversion):
            hold_reason = _OUTSIDE
            outside.append(conversion.id)
        details = {"click_id": conversion.click_id, "state": State.RECORDED.value, "hold_reason": hold_reason}
        happened.append((conversion.id, Event(EventKind.MATCHED, _ACTOR, now, details=details)))
    _match(session, [conversion.id for conversion in found], set(outside))
    events.append_each(session, happened)
    doorbell.after_commit(session, "accrual")
    return len(found)


def _is_outside(conversion: Any) -> bool:
    return attribution.is_outside_window(
        occurred_at=conversion.occurred_at,
        clicked_at=conversion.clicked_at,
        window_days=conversion.attribution_window_days,
    )


def _match(session: Session, ids: Sequence[str], outside: set[str]) -> None:
    """Give each its click's campaign and affiliate, and hold those of `outside`."""
    values: dict[str, Any] = {
        "click_id": Click.id,
        "campaign_id": Click.campaign_id,
        "affiliate_id": Click.affiliate_id,
        "state": State.RECORDED.value,
        "version": Conversion.version + 1,
    }
    for chosen, more in (
        ([id_ for id_ in ids if id_ not in outside], {}),
        (sorted(outside), {"hold_reason": _OUTSIDE}),
    ):
        if chosen:
            session.execute(
                sa.update(Conversion)
                .where(among(session, Conversion.id, chosen), Click.click_id == Conversion.claimed_click_id)
                .values(**values, **more)
                .execution_options(synchronize_session=False)
            )
