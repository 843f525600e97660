"""Loads networks' reports: each line once, however often its file comes, every bad row listed."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from core.database import lock
from core.errors import Conflict, Fault, Invalid
from core.runtime import Runtime
from ledger import periods
from partners.models import Source
from reports import csv_report, imports, lines
from reports.csv_report import NetworkRow, Rejected
from reports.imports import Imported, Upload
from reports.models import NetworkLine, Statement
from reports.reconciliation import LOCK


def load(
    runtime: Runtime, session: Session, upload: Upload, *, source_id: str, period: str, mapping: Mapping[str, Any]
) -> Imported:
    """Load a network's CSV report of one month.

    Raise Invalid with every fault of file, mapping and source at once, and Conflict for a closed month.
    """
    faults = [] if session.get(Source, source_id) else [Fault("source_id", "is no source of ours")]
    try:
        rows = csv_report.read(upload.from_start().read(), mapping)
    except Invalid as problem:
        raise Invalid.of(*faults, *problem.faults) from None
    if faults:
        raise Invalid.of(*faults)
    # A run under way must not see half of this file, nor a close miss it.
    lock(session, LOCK)
    if periods.is_closed(session, period):
        message = f"{period} is closed: its report can no longer change"
        raise Conflict(message, slug="period-closed")
    statement = imports.statement(
        runtime, upload, kind="network", format="csv", source_id=source_id, period=period, mapping=dict(mapping)
    )
    session.add(statement)
    session.flush()
    keys, rejected = lines.LineKeys(), []

    def values() -> Iterable[dict[str, Any]]:
        for row in rows:
            if isinstance(row, Rejected):
                rejected.append({"line": row.line, "reason": row.reason})
            else:
                yield _network_values(runtime, statement, row, keys)

    counts = imports.load(session, NetworkLine, values(), key=("source_id", "line_key"))
    return imports.finished(runtime, session, [(statement, counts, rejected)], upload)


def _network_values(runtime: Runtime, statement: Statement, row: NetworkRow, keys: lines.LineKeys) -> dict[str, Any]:
    source_id, period = str(statement.source_id), str(statement.period)
    return {
        "id": runtime.new_id("nln"),
        "statement_id": statement.id,
        "source_id": source_id,
        "period": period,
        "line_key": keys.key(lines.of_network(row, source_id=source_id, period=period)),
        "line_number": row.line,
        "transaction_id": row.transaction_id,
        "claimed_click_id": row.click_id,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "status_word": row.status,
        "occurred_on": row.occurred_on,
    }
