"""How long receipts are kept: whole months on PostgreSQL, where each has a part of the table, whole seals on SQLite."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import partitions
from core.database import is_postgresql
from core.ids import first_of_month, first_token, moment_of
from core.partitions import Part
from core.runtime import Runtime
from postback import purges
from postback.models import Receipt, ReceiptSeal

MONTHS_AHEAD = 3
BATCH_ROWS_MAX = 20_000
_TABLE, _REST = "receipts", "receipts_beyond"


def prepare(runtime: Runtime, session: Session) -> None:
    """Make the parts of the months to come; nothing on SQLite."""
    if is_postgresql(session):
        now = runtime.clock()
        partitions.ensure(session, _TABLE, [_month(now, ahead) for ahead in range(1, MONTHS_AHEAD + 1)], rest=_REST)


def gather(runtime: Runtime, session: Session, *, limit: int = BATCH_ROWS_MAX) -> int:
    """Move a batch of receipts into their month that came when nobody had made it; return how many there were.

    In the part that takes the rest they would never go.
    """
    if not is_postgresql(session):
        return 0
    below = _month(runtime.clock(), MONTHS_AHEAD).high
    return partitions.move_out(session, _TABLE, _month_of, rest=_REST, below=below, limit=limit)


def purge(runtime: Runtime, session: Session, *, limit: int = BATCH_ROWS_MAX) -> int:
    """Delete receipts past their retention and put it on the record; return how many seals went, 0: none is left.

    Only whole seals go, and with them all of their receipts in one commit. A seal itself stays, and says how many
    there were. A conversion keeps the id of its receipt.
    """
    # Whole days: on the record stands one purge a day, and not one a run.
    cutoff = datetime.combine(
        (runtime.clock() - runtime.receipt_retention).astimezone(UTC).date(), datetime.min.time(), UTC
    )
    if is_postgresql(session):
        return _drop_months(runtime, session, cutoff)
    seals = purges.waiting(session, below=_first_id(cutoff))
    count = rows = 0
    while count < len(seals) and (count == 0 or rows + seals[count].receipts <= limit):
        rows += seals[count].receipts
        count += 1
    gone = seals[:count]
    if gone:
        old = sa.delete(Receipt).where(Receipt.id > gone[0].after_id, Receipt.id <= gone[-1].up_to_id)
        result = session.execute(old.execution_options(synchronize_session=False))
        purges.record(runtime, session, gone, result.rowcount)  # type: ignore[attr-defined]  # of a DELETE
    return count


def _drop_months(runtime: Runtime, session: Session, cutoff: datetime) -> int:
    """Drop every part up to the start of a month: a month's parts go together, as seals do not span months."""
    partitions.alone(session, _TABLE)
    bound = _first_id(first_of_month(cutoff, 0))
    last = session.scalar(sa.select(sa.func.max(ReceiptSeal.up_to_id))) or ""
    unsealed = session.scalar(sa.select(sa.func.min(Receipt.id)).where(Receipt.id > last))
    if unsealed is not None:
        bound = min(bound, _month_of(unsealed).low or "")
    old = [part for part in partitions.parts(session, _TABLE) if part.high <= bound]
    if not old:
        return 0
    seals = purges.waiting(session, below=old[-1].high)
    # Counted before anything is locked.
    rows = session.scalar(sa.select(sa.func.count()).where(Receipt.id < old[-1].high)) or 0
    partitions.drop(session, [part.name for part in old])
    if seals:
        purges.record(runtime, session, seals, rows)
    return len(seals)


def _first_id(moment: datetime) -> str:
    return f"rcp_{first_token(moment)}"


def _month(now: datetime, ahead: int) -> Part:
    first, after = (first_of_month(now, each) for each in (ahead, ahead + 1))
    return Part(f"receipts_{first:%Y_%m}", _first_id(first), _first_id(after))


def _month_of(receipt_id: str) -> Part:
    return _month(moment_of(receipt_id.removeprefix("rcp_")), 0)
