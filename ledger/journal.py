"""The journal: balanced entries, each about one thing and posted once; it only grows."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from core import copying
from core.database import table_of
from core.errors import Conflict
from core.runtime import Runtime
from ledger import periods
from ledger.models import JournalEntry, JournalLine
from ledger.posting import Posting, imbalance

_KEY = ("kind", "source_type", "source_id")


def post(runtime: Runtime, session: Session, postings: Sequence[Posting], *, today: date) -> int:
    """Post those `postings` that are not in the journal yet; return how many were new.

    Each goes to the month it occurred in while that is open, else to the month of `today` with its own date kept
    beside. Raises Conflict for an entry that does not balance (nothing is posted then) and when no month is open.
    """
    wanted = [posting for posting in postings if posting.lines]
    for posting in wanted:
        if left := imbalance(posting.lines):
            message = f"{posting.kind} of {posting.source_id} does not balance: {left} left over"
            raise Conflict(message, slug="unbalanced")
    if not wanted:
        return 0
    rows = _entries(runtime, session, wanted, today=today)
    by_id = {row["id"]: posting for row, posting in zip(rows, wanted, strict=True)}
    new = copying.insert_new(session, table_of(JournalEntry), rows, key=_KEY)
    # One statement for all: PostgreSQL checks at its end that every entry in it balances.
    lines = [line for entry_id in new for line in _lines(entry_id, by_id[entry_id])]
    copying.insert(session, table_of(JournalLine), lines)
    return len(new)


def _entries(runtime: Runtime, session: Session, wanted: Sequence[Posting], *, today: date) -> list[dict[str, Any]]:
    slots = periods.slots(session, {posting.occurred_on for posting in wanted}, today=today)
    now = runtime.clock()
    return [
        {
            "id": runtime.new_id("jrn"),
            "kind": posting.kind.value,
            "source_type": posting.source_type,
            "source_id": posting.source_id,
            "period": slots[posting.occurred_on].period,
            "occurred_on": posting.occurred_on,
            "posted_on": slots[posting.occurred_on].posted_on,
            "posted_at": now,
            "description": posting.description,
        }
        for posting in wanted
    ]


def _lines(entry_id: str, posting: Posting) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(posting.lines, start=1):
        yield {
            "entry_id": entry_id,
            "line_number": number,
            "account": line.account,
            "amount_minor": line.amount_minor,
            "currency": line.currency,
            "affiliate_id": line.affiliate_id,
        }
