"""Files that come in: networks' reports and bank statements, looked at first, then loaded; and all that were."""

from collections.abc import Iterator, Sequence
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage

from access import people
from access.roles import Role
from core import leasing
from core.errors import Fault, Invalid
from core.http.doors import actors
from core.rows import existing
from core.runtime import installed
from partners.models import Source
from reports import bank_imports, bank_preview, mapping_text, report_mappings, report_preview, statement_queries
from reports.bank_formats.reading import AUTO, FORMATS
from reports.bank_imports import Wanted
from reports.bank_routes import UPLOAD_BYTES_MAX
from reports.bank_schemas import StatementQuerySchema
from reports.exports.report import amount, count, day, moment, text
from reports.exports.tables import Row
from reports.importing import asking
from reports.importing.models import ReportImport
from reports.imports import Upload
from reports.models import Statement
from reports.report_styles import catalogue
from web.pages import forms, frame, kept_uploads, lists, month_end, names
from web.pages.forms import Refusal, act
from web.pages.frame import page
from web.pages.lists import Head, Listing, Way

blueprint = flask.Blueprint("import_pages", __name__)
PLACE = month_end.PLACE
LOADS = actors(Role.FINANCE)
FILTERS = ("kind", "source_id", "account", "period")
UNDER_WAY_MAX = 10
REJECTED_MAX = 200


@blueprint.before_request
def _take_large_files() -> None:
    flask.request.max_content_length = UPLOAD_BYTES_MAX


def _cells(session: Session, some: Sequence[Statement]) -> Iterator[Row]:
    called, emails = names.of(session, Source), people.emails(session, [row.imported_by for row in some])
    for row in some:
        yield (
            row.id, row.file_name, row.kind, row.source_id, called.get(row.source_id or ""), row.account, row.period,
            row.format, row.reference, row.opened_on, row.closed_on, row.opening_minor, row.closing_minor,
            row.currency, row.lines, row.new, row.repeated, len(row.rejected), row.imported_at,
            emails.get(row.imported_by, row.imported_by), row.file_sha256,
        )  # fmt: skip


LISTING = Listing(
    "/imports",
    "Imports",
    Statement.id,
    (
        Head("File", lists.text(Statement.file_name)),
        Head("Of", lists.text(sa.func.coalesce(Source.name, Statement.account))),
        Head("Form", (Statement.format,)),
        Head("Lines", (Statement.lines,), Way.AMOUNT, "num"),
        Head("New", (Statement.new,), Way.AMOUNT, "num"),
        Head("Not loaded", style="num"),
        Head("Imported", (Statement.id,), Way.MOMENT),
    ),
    asked=lists.of_query(
        StatementQuerySchema,
        FILTERS,
        lambda query: statement_queries.statements(query).outerjoin(Source, Source.id == Statement.source_id),
    ),
    columns=(
        text("id", "Import"), text("file_name", "File"), text("kind", "Kind"), text("source_id", "Source id"),
        text("source", "Source"), text("account", "Account"), text("period", "Month"), text("format", "Form"),
        text("reference", "Reference"), day("opened_on", "From"), day("closed_on", "Until"),
        amount("opening", "Opening balance"), amount("closing", "Closing balance"), text("currency", "Currency"),
        count("lines", "Lines"), count("new", "New"), count("repeated", "Known before"),
        count("rejected", "Not loaded"), moment("imported_at", "Imported at"), text("imported_by", "Imported by"),
        text("file_sha256", "SHA-256"),
    ),
    cells=_cells,
    newest="imported",
)  # fmt: skip
lists.exported(blueprint, LISTING, door=month_end.READERS)


@page(blueprint, "GET", LISTING.path, door=month_end.READERS)
def imports(session: Session, refusal: Refusal | None = None) -> tuple[str, int]:
    """Show what was imported, newest first, and what is under way."""
    under_way = sa.select(ReportImport).order_by(ReportImport.id.desc()).limit(UNDER_WAY_MAX)
    return lists.rendered(
        session,
        LISTING,
        "imports.html",
        place=PLACE,
        about=lambda rows: {"rows": [statement_queries.shown(each) for each in rows]},
        refusal=refusal,
        under_way=list(session.scalars(under_way)),
        sources=names.of(session, Source),
        mappings=[*(each.name for each in report_mappings.every(session)), *catalogue()],
        formats=[*FORMATS],
        may_load=bool(flask.g.actor.roles & LOADS.roles),
    )


