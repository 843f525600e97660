"""The hash-chained log of what people and policies did; a changed row breaks every hash after it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.actors import Actor
from core.database import Base, Json, Serial, lock

GENESIS = "0" * 64
_PENDING = "clickledger_audit"
_BATCH = 1000


class AuditEntry(Base):
    """One act. `hash` is the SHA-256 of `previous_hash` and of every other column in canonical JSON."""

    __tablename__ = "audit_entries"

    seq: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor_kind: Mapped[str] = mapped_column(sa.String(16))
    actor_id: Mapped[str] = mapped_column(sa.String(120), index=True)
    on_behalf_of: Mapped[str | None] = mapped_column(sa.String(120))
    verb: Mapped[str] = mapped_column(sa.String(60))
    subject_kind: Mapped[str] = mapped_column(sa.String(40))
    subject_id: Mapped[str] = mapped_column(sa.String(120))
    before: Mapped[dict[str, Any] | None] = mapped_column(Json)
    after: Mapped[dict[str, Any] | None] = mapped_column(Json)
    reason: Mapped[str | None] = mapped_column(sa.String(2000))
    previous_hash: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64))

    __table_args__ = (sa.Index("ix_audit_entries_subject", "subject_kind", "subject_id"),)


@dataclass(frozen=True)
class Act:
    """What is to be logged. `before` and `after` hold plain JSON values, nothing personal and no secret."""

    actor: Actor
    verb: str
    subject_kind: str
    subject_id: str
    at: datetime
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    reason: str | None = None
    on_behalf_of: str | None = None


def record(session: Session, act: Act) -> None:
    """Log `act` in the same commit as what it did.

    It is written at the end of the transaction by `write_pending`: the chain is one lock for everybody, and taken
    last it cannot form a deadlock with the row locks of two acts.
    """
    session.info.setdefault(_PENDING, []).append(act)


def write_pending(session: Session) -> None:
    """Append the acts recorded in this transaction to the chain; called once, right before the commit."""
    acts: list[Act] = session.info.pop(_PENDING, [])
    if not acts:
        return
    lock(session, "audit")
    last = session.execute(
        sa.select(AuditEntry.seq, AuditEntry.hash).order_by(AuditEntry.seq.desc()).limit(1)
    ).one_or_none()
    seq, previous = (last.seq, last.hash) if last else (0, GENESIS)
    for act in acts:
        seq += 1
        entry = AuditEntry(
            seq=seq,
            at=act.at,
            actor_kind=act.actor.kind.value,
            actor_id=act.actor.id,
            on_behalf_of=act.on_behalf_of,
            verb=act.verb,
            subject_kind=act.subject_kind,
            subject_id=act.subject_id,
            before=_plain(act.before),
            after=_plain(act.after),
            reason=act.reason,
            previous_hash=previous,
        )
        entry.hash = previous = chained_hash(entry)
        session.add(entry)
    session.flush()


def forget_pending(session: Session) -> None:
    """Drop what was recorded in a transaction that was rolled back."""
    session.info.pop(_PENDING, None)


def chained_hash(entry: AuditEntry) -> str:
    """Return the hash that `entry` must carry, in 64 lower-case hexadecimal digits."""
    content = {
        "seq": entry.seq,
        "at": entry.at.isoformat(),
        "actor": [entry.actor_kind, entry.actor_id, entry.on_behalf_of],
        "verb": entry.verb,
        "subject": [entry.subject_kind, entry.subject_id],
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{entry.previous_hash}{text}".encode()).hexdigest()


@dataclass(frozen=True)
class Break:
    """The first row where the chain no longer holds, and how."""

    seq: int
    reason: str


def first_break(session: Session) -> tuple[int, Break | None]:
    """Walk the whole chain; return how many rows hold and the first one that does not (None when all hold).

    Rows cut off at the end cannot be seen from inside the chain: note the count and last hash elsewhere.
    """
    previous, expected_seq = GENESIS, 1
    for entry in _entries(session):
        if entry.seq != expected_seq:
            return expected_seq - 1, Break(expected_seq, f"row {expected_seq} is missing")
        if entry.previous_hash != previous:
            return expected_seq - 1, Break(entry.seq, "does not follow from the row before it")
        if entry.hash != chained_hash(entry):
            return expected_seq - 1, Break(entry.seq, "was changed after it was written")
        previous, expected_seq = entry.hash, expected_seq + 1
    return expected_seq - 1, None


def _entries(session: Session) -> Iterator[AuditEntry]:
    statement = sa.select(AuditEntry).order_by(AuditEntry.seq).execution_options(yield_per=_BATCH)
    # Closed also when the walk ends early: a broken chain must not leave a cursor open on the server.
    with session.scalars(statement) as entries:
        for entry in entries:
            yield entry
            session.expunge(entry)


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    # A round trip: what is hashed must be what the database gives back.
    return None if values is None else json.loads(json.dumps(dict(values), default=str))
