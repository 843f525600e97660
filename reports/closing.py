"""Closing a month: only when its check list is green; after that nothing can be posted into it."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.database import lock, streamed
from core.errors import Conflict, Fault
from core.runtime import Runtime
from ledger import periods
from ledger.models import JournalEntry, JournalLine, Period
from ledger.periods import PeriodState
from reports import checks, report, snapshots
from reports.models import Discrepancy
from reports.passes import Digest
from reports.period_models import PeriodSnapshot
from reports.reconciliation import LOCK


def close(runtime: Runtime, session: Session, period: str, *, actor: Actor) -> Period:
    """Close `period` and keep its totals, its rows and their digest as a snapshot; a person's act, audited.

    Raise Conflict for a month that is not over, is closed already, comes after one that was opened again, or has a red
    check: every red one is named.
    """
    _, last = periods.bounds(period)
    now = runtime.clock()
    if now.date() <= last:
        message = f"{period} is not over: it can close from the day after {last} on"
        raise Conflict(message, slug="period-not-over")
    # In this order, as a run takes them: the lock of runs and imports, then the month against postings under way.
    lock(session, LOCK)
    row = periods.held_for_closing(session, period)
    if row.state == PeriodState.CLOSED:
        message = f"{period} is closed already"
        raise Conflict(message, slug="period-closed")
    _refuse_before_reopened(session, period)
    red = [check for check in checks.of_month(session, period) if not check.is_green]
    if red:
        message = f"{period} cannot close yet: {', '.join(check.id for check in red)}"
        faults = [Fault(check.id, f"{check.sentence}: {'; '.join(check.missing)}") for check in red]
        raise Conflict(message, slug="period-not-ready", faults=faults)
    totals = report.of_month(session, period)
    snapshot = snapshots.take(session, period, closed_at=now, closed_by=actor.id, totals=totals)
    row.totals, row.digest = totals, snapshot.digest
    row.state, row.closed_at, row.closed_by = PeriodState.CLOSED, now, actor.id
    row.version += 1
    after = {"state": row.state, "digest": row.digest, "snapshot": snapshot.number}
    audit.record(session, Act(actor, "closed", "period", period, now, before={"state": "open"}, after=after))
    return row


def _refuse_before_reopened(session: Session, period: str) -> None:
    """Raise Conflict where an earlier month is open again: what it ends with is what this one begins with."""
    was_closed = sa.exists().where(PeriodSnapshot.period == Period.id)
    earlier = session.scalars(
        sa.select(Period.id)
        .where(Period.id < period, Period.state != PeriodState.CLOSED, was_closed)
        .order_by(Period.id)
    ).all()
    if earlier:
        message = f"{', '.join(earlier)} was opened again: close it before {period}"
        raise Conflict(message, slug="earlier-period-open")


def digest_without_rows(session: Session, period: str) -> str:
    """Return the digest as closes had it before rows were kept: over journal lines and discrepancies, sorted."""
    lines = (
        sa.select(
            JournalEntry.id, JournalEntry.kind, JournalEntry.source_type, JournalEntry.source_id,
            JournalEntry.occurred_on, JournalEntry.posted_on, JournalEntry.description, JournalLine.line_number,
            JournalLine.account, JournalLine.amount_minor, JournalLine.currency, JournalLine.affiliate_id,
        )
        .join(JournalLine, JournalLine.entry_id == JournalEntry.id)
        .where(JournalEntry.period == period)
        .order_by(JournalEntry.id, JournalLine.line_number)
    )  # fmt: skip
    found = (
        sa.select(
            Discrepancy.id, Discrepancy.subject_key, Discrepancy.state, Discrepancy.resolution, Discrepancy.note,
            Discrepancy.ours_minor, Discrepancy.ours_currency, Discrepancy.theirs_minor, Discrepancy.theirs_currency,
        )
        .where(Discrepancy.period == period)
        .order_by(Discrepancy.id)
    )  # fmt: skip
    rows = Digest()
    rows.add("journal", streamed(session, lines))
    rows.add("discrepancy", streamed(session, found))
    return f"sha256:{rows.hexadecimal()}"
