"""The HTTP door of large reports: previews, imports that a worker does, and the mappings people keep."""

from typing import Any

import flask
from sqlalchemy.orm import Session

from access.roles import Role
from core.errors import NotFound
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import listing
from core.rows import existing
from core.runtime import installed
from reports import mapping_text, report_mappings, report_preview
from reports.bank_routes import UPLOAD_BYTES_MAX
from reports.importing import asking
from reports.importing.models import ReportImport, SavedMapping
from reports.importing.schemas import (
    ImportQuery,
    ImportQuerySchema,
    KeptMapping,
    KeptMappingSchema,
    ReportFile,
    ReportFileSchema,
    ReportImportSchema,
    ReportMappingSchema,
    ReportPreviewSchema,
)
from reports.imports import Upload
from reports.report_styles import Style, catalogue
from reports.schemas import NetworkReport, NetworkReportSchema

blueprint = Blueprint(
    "imports",
    __name__,
    url_prefix="/api/v1",
    description="Networks' reports of any size: looked at, loaded by a worker, and the mappings that read them.",
)

_IMPORTS = actors(Role.FINANCE, scope="statements:write")
_READS = actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN, scope="reports:read")


@blueprint.before_request  # type: ignore[untyped-decorator]  # flask-smorest ships no types
def _take_large_files() -> None:
    flask.request.max_content_length = UPLOAD_BYTES_MAX


@endpoint(
    blueprint, "POST", "/network-reports/preview", door=_IMPORTS, multipart=ReportFileSchema,
    answers=ReportPreviewSchema, transaction=False,
)  # fmt: skip
def preview_network_report(body: ReportFile) -> dict[str, Any]:
    """Show how a network's report is understood: first lines, sums, words, every fault. Nothing is stored."""
    with installed().reading() as session:
        return report_preview.of_file(session, body.file.stream, body.mapping)


@endpoint(
    blueprint, "POST", "/imports", door=_IMPORTS, multipart=NetworkReportSchema, answers=ReportImportSchema,
    status=202, creates=True,
)  # fmt: skip
def import_in_background(session: Session, body: NetworkReport) -> ReportImport:
    """Take a network's report of up to 1 GiB for the stage importing; what is wrong at its top is told at once."""
    upload = Upload(body.file.filename or "unnamed", body.file.stream, current_actor())
    return asking.ask(installed(), session, upload, source_id=body.source_id, period=body.period, mapping=body.mapping)


@endpoint(blueprint, "GET", "/imports", door=_READS, query=ImportQuerySchema, answers=listing(ReportImportSchema))
def list_imports(session: Session, query: ImportQuery) -> Page[ReportImport]:
    """List imports, newest first."""
    return page(session, asking.listed(state=query.state), ReportImport.id, limit=query.limit, after=query.after)


@endpoint(blueprint, "GET", "/imports/<import_id>", door=_READS, answers=ReportImportSchema)
def show_import(session: Session, import_id: str) -> ReportImport:
    """Show an import: how many lines are read, and what came of it once it has ended."""
    return existing(session, ReportImport, import_id)


@endpoint(blueprint, "GET", "/report-mappings", door=_READS, answers=listing(ReportMappingSchema))
def list_mappings(session: Session) -> dict[str, Any]:
    """List the mappings that people keep, then the built-in ones."""
    kept = [_shown_kept(each) for each in report_mappings.every(session)]
    return {"items": [*kept, *(_shown_style(style) for style in catalogue().values())], "next": None}


@endpoint(blueprint, "GET", "/report-mappings/<name>", door=_READS, answers=ReportMappingSchema)
def show_mapping(session: Session, name: str) -> dict[str, Any]:
    """Show one mapping, as an object and as YAML."""
    kept = session.get(SavedMapping, name)
    if kept is not None:
        return _shown_kept(kept)
    style = catalogue().get(name)
    if style is None:
        message = f"there is no mapping {name}"
        raise NotFound(message)
    return _shown_style(style)


@endpoint(
    blueprint, "PUT", "/report-mappings/<name>", door=_IMPORTS, body=KeptMappingSchema, answers=ReportMappingSchema
)  # fmt: skip
def keep_mapping(session: Session, name: str, body: KeptMapping) -> dict[str, Any]:
    """Keep a mapping under a name of small letters, digits, - and _; every fault of it is told at once."""
    mapping = mapping_text.read(body.mapping) if isinstance(body.mapping, str) else body.mapping
    return _shown_kept(report_mappings.keep(installed(), session, name, mapping, actor=current_actor()))


@endpoint(blueprint, "DELETE", "/report-mappings/<name>", door=_IMPORTS, status=204)
def drop_mapping(session: Session, name: str) -> None:
    """Give a kept mapping up; what was read by it keeps it."""
    report_mappings.drop(installed(), session, name, actor=current_actor())


def _shown_kept(kept: SavedMapping) -> dict[str, Any]:
    return {
        "name": kept.name,
        "is_built_in": False,
        "mapping": kept.mapping,
        "yaml": mapping_text.written(kept.mapping),
        "kept_at": kept.kept_at,
        "kept_by": kept.kept_by,
    }


def _shown_style(style: Style) -> dict[str, Any]:
    return {
        "name": style.name,
        "is_built_in": True,
        "title": style.title,
        "docs": style.docs,
        "is_confirmed": style.is_confirmed,
        "note": style.note,
        "mapping": style.mapping,
        "yaml": mapping_text.written(dict(style.mapping)),
    }
