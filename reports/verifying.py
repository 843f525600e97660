"""A close held against today: the month is read anew, and its digest comes out again, or what differs is named."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import periods
from postback.models import Conversion, ConversionEvent
from reports import closing, differing, moving_on, snapshots
from reports.differing import Row, RowChange
from reports.period_models import PeriodSnapshot
from reports.snapshot_rows import KINDS, Kind
from reports.snapshots import KindDigest

NAMED_MAX = 100


@dataclass(frozen=True)
class Verified:
    """What a check of one snapshot found.

    `is_kept` says that the rows as they were kept still make the digest. `rebuilt` is the digest of the month read
    anew, where rows that have moved on since (counted in `moved_on`) are taken as they were; None for a snapshot that
    is not the one the month is closed under. At most NAMED_MAX differences are named, `differences` counts all.
    """

    period: str
    number: int
    digest: str
    is_kept: bool
    rebuilt: str | None
    moved_on: dict[str, int]
    differences: int
    named: list[RowChange]

    @property
    def holds(self) -> bool:
        """Say whether the close is what it was."""
        return self.is_kept and self.rebuilt in {None, self.digest} and not self.differences


@dataclass
class _Found:
    moved_on: dict[str, int] = field(default_factory=dict)
    differences: int = 0
    named: list[RowChange] = field(default_factory=list)


def verify(session: Session, period: str, number: int | None = None) -> Verified:
    """Check the snapshot `number` of the month, its last one without; raise NotFound when there is none.

    Everything is read as a stream, in one snapshot of the database, and nothing is written.
    """
    periods.bounds(period)
    last = snapshots.last_number(session, period)
    snapshot = snapshots.of_period(session, period, number or last)
    is_in_force = snapshot.number == last and periods.is_closed(session, period)
    found = _Found()
    if snapshot.format != snapshots.FORMAT:
        rebuilt = closing.digest_without_rows(session, period) if is_in_force else None
        return _verified(snapshot, found, is_kept=True, rebuilt=rebuilt)
    is_kept = _is_kept(session, snapshot)
    rebuilt = _rebuilt(session, snapshot, found) if is_in_force else None
    return _verified(snapshot, found, is_kept=is_kept, rebuilt=rebuilt)


def _verified(snapshot: PeriodSnapshot, found: _Found, *, is_kept: bool, rebuilt: str | None) -> Verified:
    return Verified(
        period=snapshot.period,
        number=snapshot.number,
        digest=snapshot.digest,
        is_kept=is_kept,
        rebuilt=rebuilt,
        moved_on=found.moved_on,
        differences=found.differences,
        named=found.named,
    )


def _is_kept(session: Session, snapshot: PeriodSnapshot) -> bool:
    kinds = {}
    for name in KINDS:
        hashed = KindDigest()
        for row in snapshots.rows(session, snapshot, name):
            hashed.add(row)
        kinds[name] = hashed.shown()
    return snapshots.digest(snapshot.period, snapshot.totals, kinds) == snapshot.digest


def _rebuilt(session: Session, snapshot: PeriodSnapshot, found: _Found) -> str:
    touched = _touched(session, snapshot.period, snapshot.closed_at)
    kinds: dict[str, Any] = {}
    for name, kind in KINDS.items():
        hashed = KindDigest()
        for row in _rebuilt_rows(session, snapshot, kind, touched, found):
            hashed.add(row)
        kinds[name] = hashed.shown()
    return snapshots.digest(snapshot.period, snapshot.totals, kinds)


def _rebuilt_rows(
    session: Session, snapshot: PeriodSnapshot, kind: Kind, touched: set[str], found: _Found
) -> Iterator[Row]:
    """Yield the rows of today, but those that have moved on as they were kept; count what differs."""
    name = kind.shape.kind
    kept = snapshots.rows(session, snapshot, name)
    now = kind.rows(session, snapshot.period, snapshot.closed_at)
    for old, new in differing.paired(kept, now):
        if old is not None and new is not None and old.line == new.line:
            yield new
            continue
        change = differing.change_of(kind.shape, old, new)
        if moving_on.has_moved_on(change, kind.living, closed_at=snapshot.closed_at, touched=touched):
            found.moved_on[name] = found.moved_on.get(name, 0) + 1
            if old is not None:
                yield old
            continue
        found.differences += 1
        if len(found.named) < NAMED_MAX:
            found.named.append(change)
        if new is not None:
            yield new


def _touched(session: Session, period: str, closed_at: datetime) -> set[str]:
    """Return which conversions of the month something has happened to since it was closed."""
    start, end = periods.moments(period)
    statement = (
        sa.select(ConversionEvent.conversion_id)
        .distinct()
        .join(Conversion, Conversion.id == ConversionEvent.conversion_id)
        # From the moment itself on: an event of a transaction under way carries the time before it waited.
        .where(
            Conversion.occurred_at >= start,
            Conversion.occurred_at < end,
            ConversionEvent.at > closed_at - moving_on.UNDER_WAY,
        )
    )
    return set(session.scalars(statement))
