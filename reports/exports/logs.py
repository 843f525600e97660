"""Who decided about money and what was corrected: the approvals log, and every adjustment."""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.models import Staff
from approvals.models import ApprovalDecision, ApprovalRequest
from core.database import streamed
from ledger.models import JournalEntry, JournalLine
from ledger.posting import PAYABLE, EntryKind
from partners.models import Affiliate, Campaign
from payouts.models import Accrual
from reports.exports.filtering import Filters
from reports.exports.report import Report, amount, day, equal, in_month, moment, same_text, text
from reports.exports.tables import Row

# Entries of these kinds are accruals, which have rows of their own, or payments.
_NO_ADJUSTMENT = (
    EntryKind.ACCRUAL, EntryKind.BATCH_SENT, EntryKind.PAYMENT_FAILED, EntryKind.PAYMENT_RETURNED,
)  # fmt: skip


def _approvals(session: Session, filters: Filters) -> Iterator[Row]:
    statement = (
        sa.select(
            ApprovalDecision.decided_at, ApprovalDecision.request_id, ApprovalRequest.subject_kind,
            ApprovalRequest.subject_id, ApprovalRequest.title, ApprovalRequest.amount_minor, ApprovalRequest.currency,
            ApprovalRequest.state, ApprovalDecision.step_id, ApprovalDecision.verdict, ApprovalDecision.actor_id,
            Staff.email, ApprovalDecision.on_behalf_of,
            sa.case((ApprovalDecision.is_forced, "forced"), else_="").label("forced"), ApprovalDecision.comment,
        )
        .join(ApprovalRequest, ApprovalRequest.id == ApprovalDecision.request_id)
        .outerjoin(Staff, same_text(Staff.id, ApprovalDecision.actor_id))
        .where(
            *in_month(ApprovalDecision.decided_at, filters.period),
            *equal((ApprovalRequest.currency, filters.currency), (ApprovalRequest.state, filters.state)),
        )
        .order_by(ApprovalDecision.id)
    )  # fmt: skip
    for row in streamed(session, statement):
        yield tuple(row)


def _adjustments(session: Session, filters: Filters) -> Iterator[Row]:
    yield from _adjusted_accruals(session, filters)
    if filters.campaign_id is None and filters.source_id is None:
        yield from _other_entries(session, filters)


def _adjusted_accruals(session: Session, filters: Filters) -> Iterator[Row]:
    statement = (
        sa.select(
            Accrual.id, Accrual.kind, Accrual.period, Accrual.occurred_on, Accrual.created_at, Accrual.affiliate_id,
            Affiliate.name, Accrual.conversion_id, Campaign.name, Accrual.category_account, Accrual.amount_minor,
            Accrual.currency, Accrual.payout_id,
        )
        .outerjoin(Affiliate, Affiliate.id == Accrual.affiliate_id)
        .outerjoin(Campaign, Campaign.id == Accrual.campaign_id)
        .where(
            Accrual.kind != "accrue",
            *equal(
                (Accrual.period, filters.period),
                (Accrual.currency, filters.currency),
                (Accrual.affiliate_id, filters.affiliate_id),
                (Accrual.source_id, filters.source_id),
                (Accrual.campaign_id, filters.campaign_id),
            ),
        )
        .order_by(Accrual.id)
    )  # fmt: skip
    for row in streamed(session, statement):
        yield tuple(row)


def _other_entries(session: Session, filters: Filters) -> Iterator[Row]:
    """Yield what else has changed what we owe: it stands as "FX and other" in the roll-forward."""
    statement = (
        sa.select(
            JournalEntry.id, JournalEntry.kind, JournalEntry.period, JournalEntry.occurred_on, JournalEntry.posted_at,
            JournalLine.affiliate_id, Affiliate.name, JournalEntry.source_id, JournalEntry.description,
            JournalLine.account, -JournalLine.amount_minor, JournalLine.currency,
        )
        .join(JournalEntry, JournalEntry.id == JournalLine.entry_id)
        .outerjoin(Affiliate, same_text(Affiliate.id, JournalLine.affiliate_id))
        .where(
            JournalLine.account == PAYABLE,
            JournalEntry.kind.not_in(_NO_ADJUSTMENT),
            *equal(
                (JournalEntry.period, filters.period),
                (JournalLine.currency, filters.currency),
                (JournalLine.affiliate_id, filters.affiliate_id),
            ),
        )
        .order_by(JournalEntry.id, JournalLine.line_number)
    )  # fmt: skip
    for row in streamed(session, statement):
        yield (*row, None)


REPORTS = (
    Report(
        "approvals",
        "Approvals log",
        "Every decision of a person about a request, by the moment it was made.",
        (
            moment("decided_at", "Decided at"), text("request_id", "Request"), text("subject_kind", "About"),
            text("subject_id", "Subject"), text("title", "Title"), amount("amount", "Amount"),
            text("currency", "Currency"), text("request_state", "Request is"), text("step", "Step"),
            text("verdict", "Verdict"), text("actor_id", "Actor"), text("actor", "E-mail"),
            text("on_behalf_of", "On behalf of"), text("forced", "Forced"), text("comment", "Comment"),
        ),
        _approvals,
        takes=("period", "currency", "state"),
    ),
    Report(
        "adjustments",
        "Adjustments",
        "What was taken back, added or corrected after the first accrual of a conversion, and every other entry that"
        " changed what we owe; less is negative.",
        (
            text("id", "Id"), text("kind", "Kind"), text("period", "Month"), day("occurred_on", "Occurred on"),
            moment("created_at", "Made at"), text("affiliate_id", "Affiliate id"), text("affiliate", "Affiliate"),
            text("reference", "Conversion or source"), text("about", "Campaign or text"), text("account", "Account"),
            amount("amount", "Amount"), text("currency", "Currency"), text("payout_id", "Payout"),
        ),
        _adjustments,
        takes=("period", "currency", "affiliate_id", "source_id", "campaign_id"),
    ),
)  # fmt: skip
