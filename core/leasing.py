"""Work that lies in a table until one worker takes it, under a lease that a worker who is gone stops renewing.

A table of such work has `id`, `state`, `attempts`, `leased_until`, `finished_at` and `error`; its rows go from waiting
to running to finished or failed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import claim

# A worker renews it as it goes on; one that is silent for so long is gone, and its work starts anew.
LEASE = timedelta(minutes=5)
ATTEMPTS_MAX = 3
ERROR_LENGTH_MAX = 500
WAITING, RUNNING, FINISHED, FAILED = "waiting", "running", "finished", "failed"

WorkT = TypeVar("WorkT", bound=Any)


@dataclass(frozen=True)
class Held:
    """Work that this worker does, as its `attempt`: what is recorded of it counts only while that is the last."""

    id: str
    attempt: int


def is_waiting(work: type[Any], now: datetime) -> sa.ColumnElement[bool]:
    """Return the condition for work that a worker may take: nobody has it, or who had it is gone."""
    is_left = sa.and_(work.state == RUNNING, work.leased_until < now)
    return sa.or_(work.state == WAITING, is_left)


def is_unfinished(work: type[Any]) -> sa.ColumnElement[bool]:
    """Return the condition for work that is not done."""
    unfinished: sa.ColumnElement[bool] = work.state.in_((WAITING, RUNNING))
    return unfinished


def taken(session: Session, work: type[WorkT], now: datetime) -> WorkT | None:
    """Take what has waited longest; None when nothing waits.

    What was begun ATTEMPTS_MAX times is given up: whatever ended its workers would end this one.
    """
    while True:
        waiting = sa.select(work).where(is_waiting(work, now)).order_by(work.id).limit(1)
        found: WorkT | None = session.scalar(claim(waiting))
        if found is None:
            return None
        if found.attempts < ATTEMPTS_MAX:
            break
        end(found, FAILED, now)
        found.error = f"its worker was stopped {ATTEMPTS_MAX} times before it was done"
        session.flush()
    found.state, found.attempts, found.leased_until = RUNNING, found.attempts + 1, now + LEASE
    return found


def renew(session: Session, work: type[Any], held: Held, now: datetime, **values: Any) -> None:
    """Note that its worker lives, and `values` of how far it is."""
    session.execute(sa.update(work).where(*_is_ours(work, held)).values(leased_until=now + LEASE, **values))


def locked(session: Session, work: type[WorkT], held: Held) -> WorkT | None:
    """Return the work, locked; None when another worker has it by now."""
    return session.scalar(sa.select(work).where(*_is_ours(work, held)).with_for_update())


def end(found: Any, state: str, now: datetime) -> None:
    """Have it end, with the state it ends in."""
    found.state, found.finished_at, found.leased_until = state, now, None


def fail(session: Session, work: type[WorkT], held: Held, now: datetime, reason: str) -> WorkT | None:
    """Record why it cannot be done; return it, or None when another worker has it by now."""
    found = locked(session, work, held)
    if found is not None:
        end(found, FAILED, now)
        found.error = reason[:ERROR_LENGTH_MAX]
    return found


def _is_ours(work: type[Any], held: Held) -> tuple[sa.ColumnElement[bool], ...]:
    return (work.id == held.id, work.state == RUNNING, work.attempts == held.attempt)
