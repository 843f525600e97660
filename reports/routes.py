"""The HTTP door of reports."""

from collections.abc import Iterator
from typing import Any

import flask
from sqlalchemy.orm import Session

from access.roles import EVERYONE, Role
from core import csv_text
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import listing
from core.rows import existing
from core.runtime import installed
from ledger import periods
from ledger.models import Period
from postback.models import Conversion
from reports import bills, checks, closing, custody, network_imports, queries, reconciliation, report, report_mappings
from reports.bills import Wanted
from reports.exports import answering, older
from reports.imports import Imported, Upload
from reports.models import Discrepancy, Reconciliation
from reports.queries import DiscrepancyQuery, RunQuery
from reports.resolving.queries import shown
from reports.schemas import (
    BillsQuerySchema,
    ChecksSchema,
    ClosedPeriodSchema,
    CustodySchema,
    DiscrepancyListSchema,
    DiscrepancyQuerySchema,
    FormatQuery,
    FormatQuerySchema,
    ImportedSchema,
    NetworkReport,
    NetworkReportSchema,
    NewRun,
    NewRunSchema,
    RunIdSchema,
    RunQuerySchema,
    RunSchema,
)

blueprint = Blueprint(
    "reports",
    __name__,
    url_prefix="/api/v1",
    description="Month end: statements, matching, discrepancies, period close, exports.",
)

_IMPORTS = actors(Role.FINANCE, scope="statements:write")
_RECONCILES = actors(Role.FINANCE, Role.MANAGER, scope="reconciliations:write")
_READS = actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN, scope="reports:read")
_CLOSES = actors(Role.FINANCE)
_BOOKS = actors(Role.FINANCE, Role.AUDITOR, scope="reports:read")
_SEES_CONVERSIONS = actors(*EVERYONE, scope="conversions:read")


@endpoint(
    blueprint, "POST", "/network-reports", door=_IMPORTS, multipart=NetworkReportSchema, answers=ImportedSchema,
    status=201, creates=True,
)  # fmt: skip
def import_network_report(session: Session, body: NetworkReport) -> Imported:
    """Import a network's report of a month, CSV, TSV, JSON or XLSX; good rows load once, every bad one is listed."""
    upload = _upload(body.file)
    mapping = report_mappings.reading(session, upload.file, body.mapping)
    wanted = network_imports.Wanted(body.source_id, body.period, mapping)
    return network_imports.load(installed(), session, upload, wanted)


@endpoint(
    blueprint, "POST", "/reconciliations", door=_RECONCILES, body=NewRunSchema, answers=RunIdSchema, status=202,
    creates=True,
)  # fmt: skip
def reconcile(session: Session, body: NewRun) -> Reconciliation:
    """Put a reconciliation in line; the stage month-end does it."""
    return reconciliation.ask(
        installed(), session, period=body.period, leg=body.leg, source_id=body.source_id, actor=current_actor()
    )


@endpoint(
    blueprint, "GET", "/reconciliations", door=_READS, query=RunQuerySchema, answers=listing(RunSchema)
)  # fmt: skip
def list_reconciliations(session: Session, query: RunQuery) -> Page[dict[str, Any]]:
    """List reconciliations, newest first."""
    found = page(session, queries.runs(query), Reconciliation.id, limit=query.limit, after=query.after)
    return Page([queries.shown_run(run) for run in found.items], found.next)


@endpoint(blueprint, "GET", "/reconciliations/<run_id>", door=_READS, answers=RunSchema)
def show_reconciliation(session: Session, run_id: str) -> dict[str, Any]:
    """Show one reconciliation."""
    return queries.shown_run(queries.reconciliation(session, run_id))


