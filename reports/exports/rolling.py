"""The roll-forward of what we owe: opening, what came and went in the month, closing; read from the journal alone."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import streamed
from ledger.models import JournalEntry, JournalLine
from ledger.posting import PAYABLE, EntryKind
from partners.models import Affiliate
from reports.exports.filtering import Filters
from reports.exports.report import Report, amount, ordered, same_text, summed, text
from reports.exports.tables import Row

_PAID = (EntryKind.BATCH_SENT,)
_CAME_BACK = (EntryKind.PAYMENT_FAILED, EntryKind.PAYMENT_RETURNED)
_KNOWN = (EntryKind.ACCRUAL, *_PAID, *_CAME_BACK)
_AMOUNTS = (
    amount("opening", "Opening"),
    amount("accrued", "Accrued"),
    amount("clawed_back", "Clawed back"),
    amount("paid", "Paid"),
    amount("came_back", "Came back"),
    amount("fx_and_other", "FX and other"),
    amount("closing", "Closing"),
)
_ABOUT = (
    "What we owe affiliates, from the journal: opening + accrued - clawed back - paid + came back + FX and other ="
    " closing. Paid is what left in payment files, came back what failed or was returned; FX and other is every entry"
    " of another kind."
)


def _by_currency(session: Session, filters: Filters) -> Iterator[Row]:
    found = session.execute(_sums(filters, JournalLine.currency))
    yield from ordered([tuple(row) for row in found])


def _by_affiliate(session: Session, filters: Filters) -> Iterator[Row]:
    sums = _sums(filters, JournalLine.currency, JournalLine.affiliate_id).subquery()
    amounts = [sums.c[column.name] for column in _AMOUNTS]
    statement = sa.select(sums.c.currency, sums.c.affiliate_id, Affiliate.name, *amounts).outerjoin(
        Affiliate, same_text(Affiliate.id, sums.c.affiliate_id)
    )
    # One that had nothing and has nothing: every one ever paid out stands there otherwise.
    is_something = sa.or_(*(column != 0 for column in amounts))
    order = (sums.c.currency, Affiliate.id, sums.c.affiliate_id)
    for row in streamed(session, statement.where(is_something).order_by(*order)):
        yield tuple(row)


def _sums(filters: Filters, *key: Any) -> sa.Select[*tuple[Any, ...]]:
    is_now = JournalEntry.period == filters.period
    kind, minor = JournalEntry.kind, JournalLine.amount_minor
    is_accrual = sa.and_(is_now, kind == EntryKind.ACCRUAL)
    # A credit is negative: what we come to owe stands on the account with a minus.
    parts = {
        "opening": (sa.not_(is_now), -minor),
        "accrued": (sa.and_(is_accrual, minor < 0), -minor),
        "clawed_back": (sa.and_(is_accrual, minor > 0), minor),
        "paid": (sa.and_(is_now, kind.in_(_PAID)), minor),
        "came_back": (sa.and_(is_now, kind.in_(_CAME_BACK)), -minor),
        "fx_and_other": (sa.and_(is_now, kind.not_in(_KNOWN)), -minor),
        "closing": (sa.true(), -minor),
    }
    sums = [summed(sa.case((where, value), else_=0), name) for name, (where, value) in parts.items()]
    statement = (
        sa.select(*key, *sums)
        .join(JournalEntry, JournalEntry.id == JournalLine.entry_id)
        .where(JournalLine.account == PAYABLE, JournalEntry.period <= filters.period)
        .group_by(*key)
    )
    if filters.currency is not None:
        statement = statement.where(JournalLine.currency == filters.currency)
    if filters.affiliate_id is not None:
        statement = statement.where(JournalLine.affiliate_id == filters.affiliate_id)
    return statement


REPORTS = (
    Report(
        "roll-forward",
        "Roll-forward of what we owe",
        f"{_ABOUT} A row a currency.",
        (text("currency", "Currency"), *_AMOUNTS),
        _by_currency,
        takes=("period", "currency"),
        needs=("period",),
    ),
    Report(
        "roll-forward-by-affiliate",
        "Roll-forward by affiliate",
        f"{_ABOUT} A row an affiliate and currency.",
        (text("currency", "Currency"), text("affiliate_id", "Affiliate id"), text("affiliate", "Affiliate"), *_AMOUNTS),
        _by_affiliate,
        takes=("period", "currency", "affiliate_id"),
        needs=("period",),
    ),
)
