"""Record believed postbacks exactly once: receipt, conversion and first event in the same commit."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import doorbell
from core.actors import system
from core.database import insert_new
from core.runtime import Runtime
from partners.models import Campaign
from postback import attribution, event_rules, events, receipts
from postback.answers import Status
from postback.content import Claim
from postback.event_rules import EventKind, HoldReason, State
from postback.events import Event
from postback.models import Conversion, ConversionEvent
from postback.receipts import Attempt
from postback.verification import Refusal
from tracking import clicks
from tracking.models import Click

INTAKE = system("intake")

_Key = tuple[str, str]


@dataclass(frozen=True)
class Belief:
    """A proven and valid postback that waits to be recorded. `refuses_late`: its source wants no late ones."""

    attempt: Attempt
    secret_id: str
    assurance: str
    covered_fields: Sequence[str]
    claim: Claim
    dedupe_key: str
    is_late: bool = False
    refuses_late: bool = False

    @property
    def key(self) -> _Key:
        """What is unique for ever."""
        return self.attempt.source_id, self.dedupe_key


@dataclass(frozen=True)
class Recorded:
    """What became of a belief; of a repeated one the ids are the first one's."""

    status: Status
    receipt_id: str | None = None
    conversion_id: str | None = None


@dataclass(frozen=True)
class _New:
    """A conversion about to be inserted."""

    row: Mapping[str, Any]
    status: Status


def record(runtime: Runtime, session: Session, beliefs: Sequence[Belief]) -> list[Recorded]:
    """Record `beliefs` and return what became of each, in their order; two of one key may be among them.

    The unique key (source_id, dedupe_key) decides which is the first, whoever else records at the same moment.
    """
    wanted = [belief for belief in beliefs if not (belief.is_late and belief.refuses_late)]
    new = _insert(runtime, session, wanted)
    repeated = [belief for belief in beliefs if id(belief) not in new]
    existing = _existing(session, repeated)
    recorded = []
    rows = []
    for belief in beliefs:
        receipt_id = runtime.new_id("rcp") if id(belief) not in new else new[id(belief)].row["receipt_id"]
        if id(belief) in new:
            first = new[id(belief)]
            outcome = Recorded(first.status, receipt_id, first.row["id"])
        elif belief.key in existing:
            conversion = existing[belief.key]
            status = _repeat(session, conversion, belief, receipt_id)
            outcome = Recorded(status, conversion.receipt_id, conversion.id)
        else:
            outcome = Recorded(Status.UNAUTHORISED)
        rows.append(_receipt(belief, receipt_id, outcome))
        recorded.append(outcome)
    receipts.write(session, rows)
    return recorded


def _insert(runtime: Runtime, session: Session, beliefs: Sequence[Belief]) -> dict[int, _New]:
    """Insert a conversion and its first event for every belief whose key is new; return those by identity."""
    known = clicks.by_click_ids(session, sorted({belief.claim.click_id for belief in beliefs}))
    windows = attribution_windows(session, {click.campaign_id for click in known.values()})
    made = {id(belief): _conversion(runtime, belief, known, windows) for belief in beliefs}
    # In the order of the key: two transactions that record the same conversions then wait in line, not in a circle.
    ordered = sorted(beliefs, key=lambda belief: belief.key)
    taken = insert_new(
        session, Conversion, [made[id(belief)].row for belief in ordered], key=["source_id", "dedupe_key"]
    )
    inserted = {row.id for row in taken}
    new = {place: each for place, each in made.items() if each.row["id"] in inserted}
    first_events = [
        events.row(
            each.row["id"],
            1,
            Event(
                EventKind.RECORDED,
                INTAKE,
                each.row["recorded_at"],
                receipt_id=each.row["receipt_id"],
                details={"state": each.row["state"], "hold_reason": each.row["hold_reason"]},
            ),
        )
        for each in new.values()
    ]
    if first_events:
        session.execute(sa.insert(ConversionEvent), first_events)
    states = {each.row["state"] for each in new.values()}
    if State.RECORDED.value in states:
        doorbell.after_commit(session, "accrual")
    if State.UNMATCHED.value in states:
        # The click may be committed between our look for it and our own commit: then nobody but us would ring.
        doorbell.after_commit(session, "matching-clicks")
    return new


