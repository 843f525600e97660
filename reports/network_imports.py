"""Loads networks' reports: each line once, however often its file comes, every bad row listed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from core.database import lock
from core.errors import Conflict, Fault, Invalid
from core.runtime import Runtime
from ledger import periods
from partners.models import Source
from reports import imports, line_spool, line_staging, report_reading
from reports.imports import Imported, Upload
from reports.line_spool import Spool, Told
from reports.reconciliation import LOCK


@dataclass(frozen=True)
class Wanted:
    """What a report is: of which source, of which month, and the mapping that reads it."""

    source_id: str
    period: str
    mapping: Mapping[str, Any]


@dataclass(frozen=True)
class Read:
    """A report that was read whole, and what it was read as."""

    format: str
    spool: Spool


@contextmanager
def reading(upload: Upload, wanted: Wanted, *, faults: list[Fault], told: Told = bool) -> Iterator[Read]:
    """Read all of a report, before anything is locked; its lines last as long as the context.

    Raise Invalid with `faults` and every fault of file and mapping at once.
    """
    try:
        report = report_reading.opened(upload.from_start(), wanted.mapping)
    except Invalid as problem:
        raise Invalid.of(*faults, *problem.faults) from None
    if faults:
        report.table.close()
        raise Invalid.of(*faults)
    with line_spool.spooled(report, source_id=wanted.source_id, period=wanted.period, told=told) as spool:
        yield Read(report.layout.format.value, spool)


def faults_of(session: Session, wanted: Wanted) -> list[Fault]:
    """Return what is wrong with what a report is said to be."""
    return [] if session.get(Source, wanted.source_id) else [Fault("source_id", "is no source of ours")]


def check(session: Session, upload: Upload, wanted: Wanted) -> None:
    """Raise Invalid with every fault of source, mapping and header, Conflict for a closed month.

    The rows are not looked at.
    """
    faults = faults_of(session, wanted)
    try:
        report_reading.opened(upload.from_start(), wanted.mapping).table.close()
    except Invalid as problem:
        raise Invalid.of(*faults, *problem.faults) from None
    if faults:
        raise Invalid.of(*faults)
    _refuse_closed(session, wanted.period)


def load(runtime: Runtime, session: Session, upload: Upload, wanted: Wanted, *, told: Told = bool) -> Imported:
    """Load a network's report of one month.

    Raise Invalid with every fault of file, mapping and source at once, and Conflict for a closed month.
    """
    with reading(upload, wanted, faults=faults_of(session, wanted), told=told) as read:
        return store(runtime, session, upload, wanted, read)


def store(runtime: Runtime, session: Session, upload: Upload, wanted: Wanted, read: Read) -> Imported:
    """Store what was read; raise Conflict for a closed month."""
    spool = read.spool
    with line_staging.staged(session, spool, source_id=wanted.source_id, period=wanted.period):
        # A run under way must not see half of this file, nor a close miss it.
        lock(session, LOCK)
        _refuse_closed(session, wanted.period)
        statement = imports.statement(
            runtime, upload, kind="network", format=read.format, source_id=wanted.source_id, period=wanted.period,
            mapping=dict(wanted.mapping),
        )  # fmt: skip
        session.add(statement)
        session.flush()
        stored = line_staging.store(session, statement, spool)
    rejected = sorted(spool.rejected, key=lambda row: int(row["line"]))
    counts = (spool.lines, stored.new)
    return imports.finished(runtime, session, [(statement, counts, rejected)], upload, restated=stored.restated)


def _refuse_closed(session: Session, period: str) -> None:
    if periods.is_closed(session, period):
        message = f"{period} is closed: its report can no longer change"
        raise Conflict(message, slug="period-closed")
