"""The conversion that we never recorded, made from the network's line by the code that records postbacks."""

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.actors import Actor
from core.errors import Conflict, Fault, Invalid
from core.money import Money
from core.runtime import Runtime
from partners.models import Source
from postback import receipts, recording
from postback.answers import Status
from postback.beliefs import Belief, Reported
from postback.content import DEFAULT_EVENT, Claim, DedupeBy
from postback.receipts import Attempt
from reports.models import NetworkLine
from tracking.models import Click

# A line has a day and no time: noon lies in its month wherever in the world it was written.
_NOON = time(12, tzinfo=UTC)


@dataclass(frozen=True)
class Missing:
    """What a line does not say about its conversion: whose click it was, and which event."""

    click_id: str | None = None
    event: str | None = None


def create(
    runtime: Runtime, session: Session, line: NetworkLine, missing: Missing, *, reason: str, actor: Actor
) -> str:
    """Record the conversion that `line` reports, and return its id. It accrues and is paid like any other.

    It stands under the key that the network's own postback would have: one that comes later doubles nothing. Nothing
    of it is proven, and its assurance says so. Raise Invalid with every fault, and Conflict where it is recorded by
    now.
    """
    source = session.get_one(Source, line.source_id)
    click = _click(session, missing.click_id or line.claimed_click_id)
    _refuse(line, missing, source, click)
    claim = _claim(line, missing, click)
    now = runtime.clock()
    belief = Belief(
        Attempt(source.id, "POST", "", b"", now, 0.0),
        "",
        receipts.NOTHING_PROVEN,
        (),
        claim,
        claim.dedupe_key(DedupeBy(source.dedupe_by)),
        is_test=source.is_test,
        dedupe_by=DedupeBy(source.dedupe_by),
        reported=Reported(line.id, actor, reason, now),
    )
    [recorded] = recording.record(runtime, session, [belief])
    if recorded.status is Status.DUPLICATE or recorded.conversion_id is None:
        message = f"this conversion is here by now, as {recorded.conversion_id}: reconcile the month again"
        raise Conflict(message, slug="recorded-meanwhile")
    return recorded.conversion_id


def _click(session: Session, click_id: str | None) -> Click | None:
    return None if not click_id else session.scalar(sa.select(Click).where(Click.click_id == click_id))


def _refuse(line: NetworkLine, missing: Missing, source: Source, click: Click | None) -> None:
    faults = []
    if not line.transaction_id and source.dedupe_by != DedupeBy.CLICK_EVENT:
        reason = "the network's line has no transaction id: nothing would tell it from others"
        faults.append(Fault("resolution", reason))
    if line.amount_minor < 0:
        faults.append(Fault("resolution", "the network's line takes something back: there is nothing to record"))
    if click is None:
        named = missing.click_id or line.claimed_click_id
        reason = "is no click of ours" if named else "is needed: the network's line names no click"
        faults.append(Fault("click_id", reason))
    if faults:
        raise Invalid.of(*faults)


def _claim(line: NetworkLine, missing: Missing, click: Any) -> Claim:
    occurred_at = datetime.combine(line.occurred_on, _NOON)
    if click.clicked_at.date() == line.occurred_on:
        # Nobody buys before he clicks: of the same day the click's own moment is the nearest that we know.
        occurred_at = max(occurred_at, click.clicked_at)
    return Claim(
        transaction_id=line.transaction_id or "",
        click_id=click.click_id,
        event=missing.event or DEFAULT_EVENT,
        status_word=line.status_word,
        payout=Money(line.amount_minor, line.currency),
        amount=None,
        currency=line.currency,
        subs={},
        told_at=occurred_at,
        sent_at=occurred_at,
    )
