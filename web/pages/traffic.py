"""What came in of late: postbacks by hour and by source, how fast they were answered, and who fell silent."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import hour_number
from core.ids import first_token
from core.money import Money
from partners.models import Source
from postback.models import Conversion, Receipt
from web.pages import silence

HOURS = 24
LATENCIES_MAX = 2000
LAST_MAX = 20
_BELIEVED = "believed"
_DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Hour:
    """One hour of postbacks."""

    at: datetime
    believed: int
    refused: int


@dataclass(frozen=True)
class SourceTraffic:
    """What one source has sent in the last day; `silent_since` is set when more should have come by now."""

    source: Source
    believed: int
    refused: int
    repeats: int
    sums: list[Money]
    last_at: datetime | None
    silent_since: datetime | None


@dataclass(frozen=True)
class Latency:
    """How many milliseconds answers took: half, 95 and 99 of 100 of the last `count` were quicker."""

    count: int
    p50: float
    p95: float
    p99: float


def hours(session: Session, now: datetime, *, source_id: str | None = None) -> list[Hour]:
    """Return the last HOURS hours, the oldest first."""
    start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    number = hour_number(session, Receipt.received_at).label("hour")
    statement = sa.select(number, Receipt.verdict, sa.func.count().label("postbacks")).where(_since(start))
    if source_id is not None:
        statement = statement.where(Receipt.source_id == source_id)
    counts = {
        (row.hour, row.verdict == _BELIEVED): row.postbacks
        for row in session.execute(statement.group_by(number, Receipt.verdict))
    }
    found = []
    for each in range(HOURS):
        at = start + timedelta(hours=each)
        key = int(at.timestamp()) // 3600
        found.append(Hour(at, counts.get((key, True), 0), counts.get((key, False), 0)))
    return found


def of_sources(session: Session, now: datetime) -> list[SourceTraffic]:
    """Return what every source that is not removed has sent in the last day, by name."""
    start = now - timedelta(hours=HOURS)
    counts = {
        (row.source_id, row.verdict, row.outcome): row.postbacks
        for row in session.execute(
            sa.select(Receipt.source_id, Receipt.verdict, Receipt.outcome, sa.func.count().label("postbacks"))
            .where(_since(start))
            .group_by(Receipt.source_id, Receipt.verdict, Receipt.outcome)
        )
    }
    sums = values(session, start)
    rows = []
    for source in session.scalars(sa.select(Source).where(Source.state != "removed").order_by(Source.name)):
        mine = {key[1:]: count for key, count in counts.items() if key[0] == source.id}
        last = _last_moments(session, source.id)
        rows.append(
            SourceTraffic(
                source,
                believed=sum(count for (verdict, _), count in mine.items() if verdict == _BELIEVED),
                refused=sum(count for (verdict, _), count in mine.items() if verdict != _BELIEVED),
                repeats=sum(count for (_, outcome), count in mine.items() if outcome == _DUPLICATE),
                sums=sums.get(source.id, []),
                last_at=last[0] if last else None,
                silent_since=silence.silent_since(last, now) if source.state == "active" else None,
            )
        )
    return rows


def values(session: Session, start: datetime) -> dict[str, list[Money]]:
    """Return what the conversions recorded from `start` on come to, by source and currency."""
    statement = (
        sa.select(Conversion.source_id, Conversion.currency, sa.func.sum(Conversion.payout_minor).label("total"))
        .where(Conversion.id >= f"cnv_{first_token(start)}", Conversion.payout_minor.is_not(None))
        .group_by(Conversion.source_id, Conversion.currency)
        .order_by(Conversion.currency)
    )
    found: dict[str, list[Money]] = {}
    for row in session.execute(statement):
        found.setdefault(row.source_id, []).append(Money(int(row.total), row.currency))
    return found


def latency(session: Session) -> Latency | None:
    """Return how long the last postbacks took; None when there is none."""
    statement = sa.select(Receipt.latency_us).order_by(Receipt.id.desc()).limit(LATENCIES_MAX)
    found = sorted(session.scalars(statement))
    if not found:
        return None
    p50, p95, p99 = (found[min(len(found) - 1, len(found) * part // 100)] / 1000 for part in (50, 95, 99))
    return Latency(len(found), p50, p95, p99)


def last_receipts(session: Session, source_id: str) -> list[Receipt]:
    """Return a source's last postbacks, the newest first."""
    statement = sa.select(Receipt).where(Receipt.source_id == source_id).order_by(Receipt.id.desc()).limit(LAST_MAX)
    return list(session.scalars(statement))


def _last_moments(session: Session, source_id: str) -> list[datetime]:
    statement = sa.select(Receipt.received_at).where(Receipt.source_id == source_id).order_by(Receipt.id.desc())
    return list(session.scalars(statement.limit(silence.SEEN_MAX)))


def _since(moment: datetime) -> sa.ColumnElement[bool]:
    # Ids begin with their moment: a range of them is one of time, has the index and skips whole partitions.
    return sa.and_(Receipt.id >= f"rcp_{first_token(moment)}", Receipt.received_at >= moment)
