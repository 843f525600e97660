"""Seals: the digest of a run of receipts, chained to the one before it.

A receipt that is changed, added or removed breaks its seal.

A chain on every receipt cost intake four times its price; sealed minutes later, in runs, it costs it nothing.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import lock, oldest_write_s, table_of
from core.ids import first_of_month, first_token
from core.runtime import Runtime
from postback import purges
from postback.models import Receipt, ReceiptSeal
from postback.purges import Purge

log = logging.getLogger(__name__)

GENESIS = "0" * 64
# Longer than any commit of intake takes; one that takes longer all the same holds the seals back.
SEALED_AFTER = timedelta(minutes=2)
# What may lie between a receipt's own time and the beginning of the transaction that writes it.
_IN_LINE = timedelta(seconds=30)
# A writer that stays open for ever would end all sealing, and nobody would know.
_HELD_BACK_TOLD = timedelta(minutes=10)
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
    # Asked before the receipts are read: who begins to write later brings none that are old enough.
    writing = timedelta(seconds=oldest_write_s(session))
    if writing > _HELD_BACK_TOLD:
        log.warning(
            "a transaction that stays open holds the seals back", extra={"open_s": int(writing.total_seconds())}
        )
    after_id = last.up_to_id if last else ""
    ripe = now - max(SEALED_AFTER, writing + _IN_LINE if writing else SEALED_AFTER)
    before = min(f"rcp_{first_token(ripe)}", _end_of_month(session, after_id))
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


def first_break(session: Session) -> tuple[int, Break | None]:
    """Walk the seals; return how many hold and the first that does not.

    Under a seal that a recorded purge covers there is nothing left, and the purge took as many receipts as were sealed.
    Receipts that are missing otherwise were removed by somebody, however old they are.
    """
    previous, expected = GENESIS, 1
    purged = _Purged(purges.every(session))
    for each in _seals(session):
        reason = _chain_fault(each, expected, previous)
        if reason is None:
            count, digest, _ = _digested(session, Receipt.id > each.after_id, Receipt.id <= each.up_to_id, limit=None)
            sealed = 0 if purged.covers(each) else each.receipts
            if count != sealed:
                what = "removed" if count < sealed else "added"
                reason = f"has {abs(sealed - count)} receipts {what} since"
            elif sealed and digest != each.digest:
                reason = "has a receipt that was changed since"
        if reason is not None:
            return expected - 1, Break(expected if each.seq != expected else each.seq, reason)
        previous, expected = each.hash, expected + 1
    wrong = purged.first_wrong()
    return (expected - 1, None) if wrong is None else (min(wrong.seq, expected) - 1, wrong)


def _seals(session: Session) -> Iterator[ReceiptSeal]:
    statement = sa.select(ReceiptSeal).order_by(ReceiptSeal.seq).execution_options(yield_per=_READ_AT_ONCE)
    # Closed also when the walk ends early; and there is a seal a minute, for years.
    with session.scalars(statement) as found:
        for each in found:
            yield each
            session.expunge(each)


class _Purged:
    """The purges on the record, with what the seals say that they should have taken."""

    def __init__(self, recorded: Sequence[Purge]) -> None:
        self._recorded = recorded
        self._sealed = [0] * len(recorded)

    def covers(self, each: ReceiptSeal) -> bool:
        """Say whether a purge covers this seal, and count its receipts as that one's."""
        found = False
        for place, purge in enumerate(self._recorded):
            if purge.first_seq <= each.seq <= purge.last_seq:
                self._sealed[place] += each.receipts
                found = True
        return found

    def first_wrong(self) -> Break | None:
        """Return the first purge that took another number of receipts than were sealed, once all seals were seen."""
        for purge, sealed in zip(self._recorded, self._sealed, strict=True):
            if purge.receipts != sealed:
                reason = f"and those up to {purge.last_seq} were purged with {purge.receipts} of {sealed} receipts"
                return Break(purge.first_seq, reason)
        return None


def _chain_fault(each: ReceiptSeal, expected: int, previous: str) -> str | None:
    if each.seq != expected:
        return "is missing"
    if each.previous_hash != previous:
        return "does not follow from the seal before it"
    return None if each.hash == chained_hash(each) else "was changed after it was made"


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
