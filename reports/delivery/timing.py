"""When a schedule's moments are, and which months it still has to tell of."""

from calendar import monthrange
from collections.abc import Collection, Iterator
from datetime import UTC, datetime

DAYS_MAX = 31
# A schedule that was away for longer than this tells of the last ones alone.
MONTHS_MAX = 12


def moment_in(year: int, month: int, *, day: int, hour: int) -> datetime:
    """Return the schedule's moment in a month, in UTC: its last day where the month has no such day."""
    return datetime(year, month, min(day, monthrange(year, month)[1]), hour, tzinfo=UTC)


def due(*, day: int, hour: int, counts_from: datetime, delivered: Collection[str], now: datetime) -> list[str]:
    """Return the months (YYYY-MM) that are to be told of now, the oldest first.

    A moment tells of the month before its own. Those before `counts_from` are not made up for, those that passed while
    no worker ran are: at most the last MONTHS_MAX of them.
    """
    found = []
    for year, month in _months(counts_from, now):
        if counts_from <= moment_in(year, month, day=day, hour=hour) <= now:
            told = f"{year - (month == 1):04d}-{(month - 2) % 12 + 1:02d}"
            if told not in delivered:
                found.append(told)
    return found[-MONTHS_MAX:]


def next_moment(*, day: int, hour: int, after: datetime) -> datetime:
    """Return the schedule's first moment after `after`."""
    year, month = after.year, after.month
    moment = moment_in(year, month, day=day, hour=hour)
    if moment <= after:
        moment = moment_in(year + (month == 12), month % 12 + 1, day=day, hour=hour)  # noqa: PLR2004 - December
    return moment


def _months(first: datetime, last: datetime) -> Iterator[tuple[int, int]]:
    for number in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        yield number // 12, number % 12 + 1
