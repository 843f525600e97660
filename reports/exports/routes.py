"""The HTTP door of exports: which reports there are, a report at once, and files that are made while nobody waits."""

from typing import Any

import flask
from sqlalchemy.orm import Session

from access.roles import Role
from core.errors import NotFound
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import listing
from core.runtime import installed
from reports.exports import answering, asking, producing
from reports.exports.asking import ExportQuery
from reports.exports.catalogue import REPORTS
from reports.exports.models import Export
from reports.exports.report import Report
from reports.exports.schemas import (
    ExportQuerySchema,
    ExportSchema,
    NewExport,
    NewExportSchema,
    ReportQuery,
    ReportQuerySchema,
    ReportSchema,
)

blueprint = Blueprint(
    "exports", __name__, url_prefix="/api/v1", description="Reports as tables, and as files to take away."
)

READERS = actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN, scope="reports:read")


@endpoint(blueprint, "GET", "/reports", door=READERS, answers=listing(ReportSchema), transaction=False)
def list_reports() -> dict[str, Any]:
    """List every report: its columns, the filters it takes, and the forms it is written in here."""
    return {"items": [_shown_report(report) for report in REPORTS.values()], "next": None}


@endpoint(blueprint, "GET", "/reports/<name>", door=READERS, query=ReportQuerySchema, transaction=False)
def show_report(name: str, query: ReportQuery) -> flask.Response:
    """Answer with a report: csv, json, hledger and beancount at any length, the others up to some thousand rows."""
    given = {filter_name: text for filter_name, text in query.given.items() if text is not None}
    return answering.report(producing.wanted(name, query.format, given, path=""))


@endpoint(
    blueprint, "POST", "/exports", door=READERS, body=NewExportSchema, answers=ExportSchema, status=202, creates=True
)  # fmt: skip
def ask_for_export(session: Session, body: NewExport) -> Export:
    """Put a report in line to be written to a file; the stage exporting does it."""
    asked = producing.wanted(body.report, body.format, body.filters)
    return asking.ask(installed(), session, asked, actor=current_actor())


@endpoint(blueprint, "GET", "/exports", door=READERS, query=ExportQuerySchema, answers=listing(ExportSchema))
def list_exports(session: Session, query: ExportQuery) -> Page[Export]:
    """List exports, newest first: one's own; finance and auditors see everybody's."""
    statement = asking.listed(query, actor=current_actor())
    return page(session, statement, Export.id, limit=query.limit, after=query.after)


@endpoint(blueprint, "GET", "/exports/<export_id>", door=READERS, answers=ExportSchema)
def show_export(session: Session, export_id: str) -> Export:
    """Show an export: how many rows are done, and the name, size and SHA-256 of its file once it is."""
    return asking.visible(session, export_id, actor=current_actor())


@endpoint(blueprint, "GET", "/exports/<export_id>/file", door=READERS)
def download_export(session: Session, export_id: str) -> flask.Response:
    """Download the file, for whoever asked for it, finance and auditors; 409 while it is not finished."""
    export = asking.visible(session, export_id, actor=current_actor())
    path = installed().exports / asking.ready(export)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        message = f"the file of {export.id} is not on this machine: ask for it anew"
        raise NotFound(message) from None
    response = answering.of_open_file(file, producing.mimetype_of(export.format), str(export.file_name))
    response.set_etag(str(export.sha256))
    return response


def _shown_report(report: Report) -> dict[str, Any]:
    return {
        "name": report.name,
        "title": report.title,
        "about": report.about,
        "columns": report.columns,
        "filters": report.takes,
        "needs": report.needs,
        "formats": producing.formats_of(report),
    }
