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
from reports import checks, report
from reports.models import Discrepancy
from reports.passes import Digest
from reports.reconciliation import LOCK


def close(runtime: Runtime, session: Session, period: str, *, actor: Actor) -> Period:
    """Close `period` and freeze its totals and the digest of its rows; a person's act, audited.

    Raise Conflict for a month that is not over, is closed already, or has a red check: every red one is named.
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
    red = [check for check in checks.of_month(session, period) if not check.is_green]
    if red:
        message = f"{period} cannot close yet: {', '.join(check.id for check in red)}"
        faults = [Fault(check.id, f"{check.sentence}: {'; '.join(check.missing)}") for check in red]
        raise Conflict(message, slug="period-not-ready", faults=faults)
    row.totals = report.of_month(session, period)
    row.digest = digest(session, period)
    row.state, row.closed_at, row.closed_by = PeriodState.CLOSED, now, actor.id
    row.version += 1
    after = {"state": row.state, "digest": row.digest}
    audit.record(session, Act(actor, "closed", "period", period, now, before={"state": "open"}, after=after))
    return row


def digest(session: Session, period: str) -> str:
    """Return the SHA-256 of the month's journal lines and discrepancies, sorted, as `sha256:<hex>`."""
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
