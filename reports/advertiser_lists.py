"""Loads an advertiser's or a CRM's own list of sales: good lines are kept, every bad one is listed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, copying
from core.audit import Act
from core.database import lock, table_of
from core.errors import Conflict, Fault, Invalid
from core.runtime import Runtime
from ledger import periods
from partners.models import Campaign, Source
from reports import report_reading, two_tier
from reports.advertiser_models import AdvertiserLine, AdvertiserList
from reports.csv_report import NetworkRow, Rejected
from reports.imports import CHUNK_ROWS, FILE_NAME_LENGTH_MAX, Upload
from reports.reconciliation import LOCK
from reports.two_tier import Meaning

# A conversion younger than this is not looked for in a list: the advertiser's system may not know it yet.
AGE_MIN = timedelta(hours=24)


@dataclass(frozen=True)
class Wanted:
    """What a list is about: of a source or a campaign, a month or a day, and which of our amounts it tells."""

    mapping: Mapping[str, Any]
    statuses: Mapping[str, Any]
    source_id: str | None
    campaign_id: str | None
    period: str | None
    day: date | None
    compares: str
    seed: int
    sample_percent: int


def load(runtime: Runtime, session: Session, upload: Upload, wanted: Wanted) -> AdvertiserList:
    """Load a list; the stage two-tier compares it. A newer list about the same takes the place of those before it.

    Raise Invalid with every fault of file, mapping and words at once, Conflict for a closed month and for a file that
    is loaded already.
    """
    words, word_faults = two_tier.vocabulary(wanted.statuses)
    faults = [*_faults(session, wanted), *word_faults]
    try:
        rows = report_reading.read(upload.from_start(), wanted.mapping)
    except Invalid as problem:
        raise Invalid.of(*faults, *problem.faults) from None
    if faults:
        raise Invalid.of(*faults)
    # A check under way must not see half of this list, nor a close miss it.
    lock(session, LOCK)
    period = wanted.period or periods.period_of(wanted.day or date.min)
    if periods.is_closed(session, period):
        message = f"{period} is closed: what was compared then stays as it was"
        raise Conflict(message, slug="period-closed")
    made = _made(runtime, upload, wanted, period)
    for before in session.scalars(sa.select(AdvertiserList).where(is_about_the_same(made))):
        if before.file_sha256 == made.file_sha256 and before.state != "replaced":
            message = f"this file is loaded already, as {before.id}"
            raise Conflict(message, slug="list-loaded")
        before.state, before.next_check_at = "replaced", None
    session.add(made)
    session.flush()
    made.lines, made.rejected = _load(runtime, session, made, rows, words)
    after = {"file_sha256": made.file_sha256, "lines": made.lines, "rejected": len(made.rejected)}
    audit.record(session, Act(upload.actor, "imported", "advertiser list", made.id, made.imported_at, after=after))
    return made


def covered(found: AdvertiserList) -> tuple[datetime, datetime]:
    """Return the first moment that a list is about, and the first one after it, in UTC."""
    if found.day is None:
        return periods.moments(found.period)
    start = datetime.combine(found.day, time(), UTC)
    return start, start + timedelta(days=1)


def is_about_the_same(found: AdvertiserList) -> sa.ColumnElement[bool]:
    """Return the condition for lists of the same source or campaign, and of the same month or day."""
    return sa.and_(
        AdvertiserList.source_id.is_not_distinct_from(found.source_id),
        AdvertiserList.campaign_id.is_not_distinct_from(found.campaign_id),
        AdvertiserList.period == found.period,
        AdvertiserList.day.is_not_distinct_from(found.day),
    )


def _faults(session: Session, wanted: Wanted) -> list[Fault]:
    faults = []
    if (wanted.source_id is None) is (wanted.campaign_id is None):
        faults.append(Fault("source_id", "or campaign_id is needed, and one of them alone"))
    if wanted.source_id is not None and session.get(Source, wanted.source_id) is None:
        faults.append(Fault("source_id", "is no source of ours"))
    if wanted.campaign_id is not None and session.get(Campaign, wanted.campaign_id) is None:
        faults.append(Fault("campaign_id", "is no campaign of ours"))
    if (wanted.period is None) is (wanted.day is None):
        faults.append(Fault("period", "or day is needed, and one of them alone"))
    return faults


def _made(runtime: Runtime, upload: Upload, wanted: Wanted, period: str) -> AdvertiserList:
    now = runtime.clock()
    made = AdvertiserList(
        id=runtime.new_id("adl"),
        source_id=wanted.source_id,
        campaign_id=wanted.campaign_id,
        period=period,
        day=wanted.day,
        compares=wanted.compares,
        seed=wanted.seed,
        sample_percent=wanted.sample_percent,
        mapping={**wanted.mapping, "statuses": dict(wanted.statuses)},
        file_name=upload.name[:FILE_NAME_LENGTH_MAX],
        file_sha256=upload.sha256,
        lines=0,
        rejected=[],
        state="waiting",
        counts={},
        imported_at=now,
        imported_by=upload.actor.id,
    )
    made.next_check_at = max(now, covered(made)[0] + AGE_MIN)
    return made


def _load(
    runtime: Runtime,
    session: Session,
    made: AdvertiserList,
    rows: Iterable[NetworkRow | Rejected],
    words: Mapping[str, Meaning],
) -> tuple[int, list[dict[str, Any]]]:
    """Keep the good rows; return how many there were, and the bad ones with their reasons."""
    rejected: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    count = 0

    def write() -> None:
        copying.insert(session, table_of(AdvertiserLine), kept)
        kept.clear()

    for row in rows:
        read = _line(runtime, made, row, words)
        if isinstance(read, Rejected):
            rejected.append({"line": read.line, "reason": read.reason})
            continue
        kept.append(read)
        count += 1
        if len(kept) == CHUNK_ROWS:
            write()
    write()
    return count, rejected


def _line(
    runtime: Runtime, made: AdvertiserList, row: NetworkRow | Rejected, words: Mapping[str, Meaning]
) -> dict[str, Any] | Rejected:
    if isinstance(row, Rejected):
        return row
    meaning = two_tier.meaning_of(row.status, words)
    if row.transaction_id is None:
        return Rejected(row.line, "has no transaction id")
    if meaning is None:
        return Rejected(row.line, f"its status {row.status!r} means nothing to us: say what it means in statuses")
    return {
        "id": runtime.new_id("adn"),
        "list_id": made.id,
        "line_number": row.line,
        "transaction_id": row.transaction_id,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "status_word": row.status,
        "meaning": meaning.value,
        "occurred_on": row.occurred_on,
    }
