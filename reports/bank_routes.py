"""The HTTP door of bank statements, and of the list of all statements."""

from typing import Any

import flask
from sqlalchemy.orm import Session

from access.roles import Role
from core import csv_text
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import listing
from core.rows import existing
from core.runtime import installed
from reports import bank_imports, bank_preview, statement_queries
from reports.bank_imports import Wanted
from reports.bank_schemas import (
    BankStatementFile,
    BankStatementSchema,
    ImportedStatementSchema,
    PreviewSchema,
    StatementQuery,
    StatementQuerySchema,
    WholeStatementSchema,
)
from reports.imports import Imported, Upload
from reports.models import Statement
from reports.schemas import FormatQuery, FormatQuerySchema, ImportedSchema

blueprint = Blueprint(
    "statements",
    __name__,
    url_prefix="/api/v1",
    description="Bank statements in the formats of the world's banks, and the list of all that was imported.",
)

# What the body may be of these doors: a year of a large account, which is read from the disk and never held whole.
UPLOAD_BYTES_MAX = 1 << 30

_IMPORTS = actors(Role.FINANCE, scope="statements:write")
_READS = actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN, scope="reports:read")


@blueprint.before_request  # type: ignore[untyped-decorator]  # flask-smorest ships no types
def _take_large_files() -> None:
    flask.request.max_content_length = UPLOAD_BYTES_MAX


@endpoint(
    blueprint, "POST", "/bank-statements", door=_IMPORTS, multipart=BankStatementSchema, answers=ImportedSchema,
    status=201, creates=True,
)  # fmt: skip
def import_bank_statement(session: Session, body: BankStatementFile) -> Imported:
    """Import a bank's file: camt.053, MT940, BAI2, OFX, or CSV with a mapping.

    A statement that does not add up is refused whole. Lines that are not loaded, such as entries not booked, are
    listed.
    """
    return bank_imports.load(installed(), session, _upload(body), _wanted(body))


@endpoint(
    blueprint, "POST", "/bank-statements/preview", door=_IMPORTS, multipart=BankStatementSchema, answers=PreviewSchema,
    transaction=False,
)  # fmt: skip
def preview_bank_statement(body: BankStatementFile) -> dict[str, Any]:
    """Show how a bank's file is understood: first lines, balances, every fault. Nothing is stored."""
    return bank_preview.of_file(_upload(body), _wanted(body))


@endpoint(
    blueprint, "GET", "/statements", door=_READS, query=StatementQuerySchema, answers=listing(ImportedStatementSchema)
)  # fmt: skip
def list_statements(session: Session, query: StatementQuery) -> Page[dict[str, Any]]:
    """List networks' reports and bank statements, newest first."""
    found = page(session, statement_queries.statements(query), Statement.id, limit=query.limit, after=query.after)
    return Page([statement_queries.shown(statement) for statement in found.items], found.next)


@endpoint(blueprint, "GET", "/statements/<statement_id>", door=_READS, answers=WholeStatementSchema)
def show_statement(session: Session, statement_id: str) -> dict[str, Any]:
    """Show one statement, with its mapping and every line that was not loaded."""
    return statement_queries.shown_whole(existing(session, Statement, statement_id))


@endpoint(blueprint, "GET", "/statements/<statement_id>/rejected", door=_READS, query=FormatQuerySchema)
def export_rejected(session: Session, statement_id: str, query: FormatQuery) -> Any:
    """Export the lines that were not loaded and why, as CSV or JSON."""
    statement = existing(session, Statement, statement_id)
    if query.format == "json":
        return {"items": statement.rejected}
    header, rows = statement_queries.rejected_table(statement)
    response = flask.Response(csv_text.table(header, rows), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="rejected-{statement.id}.csv"'
    return response


def _upload(body: BankStatementFile) -> Upload:
    # Werkzeug keeps what is large on disk: it is read from there, and never held whole.
    return Upload(body.file.filename or "unnamed", body.file.stream, current_actor())


def _wanted(body: BankStatementFile) -> Wanted:
    return Wanted(body.format, body.account, body.mapping)
