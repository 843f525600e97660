"""Read a window of receipts again under today's mapping: a dry run that is kept, and what a second person applies."""

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core import audit, doorbell
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict, Fault, Forbidden, Invalid
from core.rows import locked
from core.runtime import Runtime
from partners.models import Source
from postback import events, recording, replaying, replays
from postback.answers import Status
from postback.event_rules import EventKind, HoldReason, State
from postback.events import Event
from postback.models import Reprocessing
from postback.replaying import Difference, Finding
from postback.replays import Plan, Window

EXAMPLES_MAX = 20


def propose(runtime: Runtime, session: Session, window: Window, *, actor: Actor) -> Reprocessing:
    """Look at what reading `window` again would change, and keep that; nothing else is touched.

    Raise Invalid for an unknown source, a window that is none and one with more than RECEIPTS_MAX receipts to read.
    """
    now = runtime.clock()
    _refuse_window(session, window, now)
    row = Reprocessing(id=runtime.new_id("rpr"), source_id=window.source_id, since=window.since, until=window.until)
    plan = replays.plan(runtime, session, window, row.id, is_applied=False)
    row.revision, row.content_sha256, row.state = plan.revision, plan.sha256, "planned"
    row.summary = _summary(plan)
    row.examples = [_example(each) for each in plan.differences if each.finding is not Finding.SAME][:EXAMPLES_MAX]
    row.created_at, row.created_by = now, actor.id
    session.add(row)
    session.flush()
    audit.record(session, Act(actor, "proposed", "reprocessing", row.id, now, after=_facts(row)))
    return row


def apply(runtime: Runtime, session: Session, reprocessing_id: str, *, actor: Actor) -> Reprocessing:
    """Do what a dry run said: invalid receipts become conversions, others are adjusted, each with an event.

    Raise NotFound, Forbidden to who made the dry run, and Conflict when it was applied before or anything that it
    rests on has moved on: the source, the receipts of the window or their conversions.
    """
    row = locked(session, Reprocessing, reprocessing_id)
    if row.created_by == actor.id:
        message = "whoever made the dry run does not apply it: that takes another person"
        raise Forbidden(message)
    if row.state != "planned":
        message = f"{row.id} is applied already"
        raise Conflict(message, slug="applied-already")
    window = Window(row.source_id, row.since, row.until)
    plan = replays.plan(runtime, session, window, row.id, is_applied=True)
    if plan.revision != row.revision:
        message = f"{row.source_id} was changed since the dry run: make another one"
        raise Conflict(message, slug="source-moved-on")
    if plan.sha256 != row.content_sha256:
        message = "the window's receipts or their conversions have changed since the dry run: make another one"
        raise Conflict(message, slug="window-moved-on")
    now = runtime.clock()
    recorded = _record(runtime, session, plan)
    adjusted = _adjust(session, plan, row, actor, now)
    row.state, row.applied_at, row.applied_by = "applied", now, actor.id
    row.result = {"recorded": recorded, "adjusted": adjusted}
    audit.record(session, Act(actor, "applied", "reprocessing", row.id, now, before=_facts(row), after=row.result))
    doorbell.after_commit(session, "accrual")
    return row


def _refuse_window(session: Session, window: Window, now: datetime) -> None:
    found = []
    if session.get(Source, window.source_id) is None:
        found.append(Fault("source_id", "is no source"))
    if window.since >= window.until:
        found.append(Fault("from", "lies before until"))
    if window.until > now:
        found.append(Fault("until", "lies in the future: what comes until then nobody has seen"))
    if found:
        raise Invalid.of(*found)


def _record(runtime: Runtime, session: Session, plan: Plan) -> int:
    recorded = 0
    for beliefs in replays.chunks(plan.beliefs):
        outcomes = recording.record(runtime, session, beliefs)
        recorded += sum(outcome.status is not Status.DUPLICATE for outcome in outcomes)
    return recorded


def _adjust(session: Session, plan: Plan, row: Reprocessing, actor: Actor, now: datetime) -> int:
    reason = f"reprocessing {row.id}"
    happened = []
    for each in plan.differences:
        if each.finding is not Finding.ADJUST or each.after is None:
            continue
        conversion = plan.conversions[each.receipt_id]
        before = events.in_full(conversion)
        conversion.payout_minor = each.after.payout.amount_minor if each.after.payout else None
        conversion.amount_minor = each.after.amount.amount_minor if each.after.amount else None
        if conversion.state == State.ACCRUED:
            conversion.is_accrual_due = True
        if conversion.hold_reason == HoldReason.UNPRICEABLE:
            # It waited for an amount.
            conversion.hold_reason = None
        after = events.in_full(conversion)
        # With the hash of what the receipt says today: the network's next repetition is then a duplicate, no conflict.
        details = {
            "before": before, "after": after, "reprocessing_id": row.id,
            "content_sha256": plan.claims[each.receipt_id].sha256,
        }  # fmt: skip
        event = Event(EventKind.ADJUSTED, actor, now, receipt_id=each.receipt_id, reason=reason, details=details)
        happened.append((conversion, event))
        audit.record(session, Act(actor, "adjusted", "conversion", conversion.id, now, before, after, reason))
    for chunk in replays.chunks(happened):
        events.append_each(session, chunk)
    return len(happened)


def _summary(plan: Plan) -> dict[str, Any]:
    counts = Counter(each.finding for each in plan.differences)
    return {
        "receipts": len(plan.differences),
        "findings": {finding.value: counts[finding] for finding in Finding},
        "changes": replaying.changes(plan.differences),
        "payouts": [
            {"currency": currency, "before_minor": sums.before_minor, "after_minor": sums.after_minor}
            for currency, sums in replaying.payouts(plan.differences).items()
        ],
    }


def _example(difference: Difference) -> dict[str, Any]:
    return {
        "receipt_id": difference.receipt_id,
        "conversion_id": difference.standing.conversion_id if difference.standing else None,
        "finding": difference.finding.value,
        "before": difference.before.as_json if difference.before else None,
        "after": difference.after.as_json if difference.after else None,
    }


def _facts(row: Reprocessing) -> dict[str, Any]:
    return {
        "source_id": row.source_id, "from": row.since.isoformat(), "until": row.until.isoformat(),
        "content_sha256": row.content_sha256, "findings": row.summary["findings"], "payouts": row.summary["payouts"],
    }  # fmt: skip
