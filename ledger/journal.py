"""The journal: balanced entries, each about one thing and posted once; it only grows."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import insert_new
from core.errors import Conflict
from core.runtime import Runtime
from ledger import periods
from ledger.models import JournalEntry, JournalLine
from ledger.posting import Posting, imbalance

# Six parameters a line: well below the 32,766 that SQLite takes in one statement.
LINES_A_STATEMENT_MAX = 1000
# The table and not the class: by the class, rows with and without an affiliate would go in separate statements.
_INSERT_LINES = sa.insert(cast("sa.Table", JournalLine.__table__)).returning(JournalLine.entry_id)
_KEY = ["kind", "source_type", "source_id"]


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
    new = [row.id for row in insert_new(session, JournalEntry, rows, key=_KEY)]
    for lines in _statements(_lines(entry_id, by_id[entry_id]) for entry_id in new):
        # One statement for whole entries: PostgreSQL checks at its end that every entry in it balances. Without
        # RETURNING the driver would send each line as a statement of its own.
        session.execute(_INSERT_LINES, lines, execution_options={"insertmanyvalues_page_size": LINES_A_STATEMENT_MAX})
    return len(new)


def _entries(runtime: Runtime, session: Session, wanted: Sequence[Posting], *, today: date) -> list[dict[str, Any]]:
    slots = periods.slots(session, {posting.occurred_on for posting in wanted}, today=today)
    now = runtime.clock()
    return [
        {
            "id": runtime.new_id("jrn"),
            "kind": posting.kind,
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


def _lines(entry_id: str, posting: Posting) -> list[dict[str, Any]]:
    return [
        {
            "entry_id": entry_id,
            "line_number": number,
            "account": line.account,
            "amount_minor": line.amount_minor,
            "currency": line.currency,
            "affiliate_id": line.affiliate_id,
        }
        for number, line in enumerate(posting.lines, start=1)
    ]


def _statements(entries: Iterable[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    gathered: list[dict[str, Any]] = []
    for lines in entries:
        if gathered and len(gathered) + len(lines) > LINES_A_STATEMENT_MAX:
            yield gathered
            gathered = []
        gathered.extend(lines)
    if gathered:
        yield gathered
