"""How long receipts are kept: whole months on PostgreSQL, where each has a part of the table, row by row on SQLite."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import partitions
from core.database import is_postgresql
from core.ids import first_of_month, first_token
from core.partitions import Part
from core.runtime import Runtime
from postback.models import Receipt, ReceiptSeal

MONTHS_AHEAD = 3
BATCH_ROWS_MAX = 2000
_TABLE, _REST = "receipts", "receipts_beyond"


def prepare(runtime: Runtime, session: Session) -> None:
    """Make the parts of the months to come; nothing on SQLite."""
    if is_postgresql(session):
        now = runtime.clock()
        partitions.ensure(session, _TABLE, [_month(now, ahead) for ahead in range(1, MONTHS_AHEAD + 1)], rest=_REST)


def purge(runtime: Runtime, session: Session) -> int:
    """Delete receipts past their retention, at most a batch of them on SQLite; return whether to come again.

    Only what is sealed goes: a seal stays, and says how many there were. A conversion keeps the id of its receipt.
    """
    past = f"rcp_{first_token(runtime.clock() - runtime.receipt_retention)}"
    sealed = session.scalar(sa.select(sa.func.max(ReceiptSeal.up_to_id)).where(ReceiptSeal.up_to_id < past)) or ""
    if is_postgresql(session):
        newest = session.scalar(sa.select(sa.func.max(ReceiptSeal.up_to_id))) or ""
        partitions.drop_below(session, _TABLE, min(past, newest))
        return 0
    # Whole seals at a time: one of which a part is gone could not be told from one that was tampered with.
    old = sa.select(Receipt.id).where(Receipt.id <= sealed).order_by(Receipt.id).limit(BATCH_ROWS_MAX)
    ids = session.scalars(old).all()
    session.execute(sa.delete(Receipt).where(Receipt.id.in_(ids)).execution_options(synchronize_session=False))
    return len(ids)


def _month(now: datetime, ahead: int) -> Part:
    first, after = (first_of_month(now, each) for each in (ahead, ahead + 1))
    return Part(f"receipts_{first:%Y_%m}", f"rcp_{first_token(first)}", f"rcp_{first_token(after)}")
