"""The rows themselves: conversions, payouts, and the journal line by line."""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import streamed
from ledger import exports
from ledger.models import JournalEntry, JournalLine
from partners.models import Affiliate, Campaign, Source
from payouts.models import Batch, BatchItem, Payout
from payouts.states import ItemState
from postback.models import Conversion
from reports.exports.filtering import Filters
from reports.exports.report import Report, amount, day, equal, in_month, moment, text
from reports.exports.tables import Column, Kind, Row


def _conversions(session: Session, filters: Filters) -> Iterator[Row]:
    statement = (
        sa.select(
            Conversion.id, Conversion.occurred_at, Conversion.recorded_at, Conversion.source_id, Source.name,
            Conversion.transaction_id, Conversion.claimed_click_id, Conversion.event, Conversion.status_word,
            Conversion.state, Conversion.hold_reason, Conversion.affiliate_id, Affiliate.name, Conversion.campaign_id,
            Campaign.name, Conversion.payout_minor, Conversion.amount_minor, Conversion.currency, Conversion.assurance,
        )
        .join(Source, Source.id == Conversion.source_id)
        .outerjoin(Affiliate, Affiliate.id == Conversion.affiliate_id)
        .outerjoin(Campaign, Campaign.id == Conversion.campaign_id)
        .where(
            *in_month(Conversion.occurred_at, filters.period),
            *equal(
                (Conversion.source_id, filters.source_id),
                (Conversion.affiliate_id, filters.affiliate_id),
                (Conversion.campaign_id, filters.campaign_id),
                (Conversion.state, filters.state),
                (Conversion.currency, filters.currency),
            ),
        )
        .order_by(Conversion.id)
    )  # fmt: skip
    for row in streamed(session, statement):
        yield tuple(row)


def _payouts(session: Session, filters: Filters) -> Iterator[Row]:
    # Of the batches a payout has stood in, the one that paid it or may.
    is_standing = BatchItem.state.in_((ItemState.LIVE, ItemState.SETTLED))
    statement = (
        sa.select(
            Payout.id, Payout.period, Payout.affiliate_id, Affiliate.name, Payout.state, Payout.reason,
            Payout.amount_minor, Payout.currency, Payout.created_at, Payout.created_by, Payout.approval_id, Batch.id,
            Batch.method, Batch.released_at, BatchItem.end_to_end_id, BatchItem.settled_on,
        )
        .outerjoin(Affiliate, Affiliate.id == Payout.affiliate_id)
        .outerjoin(BatchItem, sa.and_(BatchItem.payout_id == Payout.id, is_standing))
        .outerjoin(Batch, Batch.id == BatchItem.batch_id)
        .where(
            *equal(
                (Payout.period, filters.period),
                (Payout.affiliate_id, filters.affiliate_id),
                (Payout.state, filters.state),
                (Payout.currency, filters.currency),
            )
        )
        .order_by(Payout.id)
    )  # fmt: skip
    for row in streamed(session, statement):
        yield tuple(row)


def _journal(session: Session, filters: Filters) -> Iterator[Row]:
    statement = (
        sa.select(
            JournalEntry.id, JournalEntry.kind, JournalEntry.source_type, JournalEntry.source_id, JournalEntry.period,
            JournalEntry.posted_on, JournalEntry.occurred_on, JournalEntry.description, JournalLine.line_number,
            JournalLine.account, JournalLine.amount_minor, JournalLine.currency, JournalLine.affiliate_id,
        )
        .join(JournalLine, JournalLine.entry_id == JournalEntry.id)
        .where(*equal((JournalEntry.period, filters.period)))
        # As ledger/exports.py: the same lines in the same order, whichever form they are taken away in.
        .order_by(
            JournalEntry.posted_on, JournalEntry.source_type, JournalEntry.source_id, JournalEntry.kind,
            JournalLine.line_number,
        )
    )  # fmt: skip
    for row in streamed(session, statement):
        yield tuple(row)


def _as_hledger(session: Session, filters: Filters) -> Iterator[str]:
    yield from exports.hledger(session, filters.period)


def _as_beancount(session: Session, filters: Filters) -> Iterator[str]:
    yield from exports.for_beancount(session, filters.period)


REPORTS = (
    Report(
        "conversions",
        "Conversions",
        "Every conversion, by the moment the network says it happened; payout is what the postback told.",
        (
            text("id", "Conversion"), moment("occurred_at", "Occurred at"), moment("recorded_at", "Recorded at"),
            text("source_id", "Source id"), text("source", "Network"), text("transaction_id", "Transaction"),
            text("click_id", "Click"), text("event", "Event"), text("status_word", "Status word"),
            text("state", "State"), text("hold_reason", "Held for"), text("affiliate_id", "Affiliate id"),
            text("affiliate", "Affiliate"), text("campaign_id", "Campaign id"), text("campaign", "Campaign"),
            amount("payout", "Payout"), amount("amount", "Sale"), text("currency", "Currency"),
            text("assurance", "Assurance"),
        ),
        _conversions,
        takes=("period", "source_id", "affiliate_id", "campaign_id", "state", "currency"),
    ),
    Report(
        "payouts",
        "Payouts",
        "Every payout with the batch that paid it or may; no account of a payee is in it.",
        (
            text("id", "Payout"), text("period", "Month"), text("affiliate_id", "Affiliate id"),
            text("affiliate", "Affiliate"), text("state", "State"), text("reason", "Reason"),
            amount("amount", "Amount"), text("currency", "Currency"), moment("created_at", "Made at"),
            text("created_by", "Made by"), text("approval_id", "Approval"), text("batch_id", "Batch"),
            text("method", "Method"), moment("released_at", "Released at"), text("end_to_end_id", "End-to-end id"),
            day("settled_on", "Settled on"),
        ),
        _payouts,
        takes=("period", "affiliate_id", "state", "currency"),
    ),
    Report(
        "journal",
        "Journal",
        "The journal, a row a line; a debit is positive, a credit negative. Also as hledger and Beancount text.",
        (
            text("entry_id", "Entry"), text("kind", "Kind"), text("source_type", "About"), text("source_id", "Id"),
            text("period", "Month"), day("posted_on", "Posted on"), day("occurred_on", "Occurred on"),
            text("description", "Description"), Column("line", "Line", Kind.COUNT, is_totalled=False),
            text("account", "Account"), amount("amount", "Amount"), text("currency", "Currency"),
            text("affiliate_id", "Affiliate id"),
        ),
        _journal,
        takes=("period",),
        texts={"hledger": _as_hledger, "beancount": _as_beancount},
    ),
)  # fmt: skip
