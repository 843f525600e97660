"""Reports: every table there is, in every form, and the files that were asked for."""

from typing import Any

import flask
from sqlalchemy.orm import Session

from core.http.doors import current_actor
from core.http.paging import page as page_of
from core.ids import first_of_month
from core.runtime import installed
from ledger.periods import bounds, period_of
from reports.exports import asking, producing
from reports.exports.asking import ExportQuery
from reports.exports.catalogue import REPORTS
from reports.exports.models import Export
from reports.exports.report import Report
from reports.exports.routes import READERS
from web.pages import forms, frame
from web.pages.forms import Refusal, act
from web.pages.frame import page

blueprint = flask.Blueprint("report_pages", __name__)
PLACE = "/reports"
EXPORTS_MAX = 20


@page(blueprint, "GET", "/reports", door=READERS)
def reports(session: Session, refusal: Refusal | None = None) -> str:
    """Show every report with a link for each of its forms, for the month asked for or the last one."""
    now = installed().clock()
    period = flask.request.args.get("period") or period_of(first_of_month(now, -1).date())
    bounds(period)
    statement = asking.listed(ExportQuery(), actor=current_actor())
    return frame.rendered(
        session,
        "reports.html",
        place=PLACE,
        period=period,
        rows=[_shown(report, period) for report in REPORTS.values()],
        exports=page_of(session, statement, Export.id, limit=EXPORTS_MAX, after=None).items,
        titles={report.name: report.title for report in REPORTS.values()},
        refusal=refusal,
    )


@act(blueprint, "/reports/exports", door=READERS, again=reports)
def ask(session: Session) -> flask.Response:
    """Put a report in line to be written to a file."""
    form = flask.request.form
    filters = {"period": form["period"]} if form.get("period") else {}
    asked = producing.wanted(form.get("report", ""), form.get("format", ""), filters)
    asking.ask(installed(), session, asked, actor=current_actor())
    return forms.done(frame.link(".reports", filters), "The file is in line; it stands below once it is made.")


def _shown(report: Report, period: str) -> dict[str, Any]:
    narrowed: dict[str, Any] = {"period": period} if "period" in report.takes else {}
    links = {
        form: flask.url_for("exports.show_report", name=report.name, format=form, **narrowed)
        for form in producing.formats_of(report)
    }
    return {
        "name": report.name,
        "title": report.title,
        "about": report.about,
        "period": narrowed.get("period"),
        "links": links,
    }
