"""The digest: once a day each person is told what waits for him, and whoever is away is left in peace."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import deciders, delegations, notices, queries
from core.outbox import OutboxMessage
from core.runtime import Runtime

# UTC: before the working day of Europe, and at the end of America's.
FROM_HOUR = 6
TITLES_MAX = notices.NAMED_MAX


def due(session: Session, now: datetime) -> Sequence[str]:
    """Return the ids of those who have had no digest today and are not away; nobody before FROM_HOUR."""
    if now.hour < FROM_HOUR:
        return []
    today = f"digest/{now.date().isoformat()}/"
    told = set(session.scalars(sa.select(OutboxMessage.key).where(OutboxMessage.key.startswith(today))))
    away = delegations.away(session, now)
    return [each for each in deciders.load(session).roles if f"{today}{each}" not in told and each not in away]


def send(runtime: Runtime, session: Session, staff_id: str) -> None:
    """Keep the day's digest for one person; nothing for one whom nothing waits for."""
    now = runtime.clock()
    sums = queries.sums_waiting_for(session, staff_id, now)
    if sums:
        waiting = queries.listed(session, limit=TITLES_MAX, waiting_for=staff_id, now=now)
        notices.digest(runtime, session, staff_id, sums, [f"{each.title}: {each.money}" for each in waiting.items])
