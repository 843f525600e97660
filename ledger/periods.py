"""Periods: calendar months in UTC, and the lock between who posts into one and who closes it."""

import re
from calendar import monthrange
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import insert_new
from core.errors import Conflict, Fault, Invalid
from ledger.models import Period

_PERIOD = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)


class PeriodState(StrEnum):
    """Whether anything may still be posted into a period."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True)
class Slot:
    """Where something goes in the books: its period, and the date within it."""

    period: str
    posted_on: date


def period_of(day: date) -> str:
    """Return the month of `day` as YYYY-MM."""
    return f"{day:%Y-%m}"


def bounds(period: str) -> tuple[date, date]:
    """Return the first and the last day of `period`; raise Invalid when it is no month."""
    if not _PERIOD.fullmatch(period) or period.startswith("0000"):
        raise Invalid.of(Fault("period", "takes a month, such as 2026-10"))
    year, month = int(period[:4]), int(period[5:])
    return date(year, month, 1), date(year, month, monthrange(year, month)[1])


def moments(period: str) -> tuple[datetime, datetime]:
    """Return the first moment of `period` and the first one after it, in UTC."""
    first, last = bounds(period)
    start = datetime.combine(first, time(), UTC)
    return start, datetime.combine(last, time(), UTC) + timedelta(days=1)


def is_closed(session: Session, period: str) -> bool:
    """Say whether nothing can be posted into `period` any more; a month without a row is open."""
    return session.scalar(sa.select(Period.state).where(Period.id == period)) == PeriodState.CLOSED


def slots(session: Session, days: Collection[date], *, today: date) -> dict[date, Slot]:
    """Return for each of `days` where it is booked: in its own month while that is open, else on `today`.

    The months stay as they are until the transaction ends. Raises Conflict when a day's month and that of `today`
    are both closed.
    """
    current = period_of(today)
    closed = _held_open(session, {period_of(day) for day in days} | {current})
    found = {}
    for day in days:
        if (own := period_of(day)) not in closed:
            found[day] = Slot(own, day)
        elif current not in closed:
            found[day] = Slot(current, today)
        else:
            message = f"{own} and {current} are both closed: there is no open month to post into"
            raise Conflict(message)
    return found


def held_for_closing(session: Session, period: str) -> Period:
    """Return the row of `period`, held so that nobody posts into it until the transaction ends.

    It waits for postings under way. Whoever closes a month calls this first and counts afterwards: what was counted
    before may lack an entry that was committed in between.
    """
    ensure_open_rows(session, [period])
    return session.get_one(Period, period, with_for_update=True, populate_existing=True)


def ensure_open_rows(session: Session, periods: Iterable[str]) -> None:
    """Give each of `periods` its row, an open one when there is none.

    The race this ends: a close looks at a month, finds no uncommitted entry, and inserts the closed row, while the
    entry's own check (FOR SHARE, in the trigger) found no row to hold on to; both commit, and the closed month has an
    entry that its digest does not know. With a row there, the two meet at its lock. Readers share it, so postings do
    not wait for one another; only the very first one of a month makes others wait, once.
    """
    wanted = set(periods)
    there = set(session.scalars(sa.select(Period.id).where(Period.id.in_(wanted))))
    # Sorted: two transactions that each add two months wait for one another in the same order.
    rows = [{"id": period, "state": PeriodState.OPEN} for period in sorted(wanted - there)]
    insert_new(session, Period, rows, key=["id"])


def _held_open(session: Session, periods: Collection[str]) -> set[str]:
    """Hold `periods` against closing until the transaction ends; return those that are closed already."""
    ensure_open_rows(session, periods)
    # FOR SHARE here and not in the trigger alone: which month an entry goes to is decided now, and must still hold
    # when it is inserted.
    statement = (
        sa.select(Period.id, Period.state).where(Period.id.in_(periods)).order_by(Period.id).with_for_update(read=True)
    )
    return {row.id for row in session.execute(statement) if row.state == PeriodState.CLOSED}
