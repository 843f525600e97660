"""Opening a closed month again: one person of finance asks with a reason, another confirms."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access import people
from access.roles import Role
from core import audit
from core.actors import Actor
from core.audit import Act
from core.database import lock
from core.errors import Conflict, Forbidden, NotFound
from core.runtime import Runtime
from ledger import periods
from ledger.models import Period
from ledger.periods import PeriodState
from reports import reopening_rules, snapshots
from reports.period_models import PeriodReopening
from reports.reconciliation import LOCK

_KIND = "period"


class ReopeningState(StrEnum):
    """asked -> confirmed | withdrawn, and never back."""

    ASKED = "asked"
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"


def ask(runtime: Runtime, session: Session, period: str, *, reason: str, actor: Actor) -> PeriodReopening:
    """Ask for the closed month to be opened again; a person's act, audited.

    Raise Conflict for a month that is open, that later ones were closed after, or that was asked about already.
    """
    _held_closed(session, period)
    if (waiting := _asked(session, period)) is not None:
        message = f"{period} was asked about already ({waiting.id}): confirm or withdraw that"
        raise Conflict(message, slug="reopening-asked")
    made = PeriodReopening(
        id=runtime.new_id("reo"),
        period=period,
        snapshot_number=snapshots.last_number(session, period),
        reason=reason,
        state=ReopeningState.ASKED,
        asked_at=runtime.clock(),
        asked_by=actor.id,
    )
    session.add(made)
    session.flush()
    after = {"reopening": made.id, "snapshot": made.snapshot_number}
    audit.record(session, Act(actor, "asked to reopen", _KIND, period, made.asked_at, after=after, reason=reason))
    return made


def confirm(runtime: Runtime, session: Session, period: str, *, wanted_id: str | None, actor: Actor) -> PeriodReopening:
    """Open the month again, as another person asked; `wanted_id` is the request that was looked at, if it was named.

    Raise NotFound when nobody has asked, Forbidden for whoever asked (and for whoever closed it, while somebody else of
    finance can), Conflict where the request is another by now or a later month is closed.
    """
    row = _held_closed(session, period)
    asked = _asked(session, period)
    if asked is None:
        message = f"nobody has asked for {period} to be opened again"
        raise NotFound(message)
    if wanted_id is not None and wanted_id != asked.id:
        message = f"{period} waits for {asked.id}, not for {wanted_id}: look again"
        raise Conflict(message, slug="version-moved-on")
    finance = [each.id for each in people.enabled(session) if Role.FINANCE in each.roles]
    refusal = reopening_rules.refusal(confirms=actor.id, asked=asked.asked_by, closed=row.closed_by, finance=finance)
    if refusal is not None:
        raise Forbidden(reopening_rules.SENTENCES[refusal], slug=f"reopening-{refusal}-by-you")
    now = runtime.clock()
    asked.state, asked.decided_at, asked.decided_by = ReopeningState.CONFIRMED, now, actor.id
    # First the confirmation: the database opens no month without one.
    session.flush()
    before = {"state": row.state, "digest": row.digest}
    row.state, row.version = PeriodState.OPEN, row.version + 1
    # What the close said stands in its snapshot.
    row.closed_at, row.closed_by, row.totals, row.digest = None, None, None, None
    session.flush()
    after = {"state": row.state, "reopening": asked.id, "asked_by": asked.asked_by}
    audit.record(session, Act(actor, "reopened", _KIND, period, now, before=before, after=after, reason=asked.reason))
    return asked


def withdraw(runtime: Runtime, session: Session, period: str, *, actor: Actor) -> PeriodReopening:
    """Take back what was asked; anybody of finance may. Raise NotFound when nobody has asked."""
    periods.bounds(period)
    lock(session, LOCK)
    asked = _asked(session, period)
    if asked is None:
        message = f"nobody has asked for {period} to be opened again"
        raise NotFound(message)
    asked.state, asked.decided_at, asked.decided_by = ReopeningState.WITHDRAWN, runtime.clock(), actor.id
    session.flush()
    after = {"reopening": asked.id}
    audit.record(session, Act(actor, "withdrew reopening", _KIND, period, runtime.clock(), after=after))
    return asked


def _held_closed(session: Session, period: str) -> Period:
    """Return the row of the closed month, held; raise Conflict when it is open or a later month is closed."""
    periods.bounds(period)
    # In the order in which a close takes them.
    lock(session, LOCK)
    row = periods.held_for_closing(session, period)
    if row.state != PeriodState.CLOSED:
        message = f"{period} is open"
        raise Conflict(message, slug="period-open")
    later = session.scalars(
        sa.select(Period.id).where(Period.id > period, Period.state == PeriodState.CLOSED).order_by(Period.id)
    ).all()
    if later:
        message = f"{', '.join(later)} was closed after {period}: open the latest first"
        raise Conflict(message, slug="later-period-closed")
    return row


def _asked(session: Session, period: str) -> PeriodReopening | None:
    return session.scalar(
        sa.select(PeriodReopening)
        .where(PeriodReopening.period == period, PeriodReopening.state == ReopeningState.ASKED)
        .with_for_update()
    )
