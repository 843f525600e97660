"""Snapshots: a month's rows kept at its close, hashed as they are kept, and read again as a stream."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import table_of
from core.errors import NotFound
from reports import differing
from reports.differing import Row
from reports.period_models import PeriodSnapshot, PeriodSnapshotPart
from reports.snapshot_rows import KINDS

# The rows of each kind are kept; format 1 is a close from before that, its digest alone.
FORMAT = 2
PART_ROWS = 5000


def take(
    session: Session,
    period: str,
    *,
    closed_at: datetime,
    closed_by: str,
    totals: Mapping[str, Any],
    part_rows: int = PART_ROWS,
) -> PeriodSnapshot:
    """Keep the month as it is now, under the next number; whoever calls holds the month, so that nothing comes in.

    A row at a time: a million conversions do not gather in memory.
    """
    number = last_number(session, period) + 1
    kinds = {}
    for name, kind in KINDS.items():
        rows = kind.rows(session, period, closed_at)
        kinds[name] = _kept(session, (period, number, name), rows, part_rows)
    snapshot = PeriodSnapshot(
        period=period,
        number=number,
        format=FORMAT,
        closed_at=closed_at,
        closed_by=closed_by,
        totals=dict(totals),
        kinds=kinds,
        digest=digest(period, totals, kinds),
    )
    session.add(snapshot)
    session.flush()
    return snapshot


def last_number(session: Session, period: str) -> int:
    """Return the number of the month's last snapshot, 0 without one."""
    return session.scalar(sa.select(sa.func.max(PeriodSnapshot.number)).where(PeriodSnapshot.period == period)) or 0


def of_period(session: Session, period: str, number: int) -> PeriodSnapshot:
    """Return one snapshot; raise NotFound when there is none."""
    found = session.get(PeriodSnapshot, (period, number))
    if found is None:
        message = f"{period} has no snapshot {number}"
        raise NotFound(message)
    return found


def rows(session: Session, snapshot: PeriodSnapshot, kind: str) -> Iterator[Row]:
    """Yield the rows that were kept of one kind, sorted by key."""
    # One part at a time, by its number: a cursor held open would keep the reader of two snapshots in two of them.
    statement = sa.select(PeriodSnapshotPart.content).where(
        PeriodSnapshotPart.period == snapshot.period,
        PeriodSnapshotPart.number == snapshot.number,
        PeriodSnapshotPart.kind == kind,
    )
    part = 0
    while (content := session.scalar(statement.where(PeriodSnapshotPart.part == part))) is not None:
        yield from map(differing.read, zlib.decompress(content).split(b"\n"))
        part += 1


class KindDigest:
    """The SHA-256 of rows in the order they are added, a line each."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.sha256()

    def add(self, row: Row) -> None:
        """Add a row."""
        self.add_text(row.line, 1)

    def add_text(self, text: bytes, rows: int) -> None:
        """Add the lines of some rows, joined."""
        self.rows += rows
        self._hash.update(text + b"\n")

    def shown(self) -> dict[str, Any]:
        """Return how a snapshot keeps it."""
        return {"rows": self.rows, "digest": f"sha256:{self._hash.hexdigest()}"}


def digest(period: str, totals: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    """Return the digest of a whole snapshot, `sha256:<hex>`: over its month, its totals, and each kind's rows."""
    # Sorted: a database gives the keys of JSON back in an order of its own.
    content = orjson.dumps([period, FORMAT, totals, kinds], option=orjson.OPT_SORT_KEYS)
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _kept(session: Session, place: tuple[str, int, str], found: Iterable[Row], part_rows: int) -> dict[str, Any]:
    period, number, kind = place
    hashed = KindDigest()
    remaining = iter(found)
    part = 0
    while chunk := list(islice(remaining, part_rows)):
        text = b"\n".join([row.line for row in chunk])
        hashed.add_text(text, len(chunk))
        # Most of a row is random ids: trying harder takes twice as long and saves a tenth.
        content = zlib.compress(text, 1)
        values = {"period": period, "number": number, "kind": kind, "part": part, "content": content}
        session.execute(table_of(PeriodSnapshotPart).insert().values(values))
        part += 1
    return hashed.shown()
