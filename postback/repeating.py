"""A key that comes again: the same content is a duplicate, other content what the source's policy makes of it."""

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import doorbell
from core.money import Money
from postback import event_rules, events
from postback.answers import Status
from postback.beliefs import INTAKE, Belief
from postback.content import Claim, DedupeBy
from postback.event_rules import EventKind, HoldReason, MoneyChange, Repeat, Standing, State
from postback.events import Event
from postback.models import Conversion, ConversionEvent

Pair = tuple[str, str]


def existing(session: Session, beliefs: Sequence[Belief]) -> dict[tuple[str, str], Conversion]:
    """Return the conversions that are there under the keys of `beliefs`."""
    keys = sorted({belief.key for belief in beliefs})
    if not keys:
        return {}
    statement = sa.select(Conversion).where(sa.tuple_(Conversion.source_id, Conversion.dedupe_key).in_(keys))
    return {(found.source_id, found.dedupe_key): found for found in session.scalars(statement)}


def seeks_original(belief: Belief) -> bool:
    """Say whether a belief takes something back that its own key does not name."""
    return belief.claim.is_reversal and belief.dedupe_by is DedupeBy.TRANSACTION_EVENT


def originals(session: Session, seeking: Sequence[Belief]) -> dict[int, Conversion]:
    """Return the conversions that those who seek one take back, by the belief's identity.

    Under a key of transaction and event a refund's event is its own: the original is then the transaction's one
    conversion, or of several the one with the same event, or else the one that is not taken back already. One whose
    original is not here is missing.
    """
    pairs = sorted({transaction_of(belief) for belief in seeking})
    if not pairs:
        return {}
    statement = sa.select(Conversion).where(sa.tuple_(Conversion.source_id, Conversion.transaction_id).in_(pairs))
    found = defaultdict(list)
    for conversion in session.scalars(statement.order_by(Conversion.id)):
        found[conversion.source_id, conversion.transaction_id].append(conversion)
    chosen = {}
    for belief in seeking:
        candidates = found[transaction_of(belief)]
        fitting = [each for each in candidates if each.event == belief.claim.event] or candidates
        if len(fitting) > 1:
            fitting = [each for each in fitting if event_rules.may_hold(State(each.state))]
        if len(fitting) == 1:
            chosen[id(belief)] = fitting[0]
    return chosen


def may_be_taken_back(beliefs: Sequence[Belief]) -> list[Pair]:
    """Return the transactions whose refund may have come first, under an event of its own.

    Such a refund is a conversion by itself: the sale that follows must not be paid without a person. Where the key is
    the transaction alone, the two meet in one row.
    """
    by_event = [belief for belief in beliefs if belief.dedupe_by is DedupeBy.TRANSACTION_EVENT]
    return sorted({transaction_of(belief) for belief in by_event if not belief.claim.is_reversal})


def taken_back(session: Session, beliefs: Sequence[Belief]) -> set[Pair]:
    """Return those transactions of `may_be_taken_back` that have a reversed conversion."""
    pairs = may_be_taken_back(beliefs)
    if not pairs:
        return set()
    statement = sa.select(Conversion.source_id, Conversion.transaction_id).where(
        sa.tuple_(Conversion.source_id, Conversion.transaction_id).in_(pairs), Conversion.state == State.REVERSED.value
    )
    return {(source_id, transaction_id) for source_id, transaction_id in session.execute(statement)}


def transaction_of(belief: Belief) -> Pair:
    """Return what tells a transaction from all others: its source and its id there."""
    return belief.attempt.source_id, belief.claim.transaction_id


def repeat(session: Session, conversion: Conversion, belief: Belief, receipt_id: str) -> Status:
    """Do what a repeated postback comes to, and return what its sender hears."""
    claim = belief.claim
    if conversion.content_sha256 == claim.sha256:
        return Status.DUPLICATE
    # Behind its lock, and as it is now: another transaction may have done something to it since it was read.
    session.refresh(conversion, with_for_update=True)
    earlier = _earlier(session, conversion, claim)
    if earlier is not None:
        # The network repeats itself: what it came to the first time needs no second decision.
        return Status.CONFLICT if earlier == EventKind.CONFLICTED else Status.DUPLICATE
    change = event_rules.on_repeat(_standing(conversion, claim), claim.meaning, belief.duplicates)
    if change is not None and change.money is not MoneyChange.KEEP and claim.currency != conversion.currency:
        # Two currencies are never one sum, whatever the policy.
        change = None
    details = {"told": claim.facts, "content_sha256": claim.sha256, "before": events.in_full(conversion)}
    if change is None:
        if event_rules.may_hold(State(conversion.state)):
            conversion.hold_reason = HoldReason.CONFLICT.value
        kind = EventKind.CONFLICTED
    else:
        _apply(session, conversion, change, claim)
        kind = change.kind
    details["after"] = events.in_full(conversion)
    event = Event(kind, INTAKE, belief.attempt.received_at, receipt_id=receipt_id, details=details)
    events.append(session, conversion, event)
    session.flush()
    return Status.CONFLICT if change is None else Status.UPDATED


def _standing(conversion: Conversion, claim: Claim) -> Standing:
    is_same_currency = claim.currency == conversion.currency
    same = is_same_currency and (claim.payout, claim.amount) == (conversion.payout, conversion.amount)
    return Standing(
        State(conversion.state),
        is_pending=conversion.hold_reason in {HoldReason.PENDING, HoldReason.UNKNOWN_STATUS},
        is_same_money=same,
        is_part=is_same_currency
        and (_is_part(claim.payout, conversion.payout) or _is_part(claim.amount, conversion.amount)),
    )


def _is_part(taken: Money | None, whole: Money | None) -> bool:
    return taken is not None and whole is not None and 0 < taken.amount_minor < whole.amount_minor


def _apply(session: Session, conversion: Conversion, change: Repeat, claim: Claim) -> None:
    was_accrued = conversion.state == State.ACCRUED
    conversion.state = change.state.value
    # A conflict or a late arrival waits for a person still; the network's own word lifts only its own hold.
    if conversion.hold_reason in {HoldReason.PENDING, HoldReason.UNKNOWN_STATUS} or not event_rules.may_hold(
        change.state
    ):
        conversion.hold_reason = None
    conversion.payout_minor = _changed(conversion.payout, claim.payout, change.money)
    conversion.amount_minor = _changed(conversion.amount, claim.amount, change.money)
    if claim.status_word is not None:
        conversion.status_word = claim.status_word
    if was_accrued:
        conversion.is_accrual_due = True
    doorbell.after_commit(session, "accrual")


def _changed(before: Money | None, told: Money | None, change: MoneyChange) -> int | None:
    """Return the amount in minor units after the change; what a postback leaves out stays as it was."""
    if told is None or change is MoneyChange.KEEP:
        return before.amount_minor if before else None
    match change:
        case MoneyChange.REPLACE:
            return told.amount_minor
        case MoneyChange.ADD:
            return told.amount_minor + (before.amount_minor if before else 0)
        case _:
            return max(0, (before.amount_minor if before else 0) - told.amount_minor)


def _earlier(session: Session, conversion: Conversion, claim: Claim) -> str | None:
    """Return the kind of the event that this very content came to before, None when it is new."""
    rows = session.execute(
        sa.select(ConversionEvent.kind, ConversionEvent.details).where(
            ConversionEvent.conversion_id == conversion.id, ConversionEvent.receipt_id.is_not(None)
        )
    )
    return next((row.kind for row in rows if row.details.get("content_sha256") == claim.sha256), None)
