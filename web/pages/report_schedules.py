"""Report schedules: reports that go out by themselves each month, by e-mail or into a folder, and what went out."""

from collections.abc import Iterator, Sequence
from typing import Any

import flask
from sqlalchemy.orm import Session

from access import people
from core.http.wire import PageQuery
from reports.delivery import routes
from reports.delivery.models import ReportSchedule
from reports.delivery.schemas import NewScheduleSchema, ScheduleChangeSchema, ScheduleQuerySchema
from reports.exports.catalogue import REPORTS
from reports.exports.report import moment, plain, text
from reports.exports.tables import Row
from reports.producing import OFFERED
from web.pages import forms, frame, lists, reports
from web.pages.forms import Refusal, act
from web.pages.frame import page
from web.pages.lists import Head, Listing, Way

blueprint = flask.Blueprint("report_schedule_pages", __name__)
PLACE = reports.PLACE
DELIVERIES_MAX = 24
STATES = (("active", "Active"), ("paused", "Paused"), ("removed", "Removed"))
TITLES = {"month": "The account of the month", **{name: report.title for name, report in REPORTS.items()}}
FORMATS = sorted({form for forms_ in OFFERED.values() for form in forms_})


def _cells(session: Session, some: Sequence[ReportSchedule]) -> Iterator[Row]:
    emails = people.emails(session, [row.created_by for row in some])
    for row in some:
        yield (
            row.id, row.name, ", ".join(row.reports), ", ".join(row.formats), ", ".join(row.recipients), row.folder,
            row.day, row.hour, row.state, row.error, row.created_at, emails.get(row.created_by, row.created_by),
        )  # fmt: skip


LISTING = Listing(
    "/report-schedules",
    "Report schedules",
    ReportSchedule.id,
    (
        Head("Schedule", lists.text(ReportSchedule.name)),
        Head("Reports"),
        Head("Goes to"),
        Head("Next", (ReportSchedule.day, ReportSchedule.hour), Way.DAY),
        Head("State", (ReportSchedule.state,)),
    ),
    asked=lists.of_query(ScheduleQuerySchema, ("state",), routes.every),
    columns=(
        text("id", "Schedule id"), text("name", "Schedule"), text("reports", "Reports"), text("formats", "Forms"),
        text("recipients", "Goes to"), text("folder", "Folder"), plain("day", "Day of the month"),
        plain("hour", "Hour, UTC"), text("state", "State"), text("error", "Last failure"),
        moment("created_at", "Made at"), text("created_by", "Made by"),
    ),
    cells=_cells,
)  # fmt: skip
lists.exported(blueprint, LISTING, door=routes.READS)


@page(blueprint, "GET", LISTING.path, door=routes.READS)
def schedules(session: Session, refusal: Refusal | None = None) -> tuple[str, int]:
    """Show the schedules, newest first, and the form that makes one."""
    return lists.rendered(
        session,
        LISTING,
        "report_schedules.html",
        place=PLACE,
        about=lambda rows: {"rows": [routes.shown(row) for row in rows]},
        refusal=refusal,
        states=STATES,
        may_manage=bool(flask.g.actor.roles & routes.MANAGES.roles),
        **_choices({"reports": ["month"], "formats": ["csv"], "day": 3, "hour": 6}),
    )


@act(blueprint, "/report-schedules", door=routes.MANAGES, again=schedules)
def create(session: Session) -> flask.Response:
    """Make one."""
    made = routes.create_schedule(session, forms.checked(NewScheduleSchema, _filled_in()))
    return forms.done(flask.url_for(".schedule", schedule_id=made["id"]), "It goes out by itself from now on.")


@page(blueprint, "GET", "/report-schedules/<schedule_id>", door=routes.READS)
def schedule(session: Session, schedule_id: str, refusal: Refusal | None = None) -> str:
    """Show one: when it goes out next, what went out, and why the last attempt failed if it did."""
    shown = routes.show_schedule(session, schedule_id)
    return frame.rendered(
        session,
        "report_schedule.html",
        place=PLACE,
        shown=shown,
        deliveries=routes.list_deliveries(session, schedule_id, PageQuery(limit=DELIVERIES_MAX)).items,
        emails=people.emails(session, [shown["created_by"]]),
        may_manage=bool(flask.g.actor.roles & routes.MANAGES.roles),
        refusal=refusal,
        **_choices(shown),
    )


@act(blueprint, "/report-schedules/<schedule_id>", door=routes.MANAGES, again=schedule)
def change(session: Session, schedule_id: str) -> flask.Response:
    """Change what goes out, when and to whom."""
    values = {"recipients": [], "waits_for_close": "false", **_filled_in()}
    routes.change_schedule(session, schedule_id, forms.checked(ScheduleChangeSchema, values))
    return forms.done(flask.url_for(".schedule", schedule_id=schedule_id), "It is changed.")


@act(blueprint, "/report-schedules/<schedule_id>/state", door=routes.MANAGES, again=schedule)
def pause_or_go_on(session: Session, schedule_id: str) -> flask.Response:
    """Pause it, or let it go on."""
    routes.change_schedule(session, schedule_id, forms.loaded(ScheduleChangeSchema))
    return forms.done(flask.url_for(".schedule", schedule_id=schedule_id), "It is changed.")


@act(blueprint, "/report-schedules/<schedule_id>/remove", door=routes.MANAGES, again=schedule)
def remove(session: Session, schedule_id: str) -> flask.Response:
    """End it."""
    routes.remove_schedule(session, schedule_id)
    return forms.done(flask.url_for(".schedules"), "It is removed; what it delivered stays where it lies.")


def _filled_in() -> dict[str, Any]:
    values = forms.nested(flask.request.form)
    values["recipients"] = values.get("recipients", "").split()
    return {"reports": [], "formats": [], **values}


def _choices(standing: dict[str, Any]) -> dict[str, Any]:
    """Return what the form offers, and what is ticked in it: what was sent, where it was refused."""
    sent = flask.request.form
    was_filled_in = "name" in sent
    ticked = {
        name: sent.getlist(f"{name}[]") if was_filled_in else standing.get(name, []) for name in ("reports", "formats")
    }
    return {
        "standing": standing,
        "ticked": ticked,
        "waits": "waits_for_close" in sent if was_filled_in else standing.get("waits_for_close", False),
        "offered": [(name, TITLES.get(name, name), ", ".join(OFFERED[name])) for name in OFFERED],
        "formats": FORMATS,
        "titles": TITLES,
    }