@endpoint(
    blueprint, "GET", "/reconciliations/<run_id>/discrepancies", door=_READS, query=DiscrepancyQuerySchema,
    answers=DiscrepancyListSchema,
)  # fmt: skip
def list_discrepancies(session: Session, run_id: str, query: DiscrepancyQuery) -> Page[dict[str, Any]]:
    """List the discrepancies of the reconciliation's month, leg and source as they stand now, newest first."""
    statement = queries.discrepancies(queries.reconciliation(session, run_id), query)
    found = page(session, statement, Discrepancy.id, limit=query.limit, after=query.after)
    return Page(shown(session, found.items, now=installed().clock()), found.next)


@endpoint(blueprint, "GET", "/reconciliations/<run_id>/export", door=_READS, query=FormatQuerySchema)
def export_reconciliation(session: Session, run_id: str, query: FormatQuery) -> Any:
    """Export every match and every discrepancy of the reconciliation, as CSV, XLSX, JSON or PDF."""
    run = queries.reconciliation(session, run_id)
    rows = queries.export_rows(session, run)
    if query.format in older.FORMATS:
        return answering.table(older.of_reconciliation(run, queries.EXPORT_HEADER, rows), query.format)
    if query.format == "csv":
        return _csv(csv_text.table(queries.EXPORT_HEADER, rows), f"reconciliation-{run.id}.csv")
    shown = RunSchema().dump(queries.shown_run(run))
    return shown | {"rows": [dict(zip(queries.EXPORT_HEADER, row, strict=True)) for row in rows]}


@endpoint(blueprint, "GET", "/periods/<period>/checks", door=_READS, answers=ChecksSchema)
def show_checks(session: Session, period: str) -> dict[str, Any]:
    """Show what must hold before the month closes, and what is missing."""
    found = checks.of_month(session, period)
    return {"period": period, "is_green": all(check.is_green for check in found), "checks": found}


@endpoint(blueprint, "POST", "/periods/<period>/close", door=_CLOSES, answers=ClosedPeriodSchema, step_up=True)
def close_period(session: Session, period: str) -> Period:
    """Close the month and keep a snapshot of it; 409 names every check that is red."""
    return closing.close(installed(), session, period, actor=current_actor())


@endpoint(blueprint, "GET", "/periods/<period>/report", door=_READS, query=FormatQuerySchema)
def show_report(session: Session, period: str, query: FormatQuery) -> Any:
    """Show the month's report, as JSON, CSV, XLSX or PDF; every figure in its own currency."""
    periods.bounds(period)
    found = report.of_month(session, period)
    if query.format in older.FORMATS:
        return answering.table(older.of_month(period, report.CSV_HEADER, report.csv_rows(found)), query.format)
    if query.format == "csv":
        return _csv(csv_text.table(report.CSV_HEADER, report.csv_rows(found)), f"report-{period}.csv")
    return found


@endpoint(blueprint, "GET", "/bills", door=_BOOKS, query=BillsQuerySchema, transaction=False)
def export_bills(query: Wanted) -> flask.Response:
    """Stream the agreed payouts of a month, or all, as bills in CSV for Xero or QuickBooks Online."""

    def streamed() -> Iterator[str]:
        # Its own transaction: it lives as long as the answer is written, long after the view has returned.
        with installed().reading() as session:
            yield from bills.csv_lines(session, query)

    return _csv(streamed(), f"bills-{query.layout}-{query.period or 'all'}.csv")


@endpoint(blueprint, "GET", "/conversions/<conversion_id>", door=_SEES_CONVERSIONS, answers=CustodySchema)
def show_conversion(session: Session, conversion_id: str) -> dict[str, Any]:
    """Show a conversion and its custody: from click and receipt to decision, batch, bank line and match."""
    conversion = existing(session, Conversion, conversion_id)
    steps = custody.of(session, conversion)
    shown = {name: getattr(conversion, name) for name in CustodySchema().fields if name != "custody"}
    return shown | {"custody": [step.as_dict for step in steps]}


def _upload(file: Any) -> Upload:
    return Upload(file.filename or "unnamed", file.stream, current_actor())


def _csv(text: str | Iterator[str], name: str) -> flask.Response:
    response = flask.Response(text, mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
