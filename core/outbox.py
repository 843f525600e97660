"""Messages to the world outside: kept in the commit of what they tell, sent later, each under a key that is used once.

A message is claimed for a while, sent outside any transaction, and then recorded. Should the sender die in between, it
is sent again: a letter under the same Message-ID and file name, a webhook under the same `webhook-id`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import doorbell
from core.database import Base, Id, Json, claim, insert_new
from core.runtime import Runtime

STAGE = "notifying"
LEASE = timedelta(minutes=5)
# After each failure; then the message is given up, and stays to be seen.
BACKOFF = tuple(timedelta(minutes=each) for each in (1, 5, 30, 120, 360, 720, 1440))
_ERROR_LENGTH_MAX = 200


class Channel(StrEnum):
    """By which way a message goes."""

    EMAIL = "email"
    WEBHOOK = "webhook"


class OutboxMessage(Base):
    """One message that is to be sent, once."""

    __tablename__ = "outbox_messages"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(200), unique=True)  # what it tells, to whom: the same is not told twice
    channel: Mapped[str] = mapped_column(sa.String(8))  # email | webhook
    recipient: Mapped[str] = mapped_column(sa.String(254))  # an address; empty for the one webhook
    payload: Mapped[dict[str, Any]] = mapped_column(Json)  # email: subject, text, attachments; webhook: its body
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(sa.Integer, server_default=sa.text("0"))
    next_at: Mapped[datetime | None]  # when it is to be tried; None: sent or given up
    sent_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(sa.String(_ERROR_LENGTH_MAX))  # of the last attempt

    __table_args__ = (
        sa.Index(
            "ix_outbox_messages_next_at",
            "next_at",
            sqlite_where=sa.text("next_at IS NOT NULL"),
            postgresql_where=sa.text("next_at IS NOT NULL"),
        ),
    )


@dataclass(frozen=True)
class Message:
    """What is to be told: see OutboxMessage."""

    key: str
    channel: Channel
    recipient: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Claimed:
    """A message that this caller sends now; nobody else does for LEASE."""

    id: str
    channel: Channel
    recipient: str
    payload: Mapping[str, Any]
    created_at: datetime
    attempts: int


def put(runtime: Runtime, session: Session, messages: Sequence[Message]) -> int:
    """Keep those of `messages` whose keys are new, to be sent after the commit; return how many."""
    now = runtime.clock()
    rows = [
        {
            "id": runtime.new_id("msg"),
            "key": message.key,
            "channel": message.channel.value,
            "recipient": message.recipient,
            "payload": dict(message.payload),
            "created_at": now,
            "next_at": now,
        }
        for message in messages
    ]
    if not rows:
        return 0
    doorbell.after_commit(session, STAGE)
    return len(insert_new(session, OutboxMessage, rows, key=["key"]))


def claimed(session: Session, now: datetime, limit: int) -> list[Claimed]:
    """Take at most `limit` messages that are due, the oldest first, for the caller to send."""
    due = sa.select(OutboxMessage).where(OutboxMessage.next_at <= now).order_by(OutboxMessage.next_at).limit(limit)
    found = session.scalars(claim(due)).all()
    for message in found:
        message.next_at = now + LEASE
        message.attempts += 1
    return [
        Claimed(each.id, Channel(each.channel), each.recipient, each.payload, each.created_at, each.attempts)
        for each in found
    ]


def record_sent(session: Session, message_id: str, now: datetime) -> None:
    """Note that the message has gone out."""
    message = session.get_one(OutboxMessage, message_id)
    message.sent_at, message.next_at, message.error = now, None, None
    # Files are large, and have gone where they were to go.
    message.payload = {name: value for name, value in message.payload.items() if name != "attachments"}


def record_failure(session: Session, message_id: str, reason: str, now: datetime, *, is_final: bool) -> None:
    """Note why it has not gone out, and when it is tried again: not at all when `is_final` or tried often enough."""
    message = session.get_one(OutboxMessage, message_id)
    message.error = reason[:_ERROR_LENGTH_MAX]
    gives_up = is_final or message.attempts > len(BACKOFF)
    message.next_at = None if gives_up else now + BACKOFF[message.attempts - 1]
