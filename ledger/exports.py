"""The journal for other programs, written as it is read: hledger and Beancount text that both check, and CSV."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import csv_text, money
from core.database import streamed
from ledger import beancount
from ledger.models import JournalEntry, JournalLine

ROWS_AT_ONCE = 1000
CSV_COLUMNS = (
    "entry_id", "kind", "source_type", "source_id", "period", "posted_on", "occurred_on", "description",
    "line", "account", "amount", "currency", "affiliate_id",
)  # fmt: skip


def hledger(session: Session, period: str | None = None) -> Iterator[str]:
    """Yield the journal of `period`, or all of it, as hledger text: declarations, then entries by date and source.

    https://hledger.org/hledger.html#journal: every account and commodity is declared, so that strict checks pass.
    The date an entry is booked on stands first, its own date second where the two differ.
    """
    yield "; Clickledger journal: a debit is positive, a credit negative\n"
    for currency in _distinct(session, JournalLine.currency, period):
        yield f"commodity {_commodity_format(currency)} {currency}\n"
    for account in _distinct(session, JournalLine.account, period):
        yield f"account {account}\n"
    entry_id = None
    for entry, line in _rows(session, period):
        if entry.id != entry_id:
            entry_id = entry.id
            yield f"\n{_dates(entry)} ({entry.source_id}) {_plain(entry.description)}  ; kind:{entry.kind}\n"
        owner = f"  ; affiliate:{line.affiliate_id}" if line.affiliate_id else ""
        yield f"    {line.account}  {money.to_text(line.amount_minor, line.currency)} {line.currency}{owner}\n"


def for_beancount(session: Session, period: str | None = None) -> Iterator[str]:
    """Yield the journal of `period`, or all of it, as Beancount text that `bean-check` accepts; it sorts by itself.

    Accounts get the names Beancount can take (ledger/beancount.py), with their own beside them.
    """
    yield beancount.TITLE
    first_on = session.scalar(sa.select(sa.func.min(JournalEntry.posted_on)).where(*_within(period)))
    for currency in _distinct(session, JournalLine.currency, period):
        yield beancount.commodity(currency, first_on or date.min)
    for account in _distinct(session, JournalLine.account, period):
        yield beancount.opened(account, first_on or date.min)
    entry_id = None
    for entry, line in _rows(session, period):
        if entry.id != entry_id:
            entry_id = entry.id
            yield beancount.entry(
                posted_on=entry.posted_on, occurred_on=entry.occurred_on, narration=entry.description,
                details={"entry": entry.id, "kind": entry.kind, "source": entry.source_id},
            )  # fmt: skip
        amount = money.to_text(line.amount_minor, line.currency)
        yield beancount.line(line.account, f"{amount} {line.currency}", line.affiliate_id)


def comma_separated(session: Session, period: str | None = None) -> Iterator[str]:
    """Yield the journal of `period`, or all of it, as CSV (RFC 4180), one row a line, in the order of `hledger`."""
    yield csv_text.row(CSV_COLUMNS)
    for entry, line in _rows(session, period):
        yield csv_text.row((
            entry.id, entry.kind, entry.source_type, entry.source_id, entry.period, entry.posted_on.isoformat(),
            entry.occurred_on.isoformat(), entry.description, line.line_number, line.account,
            money.to_text(line.amount_minor, line.currency), line.currency, line.affiliate_id,
        ))  # fmt: skip


@dataclass(frozen=True)
class Writer:
    """One form of the journal: `write` yields its text, of one month or of all."""

    write: Callable[[Session, str | None], Iterator[str]]
    mimetype: str
    suffix: str


WRITERS: Mapping[str, Writer] = {
    "hledger": Writer(hledger, "text/plain", "journal"),
    "beancount": Writer(for_beancount, "text/plain", "beancount"),
    "csv": Writer(comma_separated, "text/csv", "csv"),
}


def _rows(session: Session, period: str | None) -> Iterator[Any]:
    statement = (
        sa.select(JournalEntry, JournalLine)
        .join(JournalLine, JournalLine.entry_id == JournalEntry.id)
        .where(*_within(period))
        # Not by entry id: a journal built anew from what it is about reads the same, line for line.
        .order_by(
            JournalEntry.posted_on,
            JournalEntry.source_type,
            JournalEntry.source_id,
            JournalEntry.kind,
            JournalLine.line_number,
        )
    )
    # A long journal does not gather in memory: a session holds what it has only read by weak references.
    yield from streamed(session, statement, at_once=ROWS_AT_ONCE)


def _distinct(session: Session, column: sa.orm.InstrumentedAttribute[str], period: str | None) -> list[str]:
    statement = sa.select(column).distinct().join(JournalEntry, JournalEntry.id == JournalLine.entry_id)
    return sorted(session.scalars(statement.where(*_within(period))))


def _within(period: str | None) -> list[sa.ColumnElement[bool]]:
    return [] if period is None else [JournalEntry.period == period]


def _commodity_format(currency: str) -> str:
    # The directive needs a decimal mark even where there are no decimals.
    return f"1000.{'0' * money.exponent(currency)}"


def _dates(entry: JournalEntry) -> str:
    own = "" if entry.occurred_on == entry.posted_on else f"={entry.occurred_on.isoformat()}"
    return f"{entry.posted_on.isoformat()}{own}"


def _plain(text: str) -> str:
    """Return `text` on one line and without what would begin a comment."""
    return " ".join(text.replace(";", ",").split())