@page(blueprint, "GET", "/statements/<statement_id>", door=month_end.READERS)
def statement(session: Session, statement_id: str) -> str:
    """Show one imported file, with every line that was not loaded."""
    shown = statement_queries.shown_whole(existing(session, Statement, statement_id))
    return frame.rendered(
        session,
        "statement.html",
        place=PLACE,
        shown=shown,
        rejected=shown["rejected"][:REJECTED_MAX],
        sources=names.of(session, Source),
        yaml=mapping_text.written(shown["mapping"]) if shown["mapping"] else None,
    )


@act(blueprint, "/imports/network", door=LOADS, again=imports)
def look_at_report(session: Session) -> str:
    """Keep a network's report for a while and show how it is understood."""
    token, name = _kept()
    with kept_uploads.opened(installed(), token, staff_id=flask.g.actor.id) as file:
        return _report_looked_at(session, token, name, report_preview.of_file(session, file, _said()))


@act(blueprint, "/imports/network/load", door=LOADS, again=imports)
def load_report(session: Session) -> flask.Response | str:
    """Put what was looked at in line to be loaded, or look at it again under another mapping."""
    form = flask.request.form
    token, name = form.get("token", ""), form.get("name", "report")[: kept_uploads.NAME_LENGTH_MAX]
    with kept_uploads.opened(installed(), token, staff_id=flask.g.actor.id) as file:
        if form.get("do") == "look":
            return _report_looked_at(session, token, name, report_preview.of_file(session, file, _said()))
        upload = Upload(name, file, flask.g.actor)
        made = asking.ask(
            installed(), session, upload, source_id=form.get("source_id", ""), period=form.get("period", ""),
            mapping=_said(),
        )  # fmt: skip
    return forms.done(flask.url_for(".under_way", import_id=made.id))


@page(blueprint, "GET", "/imports/<import_id>", door=month_end.READERS)
def under_way(session: Session, import_id: str) -> str:
    """Show how far an import is, and what came of it."""
    found = existing(session, ReportImport, import_id)
    return frame.rendered(
        session,
        "import.html",
        place=PLACE,
        found=found,
        sources=names.of(session, Source),
        is_under_way=found.state in {leasing.WAITING, leasing.RUNNING},
    )


@act(blueprint, "/imports/bank", door=LOADS, again=imports)
def look_at_statement(session: Session) -> str:
    """Keep a bank's file for a while and show how it is understood."""
    token, name = _kept()
    return _statement_looked_at(session, token, name)


@act(blueprint, "/imports/bank/load", door=LOADS, again=imports)
def load_statement(session: Session) -> flask.Response:
    """Load what was looked at."""
    form = flask.request.form
    with kept_uploads.opened(installed(), form.get("token", ""), staff_id=flask.g.actor.id) as file:
        name = form.get("name", "statement")[: kept_uploads.NAME_LENGTH_MAX]
        done = bank_imports.load(installed(), session, Upload(name, file, flask.g.actor), _wanted())
    said = f"{done.new} lines are new, {done.repeated} were there, {len(done.rejected)} were not loaded."
    return forms.done(flask.url_for(".statement", statement_id=done.id), said)


def _kept() -> tuple[str, str]:
    file = flask.request.files.get("file")
    if not isinstance(file, FileStorage) or not file.filename:
        raise Invalid.of(Fault("file", "is needed: choose one"))
    return kept_uploads.keep(installed(), file, staff_id=flask.g.actor.id), file.filename


def _said() -> Any:
    """Return the mapping the form says: a name, YAML, or None for the one that fits."""
    text = flask.request.form.get("mapping", "").strip()
    if not text or report_mappings.NAME.fullmatch(text):
        return text or None
    return mapping_text.read(text)


def _wanted() -> Wanted:
    form = flask.request.form
    text = form.get("mapping", "").strip()
    form_ = form.get("format", AUTO)
    return Wanted(
        form_ if form_ in FORMATS else AUTO, form.get("account") or None, mapping_text.read(text) if text else None
    )


def _report_looked_at(session: Session, token: str, name: str, found: dict[str, Any]) -> str:
    said = flask.request.form.get("mapping", "").strip()
    mapping = found["mapping"] or found["suggested"]
    is_text = said and not report_mappings.NAME.fullmatch(said)
    return frame.rendered(
        session,
        "import_report.html",
        place=PLACE,
        token=token,
        name=name,
        found=found,
        text=said if is_text else mapping_text.written(dict(mapping)) if mapping else "",
        sources=names.of(session, Source),
        asked=flask.request.form,
    )


def _statement_looked_at(session: Session, token: str, name: str) -> str:
    with kept_uploads.opened(installed(), token, staff_id=flask.g.actor.id) as file:
        found = bank_preview.of_file(Upload(name, file, flask.g.actor), _wanted())
    return frame.rendered(
        session, "import_bank.html", place=PLACE, token=token, name=name, found=found, asked=flask.request.form
    )