def _conversion(runtime: Runtime, belief: Belief, known: Mapping[str, Click], windows: Mapping[str, int]) -> _New:
    claim = belief.claim
    click = known.get(claim.click_id)
    is_outside = click is not None and attribution.is_outside_window(
        occurred_at=claim.occurred_at, clicked_at=click.clicked_at, window_days=windows[click.campaign_id]
    )
    hold = event_rules.hold_reason(is_late=belief.is_late, is_outside_window=is_outside)
    status = Status.ACCEPTED if click else Status.UNMATCHED
    row = {
        "id": runtime.new_id("cnv"),
        "source_id": belief.attempt.source_id,
        "dedupe_key": belief.dedupe_key,
        "content_sha256": claim.sha256,
        "receipt_id": runtime.new_id("rcp"),
        "transaction_id": claim.transaction_id,
        "claimed_click_id": claim.click_id,
        "click_id": click.id if click else None,
        "campaign_id": click.campaign_id if click else None,
        "affiliate_id": click.affiliate_id if click else None,
        "event": claim.event,
        "status_word": claim.status_word,
        "payout_minor": claim.payout.amount_minor if claim.payout else None,
        "amount_minor": claim.amount.amount_minor if claim.amount else None,
        "currency": claim.currency,
        "occurred_at": claim.occurred_at,
        "recorded_at": belief.attempt.received_at,
        "subs": dict(claim.subs),
        "assurance": belief.assurance,
        "state": (State.RECORDED if click else State.UNMATCHED).value,
        "hold_reason": hold.value if hold else None,
        "version": 1,
    }
    return _New(row, Status.HELD_LATE if belief.is_late else status)


def attribution_windows(session: Session, campaign_ids: Collection[str]) -> dict[str, int]:
    """Return how many days after a click each campaign's conversions still count."""
    if not campaign_ids:
        return {}
    statement = sa.select(Campaign.id, Campaign.attribution_window_days).where(Campaign.id.in_(campaign_ids))
    return {row.id: row.attribution_window_days for row in session.execute(statement)}


def _existing(session: Session, beliefs: Sequence[Belief]) -> dict[_Key, Conversion]:
    keys = sorted({belief.key for belief in beliefs})
    if not keys:
        return {}
    statement = sa.select(Conversion).where(sa.tuple_(Conversion.source_id, Conversion.dedupe_key).in_(keys))
    return {(found.source_id, found.dedupe_key): found for found in session.scalars(statement)}


def _repeat(session: Session, conversion: Conversion, belief: Belief, receipt_id: str) -> Status:
    """Compare a repeated postback with what was recorded; the first of its kind wins, another content holds it."""
    if conversion.content_sha256 == belief.claim.sha256:
        return Status.DUPLICATE
    session.refresh(conversion, with_for_update=True)
    if _is_known_conflict(session, conversion, belief.claim):
        # The network repeats itself: a person who has decided about this already need not decide again.
        return Status.CONFLICT
    before = conversion.hold_reason
    if event_rules.may_hold(State(conversion.state)):
        conversion.hold_reason = HoldReason.CONFLICT.value
    details = {"told": belief.claim.facts, "content_sha256": belief.claim.sha256, "hold_reason_before": before}
    events.append(
        session,
        conversion,
        Event(EventKind.CONFLICTED, INTAKE, belief.attempt.received_at, receipt_id=receipt_id, details=details),
    )
    session.flush()
    return Status.CONFLICT


def _is_known_conflict(session: Session, conversion: Conversion, claim: Claim) -> bool:
    earlier = session.scalars(
        sa.select(ConversionEvent.details).where(
            ConversionEvent.conversion_id == conversion.id, ConversionEvent.kind == EventKind.CONFLICTED.value
        )
    )
    return any(details["content_sha256"] == claim.sha256 for details in earlier)


def _receipt(belief: Belief, receipt_id: str, outcome: Recorded) -> dict[str, Any]:
    if outcome.status is Status.UNAUTHORISED:
        return receipts.refused(receipt_id, belief.attempt, Refusal.STALE, belief.secret_id)
    return receipts.believed(
        receipt_id,
        belief.attempt,
        receipts.Believed(
            outcome.status,
            belief.secret_id,
            belief.assurance,
            belief.covered_fields,
            dedupe_key=belief.dedupe_key,
            conversion_id=outcome.conversion_id,
        ),
    )
