"""One part of a reprocessing, in one commit: read under today's mapping, found again as it was, or applied."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, doorbell
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict
from core.runtime import Runtime
from postback import events, recording, replaying, replays
from postback.answers import Status
from postback.event_rules import EventKind, HoldReason, State
from postback.events import Event
from postback.models import Reprocessing, ReprocessingKey, ReprocessingPart
from postback.replaying import Difference, Finding
from postback.replays import Plan, Span, Window

EXAMPLES_MAX = 20
NOTHING: Mapping[str, Any] = {"receipts": 0, "findings": {}, "changes": {}, "payouts": []}


def read(runtime: Runtime, session: Session, row: Reprocessing, *, limit: int | None) -> bool:
    """Read the next `limit` receipts, None: all that are left; return whether these were the last.

    What they would change is added to what `row` says. Raise Conflict when the source has moved on.
    """
    whole = Window(row.source_id, row.since, row.until).span
    last = session.scalar(_parts(row).order_by(ReprocessingPart.seq.desc()).limit(1))
    seq, low = (1, whole.low) if last is None else (last.seq + 1, last.high)
    rest = Span(row.source_id, low, whole.high)
    high = rest.high if limit is None else replays.after(session, rest, limit)
    plan = replays.plan(runtime, session, Span(row.source_id, low, high), row.id, seq=seq, is_applied=False)
    _refuse_other_source(row, plan)
    session.add(
        ReprocessingPart(
            reprocessing_id=row.id, seq=seq, low=low, high=high, receipts=plan.receipts, content_sha256=plan.sha256
        )
    )
    is_last = high == whole.high
    if not is_last and plan.beliefs:
        keys = [{"reprocessing_id": row.id, "dedupe_key": belief.dedupe_key, "seq": seq} for belief in plan.beliefs]
        session.execute(sa.insert(ReprocessingKey), keys)
    row.summary = _added(row.summary, _summary(plan))
    shown = [_example(each) for each in plan.differences if each.finding is not Finding.SAME]
    row.examples = [*row.examples, *shown][:EXAMPLES_MAX]
    _advance(row, "read", plan.receipts)
    session.flush()
    return is_last


def digest(session: Session, row: Reprocessing) -> str:
    """Return the hash of everything that was decided about all parts."""
    hashes = session.scalars(sa.select(ReprocessingPart.content_sha256).where(*_of(row)).order_by(ReprocessingPart.seq))
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def unchecked(session: Session, row: Reprocessing) -> ReprocessingPart | None:
    """Return the first part that was not found again as it was read."""
    return session.scalar(
        _parts(row).where(ReprocessingPart.checked_at.is_(None)).order_by(ReprocessingPart.seq).limit(1)
    )


def unapplied(session: Session, row: Reprocessing) -> ReprocessingPart | None:
    """Return the first part that is not applied."""
    return session.scalar(
        _parts(row).where(ReprocessingPart.applied_at.is_(None)).order_by(ReprocessingPart.seq).limit(1)
    )


def check(runtime: Runtime, session: Session, row: Reprocessing, part: ReprocessingPart) -> None:
    """Find a part as the dry run read it, or raise Conflict; nothing is changed."""
    _same(runtime, session, row, part, is_applied=False)
    part.checked_at = runtime.clock()
    _advance(row, "checked", part.receipts)


def apply(runtime: Runtime, session: Session, row: Reprocessing, part: ReprocessingPart, *, actor: Actor) -> None:
    """Do what the dry run said of a part, all of it and nothing else; raise Conflict when that cannot be."""
    plan = _same(runtime, session, row, part, is_applied=True)
    now = runtime.clock()
    recorded = _record(runtime, session, plan)
    adjusted = _adjust(session, plan, row, actor, now)
    part.applied_at = now
    done = row.result or {"recorded": 0, "adjusted": 0}
    row.result = {"recorded": done["recorded"] + recorded, "adjusted": done["adjusted"] + adjusted}
    _advance(row, "applied", part.receipts)
    doorbell.after_commit(session, "accrual")


def forget_keys(session: Session, row: Reprocessing) -> None:
    """Drop what only parts yet to come needed."""
    session.execute(sa.delete(ReprocessingKey).where(ReprocessingKey.reprocessing_id == row.id))


def _of(row: Reprocessing) -> tuple[sa.ColumnElement[bool], ...]:
    return (ReprocessingPart.reprocessing_id == row.id,)


def _parts(row: Reprocessing) -> sa.Select[ReprocessingPart]:
    return sa.select(ReprocessingPart).where(*_of(row))


def _same(runtime: Runtime, session: Session, row: Reprocessing, part: ReprocessingPart, *, is_applied: bool) -> Plan:
    span = Span(row.source_id, part.low, part.high)
    plan = replays.plan(runtime, session, span, row.id, seq=part.seq, is_applied=is_applied)
    _refuse_other_source(row, plan)
    if plan.sha256 != part.content_sha256:
        raise _moved_on()
    return plan


def _refuse_other_source(row: Reprocessing, plan: Plan) -> None:
    if plan.revision != row.revision:
        message = f"{row.source_id} was changed since the dry run: make another one"
        raise Conflict(message, slug="source-moved-on")


def _moved_on() -> Conflict:
    message = "the window's receipts or their conversions have changed since the dry run: make another one"
    return Conflict(message, slug="window-moved-on")


def _record(runtime: Runtime, session: Session, plan: Plan) -> int:
    for beliefs in replays.chunks(plan.beliefs):
        outcomes = recording.record(runtime, session, beliefs)
        # Its key was recorded by a postback while we read: less would be done than was agreed.
        if any(outcome.status is Status.DUPLICATE for outcome in outcomes):
            raise _moved_on()
    return len(plan.beliefs)


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
        conversion.version += 1
        happened.append((conversion.id, event))
        audit.record(session, Act(actor, "adjusted", "conversion", conversion.id, now, before, after, reason))
    for chunk in replays.chunks(happened):
        events.append_each(session, chunk)
    return len(happened)


def _advance(row: Reprocessing, what: str, receipts: int) -> None:
    # Another dictionary: a change within the old one would not be seen.
    row.progress = {**row.progress, what: row.progress[what] + receipts}


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


def _added(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "receipts": one["receipts"] + other["receipts"],
        "findings": _sums(one["findings"], other["findings"]),
        "changes": _sums(one["changes"], other["changes"]),
        "payouts": _payouts([*one["payouts"], *other["payouts"]]),
    }


def _sums(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + count for name, count in other.items()}


def _payouts(each_part: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for sums in each_part:
        before[sums["currency"]] += sums["before_minor"]
        after[sums["currency"]] += sums["after_minor"]
    return [
        {"currency": currency, "before_minor": before[currency], "after_minor": after[currency]}
        for currency in sorted(before)
    ]


def _example(difference: Difference) -> dict[str, Any]:
    return {
        "receipt_id": difference.receipt_id,
        "conversion_id": difference.standing.conversion_id if difference.standing else None,
        "finding": difference.finding.value,
        "before": difference.before.as_json if difference.before else None,
        "after": difference.after.as_json if difference.after else None,
    }
