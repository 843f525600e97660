"""Seals: the digest of a run of receipts, chained to the one before it.

A receipt that is changed, added or removed breaks its seal.

A chain on every receipt cost intake four times its price; sealed minutes later, in runs, it costs it nothing.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import lock, table_of
from core.ids import first_of_month, first_token
from core.runtime import Runtime
from postback.models import Receipt, ReceiptSeal

GENESIS = "0" * 64
# Longer than any commit of intake may take: what comes in later than this has no place among what is sealed.
SEALED_AFTER = timedelta(minutes=2)
RECEIPTS_A_SEAL_MAX = 20_000
_READ_AT_ONCE = 1000


@dataclass(frozen=True)
class Break:
    """The first seal that does not hold, and how."""

    seq: int
    reason: str


def seal(runtime: Runtime, session: Session) -> int:
    """Seal at most RECEIPTS_A_SEAL_MAX receipts that wait for it; return how many there were."""
    lock(session, "receipt seals")
    last = session.scalar(sa.select(ReceiptSeal).order_by(ReceiptSeal.seq.desc()).limit(1))
    now = runtime.clock()
    after_id = last.up_to_id if last else ""
    before = min(f"rcp_{first_token(now - SEALED_AFTER)}", _end_of_month(session, after_id))
    count, digest, up_to_id = _digested(session, Receipt.id > after_id, Receipt.id < before)
    if count == 0:
        return 0
    made = ReceiptSeal(
        seq=last.seq + 1 if last else 1,
        after_id=after_id,
        up_to_id=up_to_id,
        receipts=count,
        digest=digest,
        previous_hash=last.hash if last else GENESIS,
        sealed_at=now,
    )
    made.hash = chained_hash(made)
    session.add(made)
    session.flush()
    return count


def first_break(session: Session, *, kept_since: datetime) -> tuple[int, Break | None]:
    """Walk the seals; return how many hold and the first that does not.

    Of receipts from before `kept_since` all may be gone: then the chain alone is looked at.
    """
    previous, expected = GENESIS, 1
    purged_below = f"rcp_{first_token(kept_since)}"
    for each in session.scalars(sa.select(ReceiptSeal).order_by(ReceiptSeal.seq)):
        if each.seq != expected:
            return expected - 1, Break(expected, "is missing")
        if each.previous_hash != previous:
            return expected - 1, Break(each.seq, "does not follow from the seal before it")
        if each.hash != chained_hash(each):
            return expected - 1, Break(each.seq, "was changed after it was made")
        count, digest, _ = _digested(session, Receipt.id > each.after_id, Receipt.id <= each.up_to_id, limit=None)
        is_purged = count < each.receipts and each.up_to_id < purged_below
        if not is_purged and count != each.receipts:
            what = "removed" if count < each.receipts else "added"
            return expected - 1, Break(each.seq, f"has {abs(each.receipts - count)} receipts {what} since")
        if not is_purged and digest != each.digest:
            return expected - 1, Break(each.seq, "has a receipt that was changed since")
        previous, expected = each.hash, expected + 1
    return expected - 1, None


def chained_hash(each: ReceiptSeal) -> str:
    """Return the hash that a seal must carry."""
    content = [each.seq, each.after_id, each.up_to_id, each.receipts, each.digest, each.sealed_at.isoformat()]
    text = json.dumps(content, separators=(",", ":"))
    return hashlib.sha256(f"{each.previous_hash}{text}".encode()).hexdigest()


def _end_of_month(session: Session, after_id: str) -> str:
    """Return the id at which the month of the first waiting receipt ends: a month's receipts go as a whole."""
    waiting = sa.select(Receipt.received_at).where(Receipt.id > after_id).order_by(Receipt.id).limit(1)
    first = session.scalar(waiting)
    return f"rcp_{first_token(first_of_month(first, 1))}" if first is not None else after_id


def _digested(
    session: Session, *within: sa.ColumnElement[bool], limit: int | None = RECEIPTS_A_SEAL_MAX
) -> tuple[int, str, str]:
    """Return how many receipts there are `within`, their digest, and the last one's id."""
    digest, count, last_id = hashlib.sha256(), 0, ""
    for row in _rows(session, within, limit):
        digest.update(_canonical(row))
        count, last_id = count + 1, row["id"]
    return count, digest.hexdigest(), last_id


def _rows(session: Session, within: tuple[sa.ColumnElement[bool], ...], limit: int | None) -> Iterator[Any]:
    # Columns, not objects: a session keeps every object it has seen.
    columns = sorted(table_of(Receipt).columns, key=lambda column: column.name)
    statement = sa.select(*columns).where(*within).order_by(Receipt.id).limit(limit)
    with session.execute(statement.execution_options(yield_per=_READ_AT_ONCE)) as found:
        yield from found.mappings()


def _canonical(row: Any) -> bytes:
    text = json.dumps(dict(row), sort_keys=True, separators=(",", ":"), default=_plain)
    return f"{text}\n".encode()


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    message = f"a receipt has no {type(value).__name__}"
    raise TypeError(message)
