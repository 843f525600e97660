"""Up to how much each person may approve where a policy routes by limit; set by an admin, never one's own."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.models import Staff
from approvals.models import ApprovalLimit
from core import audit
from core.actors import Actor
from core.audit import Act
from core.errors import Fault, Forbidden, Invalid, NotFound
from core.money import Money
from core.runtime import Runtime

_VERB = "set approval limit"


def of(session: Session, staff_id: str) -> list[Money]:
    """Return a person's limits, one a currency; raise NotFound when there is no such person."""
    _check(session, staff_id)
    statement = sa.select(ApprovalLimit).where(ApprovalLimit.staff_id == staff_id).order_by(ApprovalLimit.currency)
    return [Money(row.limit_minor, row.currency) for row in session.scalars(statement)]


def everyone(session: Session) -> dict[str, list[Money]]:
    """Return the limits of everybody who has any, by staff id."""
    found: dict[str, list[Money]] = {}
    for row in session.scalars(sa.select(ApprovalLimit).order_by(ApprovalLimit.staff_id, ApprovalLimit.currency)):
        found.setdefault(row.staff_id, []).append(Money(row.limit_minor, row.currency))
    return found


def replace(runtime: Runtime, session: Session, staff_id: str, limits: list[Money], *, actor: Actor) -> list[Money]:
    """Give a person exactly these limits, one a currency at most; an empty list takes all away.

    Raise NotFound for an unknown person, Forbidden for one's own limits, Invalid with every fault.
    """
    before = of(session, staff_id)
    if staff_id == actor.id:
        message = "nobody sets his own limit: another admin does"
        raise Forbidden(message, slug="own-limit")
    currencies = [limit.currency for limit in limits]
    faults = [
        Fault(f"limits.{position}", "stands here twice" if limit.currency in currencies[:position] else "is below zero")
        for position, limit in enumerate(limits)
        if limit.currency in currencies[:position] or limit.amount_minor < 0
    ]
    if faults:
        raise Invalid.of(*faults)
    now = runtime.clock()
    session.execute(sa.delete(ApprovalLimit).where(ApprovalLimit.staff_id == staff_id))
    session.add_all(
        ApprovalLimit(
            staff_id=staff_id, currency=each.currency, limit_minor=each.amount_minor, set_at=now, set_by=actor.id
        )
        for each in limits
    )
    session.flush()
    old, new = ({"limits": sorted(map(str, each))} for each in (before, limits))
    audit.record(session, Act(actor, _VERB, "staff", staff_id, now, before=old, after=new))
    return of(session, staff_id)


def _check(session: Session, staff_id: str) -> None:
    if session.get(Staff, staff_id) is None:
        message = f"there is no person {staff_id}"
        raise NotFound(message)
