"""The journal rebuilt from what it is about (accruals, batches, remittances), and compared with what it says."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.database import is_postgresql, streamed
from core.money import Money
from ledger import comparing, posting
from ledger.comparing import Difference, Expected, Posted
from ledger.models import JournalEntry, JournalLine
from ledger.periods import period_of
from ledger.posting import EntryKind, Line, Posting
from partners.models import Source
from payouts import accrual, outcomes, pricing, realising, recategorising
from payouts.models import Accrual, Batch, BatchItem, Payout, Recategorisation
from payouts.pricing import PayoutMeans, Told
from payouts.states import ItemState
from postback.event_rules import State
from postback.models import Conversion
from reports import remittance_entries
from reports.models import BankLine
from reports.remittance_models import RemittanceEntry
from reports.resolving.models import Adjustment

# Revenue is compared by its sum: which change of a conversion brought which part is not kept anywhere else.
_NO_DAY = date.min
_SUM = "revenue of all its entries"
_ENTRY: tuple[Any, ...] = (
    JournalEntry.id, JournalEntry.kind, JournalEntry.source_type, JournalEntry.source_id, JournalEntry.period,
    JournalEntry.occurred_on, JournalEntry.posted_on, JournalEntry.description,
)  # fmt: skip
_LINE: tuple[Any, ...] = (
    JournalLine.account, JournalLine.amount_minor, JournalLine.currency, JournalLine.affiliate_id
)  # fmt: skip
_ACCRUED = (
    "id", "conversion_id", "affiliate_id", "category_account", "amount_minor", "currency", "occurred_on", "period",
)  # fmt: skip
_REMITTED = (
    "id", "remittance_id", "kind", "reverses_id", "bank_line_id", "account", "amount_minor", "currency", "occurred_on",
)  # fmt: skip
_ADJUSTED = ("id", "discrepancy_id", "account", "counter_account", "amount_minor", "currency", "occurred_on")


def differences(session: Session) -> Iterator[Difference]:
    """Yield each entry of the journal that is missing, extra, or not what it should be; nothing is written.

    Everything is read as a stream, in the order of ids. Of a conversion whose change waits for its accrual, the revenue
    is not looked at: the journal does not have it yet.
    """
    for (kind, source_type), rebuilt in _REBUILT.items():
        yield from comparing.differences(rebuilt(session), _posted(session, kind, source_type))
    yield from comparing.differences(_revenue_due(session), _revenue_posted(session))
    yield from _about_nothing(session)


def entries(session: Session) -> int:
    """Return how many entries the journal has."""
    return session.scalar(sa.select(sa.func.count()).select_from(JournalEntry)) or 0


def _accruals(session: Session) -> Iterator[Expected]:
    columns = [getattr(Accrual, name) for name in _ACCRUED]
    # A few acts of people: what an accrual was posted to stands in the first of them.
    acts = sa.select(Recategorisation).order_by(Recategorisation.id.desc())
    posted_to = {act.accrual_id: act.before["account"] for act in session.scalars(acts)}
    for row in streamed(session, sa.select(*columns).where(Accrual.amount_minor != 0).order_by(Accrual.id)):
        values = row._asdict()
        values["category_account"] = posted_to.get(row.id, row.category_account)
        yield Expected(accrual.entry_of(values), row.period)


def _recategorised(session: Session) -> Iterator[Expected]:
    statement = sa.select(Recategorisation, Accrual).join(Accrual, Accrual.id == Recategorisation.accrual_id)
    for act, moved in streamed(session, statement.order_by(Recategorisation.id)):
        entry = recategorising.entry_of(act, moved)
        if any(line.amount_minor for line in entry.lines):
            yield Expected(entry)


def _sent(session: Session) -> Iterator[Expected]:
    statement = _items(session, Batch.released_at, Payout.affiliate_id).where(Batch.released_at.is_not(None))
    for row in streamed(session, statement):
        yield Expected(
            posting.batch_sent(
                end_to_end_id=row.end_to_end_id,
                payout_id=row.payout_id,
                affiliate_id=row.affiliate_id,
                money=Money(row.amount_minor, row.currency),
                sent_on=row.released_at.date(),
            )
        )


def _settled(session: Session) -> Iterator[Expected]:
    statement = _answered(session).where(BatchItem.settled_on.is_not(None))
    for row in streamed(session, statement):
        yield Expected(
            posting.settlement(
                end_to_end_id=row.end_to_end_id,
                payout_id=row.payout_id,
                bank_account=row.account or outcomes.pays_from(row),
                money=Money(row.amount_minor, row.currency),
                settled_on=row.settled_on,
            )
        )


def _failed(session: Session) -> Iterator[Expected]:
    return _owed_again(session, ItemState.FAILED, EntryKind.PAYMENT_FAILED, "failed")


def _returned(session: Session) -> Iterator[Expected]:
    return _owed_again(session, ItemState.RETURNED, EntryKind.PAYMENT_RETURNED, "returned")


def _realised(session: Session) -> Iterator[Expected]:
    for item in _in_base(session):
        if realising.difference(item).amount_minor:
            yield Expected(realising.entry_of(item))


def _realised_back(session: Session) -> Iterator[Expected]:
    for item in _in_base(session):
        if item.fx_taken_back_on is not None and realising.difference(item).amount_minor:
            yield Expected(realising.taken_back_of(item))


def _in_base(session: Session) -> Iterator[BatchItem]:
    statement = sa.select(BatchItem).where(BatchItem.base_settled_minor.is_not(None))
    for [item] in streamed(session, statement.order_by(_by_bytes(session, BatchItem.end_to_end_id))):
        yield item


def _owed_again(session: Session, state: ItemState, kind: EntryKind, word: str) -> Iterator[Expected]:
    # On which day it happened the journal alone keeps.
    entry = sa.and_(
        JournalEntry.kind == kind,
        JournalEntry.source_type == "batch_item",
        JournalEntry.source_id == BatchItem.end_to_end_id,
    )
    statement = (
        _answered(session, Payout.affiliate_id, JournalEntry.occurred_on)
        .outerjoin(JournalEntry, entry)
        .where(BatchItem.state == state)
    )
    for row in streamed(session, statement):
        was_settled = row.settled_on is not None
        account = posting.bank(row.account or outcomes.pays_from(row)) if was_settled else posting.CLEARING
        yield Expected(
            posting.owed_again(
                end_to_end_id=row.end_to_end_id,
                payout_id=row.payout_id,
                affiliate_id=row.affiliate_id,
                word=word,
                account=account,
                money=Money(row.amount_minor, row.currency),
                happened_on=row.occurred_on or _NO_DAY,
            )
        )


def _remitted(session: Session) -> Iterator[Expected]:
    columns = [getattr(RemittanceEntry, name) for name in _REMITTED]
    for row in streamed(session, sa.select(*columns).order_by(RemittanceEntry.id)):
        yield Expected(remittance_entries.entry_of(row._asdict()))


def _adjusted(session: Session) -> Iterator[Expected]:
    columns = [getattr(Adjustment, name) for name in _ADJUSTED]
    for row in streamed(session, sa.select(*columns).where(Adjustment.state == "posted").order_by(Adjustment.id)):
        yield Expected(
            posting.adjustment(
                adjustment_id=row.id,
                discrepancy_id=row.discrepancy_id,
                account=row.account,
                counter_account=row.counter_account,
                money=Money(row.amount_minor, row.currency),
                occurred_on=row.occurred_on or _NO_DAY,
            )
        )


def _answered(session: Session, *columns: Any) -> sa.Select[Any]:
    payer = (Batch.method, Batch.debtor_iban, Batch.debtor_routing_number)
    statement = _items(session, BatchItem.settled_on, BankLine.account, *payer, *columns)
    return statement.outerjoin(BankLine, BankLine.id == BatchItem.bank_line_id)


# What of the journal is rebuilt entry by entry. A kind that stands neither here nor in _SUMMED is extra.
_REBUILT: Mapping[tuple[EntryKind, str], Callable[[Session], Iterable[Expected]]] = {
    (EntryKind.ACCRUAL, "accrual"): _accruals,
    (EntryKind.RECATEGORISATION, "recategorisation"): _recategorised,
    (EntryKind.BATCH_SENT, "batch_item"): _sent,
    (EntryKind.SETTLEMENT, "batch_item"): _settled,
    (EntryKind.PAYMENT_FAILED, "batch_item"): _failed,
    (EntryKind.PAYMENT_RETURNED, "batch_item"): _returned,
    (EntryKind.FX_DIFFERENCE, "batch_item"): _realised,
    (EntryKind.FX_TAKEN_BACK, "batch_item"): _realised_back,
    (EntryKind.REMITTANCE, "remittance_entry"): _remitted,
    (EntryKind.ADJUSTMENT, "adjustment"): _adjusted,
}
_SUMMED = ((EntryKind.REVENUE, "conversion"), (EntryKind.REVENUE, "accrual"))


def _items(session: Session, *columns: Any) -> sa.Select[Any]:
    return (
        sa.select(
            BatchItem.end_to_end_id, BatchItem.payout_id, BatchItem.amount_minor, Batch.currency, *columns
        )
        .join(Batch, Batch.id == BatchItem.batch_id)
        .join(Payout, Payout.id == BatchItem.payout_id)
        .order_by(_by_bytes(session, BatchItem.end_to_end_id))
    )  # fmt: skip


def _posted(session: Session, kind: EntryKind, source_type: str) -> Iterator[Posted]:
    statement = (
        sa.select(*_ENTRY, *_LINE)
        .outerjoin(JournalLine, JournalLine.entry_id == JournalEntry.id)
        .where(JournalEntry.kind == kind, JournalEntry.source_type == source_type)
        .order_by(JournalEntry.source_id, JournalLine.line_number)
    )
    return _gathered(streamed(session, statement))


def _about_nothing(session: Session) -> Iterator[Difference]:
    """Yield entries of a kind that nothing is rebuilt for, and lines that belong to no entry."""
    known = [
        sa.and_(JournalEntry.kind == kind, JournalEntry.source_type == source_type)
        for kind, source_type in (*_REBUILT, *_SUMMED)
    ]
    statement = (
        sa.select(*_ENTRY, *_LINE)
        .outerjoin(JournalLine, JournalLine.entry_id == JournalEntry.id)
        .where(sa.not_(sa.or_(*known)))
        .order_by(JournalEntry.id, JournalLine.line_number)
    )
    yield from map(comparing.extra, _gathered(streamed(session, statement)))
    lost = (
        sa.select(JournalLine.entry_id, *_LINE)
        .outerjoin(JournalEntry, JournalEntry.id == JournalLine.entry_id)
        .where(JournalEntry.id.is_(None))
        .order_by(JournalLine.entry_id, JournalLine.line_number)
    )
    for row in streamed(session, lost):
        details = f"a line of no entry: {comparing.told([_line(row)])}"
        yield Difference(comparing.Fault.EXTRA, "line", "entry", row.entry_id, details)


def _revenue_due(session: Session) -> Iterator[Expected]:
    accrued = sa.exists().where(Accrual.conversion_id == Conversion.id)
    statement = (
        sa.select(Conversion.id, Conversion.payout_minor, Conversion.currency)
        .join(Source, Source.id == Conversion.source_id)
        .where(
            Source.payout_means == PayoutMeans.OWED_TO_US,
            Conversion.state != State.REVERSED,
            Conversion.is_accrual_due.is_(False),
            accrued,
        )
        .order_by(Conversion.id)
    )
    for row in streamed(session, statement):
        told = Told(row.payout_minor, None, row.currency, PayoutMeans.OWED_TO_US)
        if amount_minor := pricing.revenue_minor(told):
            money = Money(amount_minor, row.currency)
            entry = posting.revenue(conversion_id=row.id, money=money, occurred_on=_NO_DAY)
            yield Expected(_revenue(row.id, entry.lines))


def _revenue_posted(session: Session) -> Iterator[Posted]:
    conversion_id = sa.func.coalesce(Accrual.conversion_id, JournalEntry.source_id)
    total = sa.func.sum(JournalLine.amount_minor)
    statement = (
        sa.select(
            conversion_id.label("revenue_of"),
            JournalLine.account,
            JournalLine.currency,
            sa.cast(total, sa.BigInteger).label("total"),
        )
        .select_from(JournalEntry)
        .join(JournalLine, JournalLine.entry_id == JournalEntry.id)
        .outerjoin(Accrual, sa.and_(JournalEntry.source_type == "accrual", Accrual.id == JournalEntry.source_id))
        .outerjoin(Conversion, Conversion.id == conversion_id)
        .where(JournalEntry.kind == EntryKind.REVENUE, Conversion.is_accrual_due.is_not(True))
        .group_by(conversion_id, JournalLine.account, JournalLine.currency)
        .having(total != 0)
        .order_by(_by_bytes(session, conversion_id), JournalLine.account, JournalLine.currency)
    )
    for id_, rows in groupby(streamed(session, statement), key=lambda row: row.revenue_of):
        lines = tuple(Line(row.account, row.total, row.currency) for row in rows)
        yield Posted("the journal", _revenue(id_, lines), "", "")


def _revenue(conversion_id: str, lines: tuple[Line, ...]) -> Posting:
    return Posting(EntryKind.REVENUE, "conversion", conversion_id, _NO_DAY, _SUM, lines)


def _gathered(rows: Iterable[Any]) -> Iterator[Posted]:
    """Yield each entry with its lines."""
    for _, group in groupby(rows, key=lambda row: row.id):
        each = list(group)
        first = each[0]
        lines = tuple(_line(row) for row in each if row.account is not None)
        entry = Posting(first.kind, first.source_type, first.source_id, first.occurred_on, first.description, lines)
        yield Posted(first.id, entry, first.period, period_of(first.posted_on))


def _line(row: Any) -> Line:
    return Line(row.account, row.amount_minor, row.currency, row.affiliate_id)


def _by_bytes(session: Session, column: InstrumentedAttribute[Any] | sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return `column` in the order of its bytes, which is Python's, whatever language the database sorts by."""
    return sa.collate(column, "C") if is_postgresql(session) else sa.collate(column, "BINARY")
