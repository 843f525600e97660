"""What happens to a conversion after it was recorded: its numbered, append-only events, and what people decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, copying, doorbell, rows
from core.actors import Actor
from core.audit import Act as AuditedAct
from core.database import among, table_of
from core.errors import Conflict, Fault, Invalid
from core.money import Money
from core.runtime import Runtime
from postback import event_rules
from postback.event_rules import Act, EventKind, NotAllowed, State
from postback.models import Conversion, ConversionEvent


@dataclass(frozen=True)
class Event:
    """What happened, and who or what made it happen."""

    kind: EventKind
    actor: Actor
    at: datetime
    receipt_id: str | None = None
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What a person decides about a conversion, as he saw it at `version`; `payout` and `amount` when he adjusts it."""

    kind: str
    reason: str
    version: int
    payout: Money | None = None
    amount: Money | None = None


def row(conversion_id: str, seq: int, event: Event) -> dict[str, Any]:
    """Return the event as a row to insert."""
    return {
        "conversion_id": conversion_id,
        "seq": seq,
        "kind": event.kind.value,
        "at": event.at,
        "actor_kind": event.actor.kind.value,
        "actor_id": event.actor.id,
        "receipt_id": event.receipt_id,
        "reason": event.reason,
        "details": dict(event.details),
    }


def append(session: Session, conversion: Conversion, event: Event) -> None:
    """Add the next event of `conversion`, whose row this transaction holds locked: its number is taken from there."""
    append_each(session, [(conversion.id, event)])
    conversion.version += 1


def append_each(session: Session, happened: Sequence[tuple[str, Event]]) -> None:
    """Add one event to each of several conversions, by id.

    This transaction holds their rows locked, none is among them twice, and the caller moves their versions on.
    """
    if not happened:
        return
    ids = [conversion_id for conversion_id, _ in happened]
    statement = (
        sa.select(ConversionEvent.conversion_id, sa.func.max(ConversionEvent.seq))
        .where(among(session, ConversionEvent.conversion_id, ids))
        .group_by(ConversionEvent.conversion_id)
    )
    last = {conversion_id: int(seq) for conversion_id, seq in session.execute(statement)}
    numbered = [row(id_, last.get(id_, 0) + 1, event) for id_, event in happened]
    copying.insert(session, table_of(ConversionEvent), numbered)


def decide(runtime: Runtime, session: Session, conversion_id: str, decision: Decision, *, actor: Actor) -> Conversion:
    """Approve a held conversion, reject, adjust, refund or charge back one, on the record; return it as it is then.

    Raise NotFound, Conflict when it has moved on from the version or its state does not allow the act, and Invalid
    for an adjustment without an amount, or in another currency.
    """
    conversion = rows.locked(session, Conversion, conversion_id, version=decision.version)
    act = Act(decision.kind)
    change = event_rules.after(State(conversion.state), act, is_held=conversion.hold_reason is not None)
    if isinstance(change, NotAllowed):
        raise Conflict(change.reason, slug="not-allowed-now")
    _refuse(_amount_faults(conversion, decision, act))
    now = runtime.clock()
    shown = in_full if act is Act.ADJUST else standing
    before = shown(conversion)
    was_accrued = conversion.state == State.ACCRUED
    conversion.state, conversion.hold_reason = change.state.value, None
    if decision.payout is not None:
        conversion.payout_minor = decision.payout.amount_minor
    if decision.amount is not None:
        conversion.amount_minor = decision.amount.amount_minor
    if was_accrued and act is not Act.APPROVE:
        conversion.is_accrual_due = True
    details = {"before": before, "after": shown(conversion)}
    append(session, conversion, Event(change.kind, actor, now, reason=decision.reason, details=details))
    audit.record(
        session,
        AuditedAct(
            actor, change.kind.value, "conversion", conversion_id, now, before, shown(conversion), decision.reason
        ),
    )
    if act is not Act.REJECT:
        doorbell.after_commit(session, "accrual")
    return conversion


def standing(conversion: Conversion) -> dict[str, Any]:
    """Return where a conversion stands, as plain JSON."""
    return {"state": conversion.state, "hold_reason": conversion.hold_reason}


def in_full(conversion: Conversion) -> dict[str, Any]:
    """Return where a conversion stands and its amounts, as plain JSON."""
    return {
        **standing(conversion),
        "payout": None if conversion.payout is None else str(conversion.payout),
        "amount": None if conversion.amount is None else str(conversion.amount),
    }


def _amount_faults(conversion: Conversion, decision: Decision, act: Act) -> list[Fault]:
    told = {"payout": decision.payout, "amount": decision.amount}
    given = {name: money for name, money in told.items() if money is not None}
    if act is not Act.ADJUST:
        return [Fault(name, f"says nothing beside {act.value}") for name in given]
    if not given:
        return [Fault("payout", "is needed, or amount: what is the conversion adjusted to?")]
    found = [
        Fault(name, f"takes the conversion's currency, {conversion.currency}")
        for name, money in given.items()
        if money.currency != conversion.currency
    ]
    return found + [Fault(name, "takes zero or more") for name, money in given.items() if money.amount_minor < 0]


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise Invalid.of(*faults)
