"""Delegations: made by whoever hands over, or by an admin with a reason; looked up when a delegate decides."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import deciders, delegating
from approvals.delegating import Delegation
from approvals.models import ApprovalDelegation
from approvals.routing import VOCABULARY
from core import audit, conditions
from core.actors import Actor
from core.audit import Act
from core.database import lock
from core.errors import Conflict, Fault, Forbidden, Invalid
from core.money import Money
from core.rows import locked
from core.runtime import Runtime

DAYS_MAX = 366
_KIND = "delegation"


class Kind(StrEnum):
    """Out of office: in its time the delegate is told of what waits, in place of who is away."""

    DELEGATION = "delegation"
    OUT_OF_OFFICE = "out_of_office"


@dataclass(frozen=True)
class NewDelegation:
    """What somebody wants to hand over; `from_id` is himself unless an admin does it for him."""

    to_id: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    from_id: str | None = None
    kind: Kind = Kind.DELEGATION
    scope: Mapping[str, Any] = field(default_factory=dict)
    limit: Money | None = None


def create(runtime: Runtime, session: Session, new: NewDelegation, *, actor: Actor) -> ApprovalDelegation:
    """Let one person decide for another for a while.

    Raise Invalid with every fault, Forbidden for another's decisions unless an admin hands them to a third, Conflict
    for what would be a chain or a loop.
    """
    able = deciders.load(session)
    from_id = new.from_id or actor.id
    if from_id != actor.id and not able.is_admin(actor.id):
        message = "only an admin delegates for somebody else"
        raise Forbidden(message, slug="not-yours")
    if from_id != actor.id and new.to_id == actor.id:
        message = "nobody hands himself another's decisions: another admin does"
        raise Forbidden(message, slug="own-gain")
    now = runtime.clock()
    faults = _faults(new, from_id, able, now)
    if faults:
        raise Invalid.of(*faults)
    # Two at once could each be fine and together a chain.
    lock(session, ApprovalDelegation.__tablename__)
    wanted = Delegation(from_id, new.to_id, new.starts_at, new.ends_at, new.scope, new.limit)
    refusal = delegating.refusal(wanted, [value(row) for row in _not_over(session, now)])
    if refusal is not None:
        raise Conflict(refusal, slug="delegation-chain")
    made = ApprovalDelegation(
        id=runtime.new_id("dlg"),
        from_id=from_id,
        to_id=new.to_id,
        kind=new.kind.value,
        starts_at=new.starts_at,
        ends_at=new.ends_at,
        scope=dict(new.scope),
        limit_minor=new.limit.amount_minor if new.limit else None,
        limit_currency=new.limit.currency if new.limit else None,
        reason=new.reason,
        created_at=now,
        created_by=actor.id,
    )
    session.add(made)
    session.flush()
    after = {"to": made.to_id, "starts_at": made.starts_at, "ends_at": made.ends_at, "kind": made.kind}
    after |= {"scope": made.scope, "limit": str(new.limit) if new.limit else None}
    audit.record(session, Act(actor, "delegated", _KIND, made.id, now, None, after, made.reason, on_behalf_of=from_id))
    return made


def revoke(runtime: Runtime, session: Session, delegation_id: str, *, actor: Actor) -> ApprovalDelegation:
    """End a delegation now; twice changes nothing. For whoever gave it, an admin, or who has it."""
    row = locked(session, ApprovalDelegation, delegation_id)
    if actor.id not in {row.from_id, row.to_id} and not deciders.load(session).is_admin(actor.id):
        message = "only those two and an admin end a delegation"
        raise Forbidden(message, slug="not-yours")
    if row.revoked_at is None:
        row.revoked_at, row.revoked_by = runtime.clock(), actor.id
        audit.record(session, Act(actor, "revoked", _KIND, row.id, runtime.clock()))
    return row


def principals(session: Session, to_id: str, facts: Mapping[str, Any], now: datetime) -> frozenset[str]:
    """Return the ids of those for whom `to_id` may decide a request with `facts` now."""
    return delegating.principals(of(session, to_id, now), to_id, facts, now)


def of(session: Session, to_id: str, now: datetime) -> list[Delegation]:
    """Return what is delegated to `to_id` now."""
    rows = session.scalars(_live(now).where(ApprovalDelegation.to_id == to_id))
    return [value(row) for row in rows]


def away(session: Session, now: datetime) -> Collection[str]:
    """Return the ids of those who are out of office now."""
    statement = _live(now).where(ApprovalDelegation.kind == Kind.OUT_OF_OFFICE)
    return {row.from_id for row in session.scalars(statement)}


def delegates(session: Session, from_ids: Collection[str], now: datetime) -> list[Delegation]:
    """Return what these people have delegated now."""
    return [value(row) for row in session.scalars(_live(now).where(ApprovalDelegation.from_id.in_(from_ids)))]


def pairs(session: Session, now: datetime) -> list[tuple[str, str]]:
    """Return from and to of every delegation that counts now."""
    return [(row.from_id, row.to_id) for row in session.scalars(_live(now))]


def value(row: ApprovalDelegation) -> Delegation:
    """Return a row as a plain value."""
    limit = None
    if row.limit_minor is not None and row.limit_currency is not None:
        limit = Money(row.limit_minor, row.limit_currency)
    is_away = row.kind == Kind.OUT_OF_OFFICE
    return Delegation(row.from_id, row.to_id, row.starts_at, row.ends_at, row.scope, limit, is_away)


def _faults(new: NewDelegation, from_id: str, able: deciders.Deciders, now: datetime) -> list[Fault]:
    found = [
        Fault(name, "is nobody who may decide")
        for name, staff_id in (("from_id", from_id), ("to_id", new.to_id))
        if staff_id not in able.roles
    ]
    if from_id == new.to_id:
        found.append(Fault("to_id", "is the person himself"))
    if new.ends_at <= new.starts_at:
        found.append(Fault("ends_at", "comes before starts_at"))
    elif new.ends_at <= now:
        found.append(Fault("ends_at", "is over already"))
    elif new.ends_at - new.starts_at > timedelta(days=DAYS_MAX):
        found.append(Fault("ends_at", f"lies more than {DAYS_MAX} days after starts_at"))
    if new.limit is not None and new.limit.amount_minor < 0:
        found.append(Fault("limit", "takes zero or more"))
    return [*found, *conditions.faults(new.scope, VOCABULARY, path="scope")]


def _live(now: datetime) -> sa.Select[ApprovalDelegation]:
    return sa.select(ApprovalDelegation).where(
        ApprovalDelegation.revoked_at.is_(None), ApprovalDelegation.starts_at <= now, ApprovalDelegation.ends_at > now
    )


def _not_over(session: Session, now: datetime) -> Collection[ApprovalDelegation]:
    return session.scalars(
        sa.select(ApprovalDelegation).where(ApprovalDelegation.revoked_at.is_(None), ApprovalDelegation.ends_at > now)
    ).all()
