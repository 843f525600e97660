"""Record believed postbacks exactly once: receipt, conversion and first event in the same commit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import bulk, doorbell
from core.database import insert_new, table_of
from core.runtime import Runtime
from partners.models import Campaign
from postback import attribution, event_rules, events, receipts, repeating
from postback.answers import Status
from postback.beliefs import INTAKE, Belief, Recorded
from postback.content import Meaning
from postback.event_rules import EventKind, State
from postback.events import Event
from postback.models import Conversion, ConversionEvent
from postback.verification import Refusal
from tracking.models import Click

# Of a new conversion, in the order in which it is made.
COLUMNS = (
    "id", "source_id", "dedupe_key", "content_sha256", "receipt_id", "transaction_id", "claimed_click_id", "click_id",
    "campaign_id", "affiliate_id", "event", "status_word", "payout_minor", "amount_minor", "currency", "occurred_at",
    "recorded_at", "subs", "assurance", "covered_fields", "state", "hold_reason", "version",
)  # fmt: skip


class New(NamedTuple):
    """A conversion about to be inserted."""

    row: Mapping[str, Any]
    status: Status
    belief: Belief


def record(runtime: Runtime, session: Session, beliefs: Sequence[Belief]) -> list[Recorded]:
    """Record `beliefs` and return what became of each, in their order; two of one key may be among them.

    The unique key (source_id, dedupe_key) decides which is the first, whoever else records at the same moment.
    """
    wanted = [belief for belief in beliefs if may_be_first(belief)]
    # What looks for its original by transaction comes after what may be that original, wherever both stand in here.
    seeking = [belief for belief in wanted if repeating.seeks_original(belief)]
    new = _insert(runtime, session, [belief for belief in wanted if not repeating.seeks_original(belief)])
    originals = repeating.originals(session, seeking)
    new |= _insert(runtime, session, [belief for belief in seeking if id(belief) not in originals])
    repeated = [belief for belief in beliefs if id(belief) not in new]
    existing = repeating.existing(session, repeated)
    recorded = []
    rows = []
    for belief in beliefs:
        if id(belief) in new:
            first = new[id(belief)]
            receipt_id = first.row["receipt_id"]
            outcome = Recorded(first.status, receipt_id, first.row["id"])
        else:
            receipt_id = _receipt_id(belief)
            conversion = originals.get(id(belief)) or existing.get(belief.key)
            outcome = _repeated(session, conversion, belief, receipt_id)
        if belief.is_postback:
            rows.append(receipt_of(belief, receipt_id, outcome))
        recorded.append(outcome)
    receipts.write(session, rows)
    return recorded


def may_be_first(belief: Belief) -> bool:
    """Say whether a belief may be the first of its key: a test call and a late one that nobody wants may not."""
    return belief.claim.meaning is not Meaning.IGNORED and not (belief.is_late and belief.refuses_late)


def _repeated(session: Session, conversion: Conversion | None, belief: Belief, receipt_id: str) -> Recorded:
    if belief.claim.meaning is Meaning.IGNORED:
        return Recorded(Status.IGNORED, receipt_id)
    if conversion is None:
        return Recorded(Status.UNAUTHORISED)
    if not belief.is_postback:
        # Recorded by another postback meanwhile. The network repeats nothing here, so nothing comes of it.
        return Recorded(Status.DUPLICATE, conversion.receipt_id, conversion.id)
    status = repeating.repeat(session, conversion, belief, receipt_id)
    return Recorded(status, conversion.receipt_id, conversion.id)


def _insert(runtime: Runtime, session: Session, beliefs: Sequence[Belief]) -> dict[int, New]:
    """Insert a conversion and its first event for every belief whose key is new; return those by identity."""
    if not beliefs:
        return {}
    taken_back = repeating.taken_back(session, beliefs)
    known = known_clicks(session, {belief.claim.click_id for belief in beliefs} - {""})
    made = {
        id(belief): conversion_of(
            runtime,
            belief,
            known.get(belief.claim.click_id),
            is_taken_back=repeating.transaction_of(belief) in taken_back,
        )
        for belief in beliefs
    }
    # In the order of the key: two transactions that record the same conversions then wait in line, not in a circle.
    ordered = sorted(beliefs, key=lambda belief: belief.key)
    taken = insert_new(
        session, Conversion, [made[id(belief)].row for belief in ordered], key=["source_id", "dedupe_key"]
    )
    inserted = {row.id for row in taken}
    new = {place: each for place, each in made.items() if each.row["id"] in inserted}
    bulk.insert(session, table_of(ConversionEvent), [first_event(each) for each in new.values()])
    states = {each.row["state"] for each in new.values()}
    if State.RECORDED.value in states:
        doorbell.after_commit(session, "accrual")
    if State.UNMATCHED.value in states:
        # The click may be committed between our look for it and our own commit: then nobody but us would ring.
        doorbell.after_commit(session, "matching-clicks")
    return new


def first_event(new: New) -> dict[str, Any]:
    """Return the first event of a new conversion, as a row."""
    details = {"state": new.row["state"], "hold_reason": new.row["hold_reason"]}
    if new.belief.claim.meaning is not Meaning.APPROVED:
        details["meaning"] = new.belief.claim.meaning.value
    if new.belief.replays is not None:
        details |= {
            "reprocessing_id": new.belief.replays.reprocessing_id, "receipt_id": new.belief.replays.receipt_id,
        }  # fmt: skip
    event = Event(EventKind.RECORDED, INTAKE, new.row["recorded_at"], receipt_id=new.row["receipt_id"], details=details)
    if (reported := new.belief.reported) is not None:
        details["reported_by"] = reported.reference
        event = replace(event, actor=reported.actor, reason=reported.reason, receipt_id=None)
    return events.row(new.row["id"], 1, event)


def conversion_of(runtime: Runtime, belief: Belief, click: Any, *, is_taken_back: bool = False) -> New:
    """Return the conversion that a belief makes, with its click where that is here.

    `is_taken_back`: its transaction has a refund already.
    """
    claim = belief.claim
    is_outside = click is not None and attribution.is_outside_window(
        occurred_at=claim.occurred_at, clicked_at=click.clicked_at, window_days=click.attribution_window_days
    )
    state = event_rules.first_state(claim.meaning, is_matched=click is not None, is_test=belief.is_test)
    hold = event_rules.hold_reason(
        claim.meaning, is_late=belief.is_late, is_outside_window=is_outside, is_taken_back=is_taken_back
    )
    row = {
        "id": runtime.new_id("cnv"),
        "source_id": belief.attempt.source_id,
        "dedupe_key": belief.dedupe_key,
        "content_sha256": claim.sha256,
        "receipt_id": _receipt_id(belief),
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
        "recorded_at": _recorded_at(belief),
        "subs": dict(claim.subs),
        "assurance": belief.assurance,
        "covered_fields": belief.covered,
        "state": state.value,
        "hold_reason": hold.value if hold and event_rules.may_hold(state) else None,
        "version": 1,
    }
    status = Status.ACCEPTED if click or state is not State.UNMATCHED else Status.UNMATCHED
    return New(row, Status.HELD_LATE if belief.is_late else status, belief)


def _recorded_at(belief: Belief) -> datetime:
    again = belief.replays or belief.reported
    return again.at if again else belief.attempt.received_at


def _receipt_id(belief: Belief) -> str:
    """Return the id of what a belief is recorded from: its own new receipt, the one that is read again, or a line."""
    if belief.reported:
        return belief.reported.reference
    return belief.replays.receipt_id if belief.replays else receipts.new_id(belief.attempt)


def known_clicks(session: Session, click_ids: set[str]) -> dict[str, Any]:
    """Return the row of each click that is here, with its campaign's window in days."""
    if not click_ids:
        return {}
    statement = (
        sa.select(
            Click.id, Click.click_id, Click.campaign_id, Click.affiliate_id, Click.clicked_at,
            Campaign.attribution_window_days,
        )
        .join(Campaign, Campaign.id == Click.campaign_id)
        .where(Click.click_id.in_(sorted(click_ids)))
    )  # fmt: skip
    return {row.click_id: row for row in session.execute(statement)}


def receipt_of(belief: Belief, receipt_id: str, outcome: Recorded) -> dict[str, Any]:
    """Return the receipt of a belief, as a row."""
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
            dedupe_key=belief.dedupe_key or None,
            conversion_id=outcome.conversion_id,
        ),
    )
