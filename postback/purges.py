"""Purges on the record: which seals went past their retention, whole, and with how many receipts."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit
from core.actors import system
from core.audit import Act, AuditEntry
from core.runtime import Runtime
from postback.models import ReceiptSeal

ACTOR = system("stage:purge")
VERB = "purged"
_KIND, _ID = "receipts", "all"


@dataclass(frozen=True)
class Purge:
    """The seals from `first_seq` to `last_seq` went, and `receipts` rows with them."""

    first_seq: int
    last_seq: int
    receipts: int


def record(runtime: Runtime, session: Session, seals: Sequence[ReceiptSeal], receipts: int) -> None:
    """Put on the record, in the same commit, that the receipts under `seals`, in a row, are deleted.

    `receipts` is how many rows went, whatever the seals say: fewer than that were missing before.
    """
    after = {
        "seals": [seals[0].seq, seals[-1].seq],
        "after_id": seals[0].after_id,
        "up_to_id": seals[-1].up_to_id,
        "receipts": receipts,
        "sealed": sum(seal.receipts for seal in seals),
        "retention_days": runtime.receipt_retention.days,
    }
    audit.record(session, Act(ACTOR, VERB, _KIND, _ID, runtime.clock(), after=after))


def every(session: Session) -> list[Purge]:
    """Return all purges, oldest first."""
    statement = sa.select(AuditEntry.after).where(*_OURS).order_by(AuditEntry.seq)
    return [_purge(after) for after in session.scalars(statement) if after is not None]


def waiting(session: Session, *, below: str) -> Sequence[ReceiptSeal]:
    """Return the seals that hold only receipts below an id and are not purged yet, oldest first."""
    last = session.scalar(sa.select(AuditEntry.after).where(*_OURS).order_by(AuditEntry.seq.desc()).limit(1))
    after_seq = 0 if last is None else _purge(last).last_seq
    statement = sa.select(ReceiptSeal).where(ReceiptSeal.seq > after_seq, ReceiptSeal.up_to_id < below)
    return session.scalars(statement.order_by(ReceiptSeal.seq)).all()


_OURS = (AuditEntry.subject_kind == _KIND, AuditEntry.subject_id == _ID, AuditEntry.verb == VERB)


def _purge(after: dict[str, object]) -> Purge:
    match after:
        case {"seals": [int(first), int(last)], "receipts": int(receipts)}:
            return Purge(first, last, receipts)
    message = "an entry about purged receipts is none of ours"
    raise ValueError(message)
