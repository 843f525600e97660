"""Report schedules: reports that go out by themselves each month, by e-mail or into a folder, and what went out."""

from typing import Any

import flask
from sqlalchemy.orm import Session

from access import people
from core.http.wire import PageQuery
from reports.delivery import routes
from reports.delivery.schemas import NewScheduleSchema, ScheduleChangeSchema, ScheduleQuerySchema
from reports.exports.catalogue import REPORTS
from reports.producing import OFFERED
from web.pages import forms, frame, reports
from web.pages.forms import Refusal, act
from web.pages.frame import page

blueprint = flask.Blueprint("report_schedule_pages", __name__)
PLACE = reports.PLACE
ROWS_MAX = 100
DELIVERIES_MAX = 24
STATES = (("active", "Active"), ("paused", "Paused"), ("removed", "Removed"))
TITLES = {"month": "The account of the month", **{name: report.title for name, report in REPORTS.items()}}
FORMATS = sorted({form for forms_ in OFFERED.values() for form in forms_})


@page(blueprint, "GET", "/report-schedules", door=routes.READS)
def schedules(session: Session, refusal: Refusal | None = None) -> str:
    """Show the schedules, newest first, and the form that makes one."""
    query, wanted, fault = forms.narrowed(ScheduleQuerySchema, ("state", "after"), limit=ROWS_MAX)
    found = routes.list_schedules(session, query)
    after = wanted.pop("after", None)
    return frame.rendered(
        session,
        "report_schedules.html",
        place=PLACE,
        rows=found.items,
        wanted=wanted,
        states=STATES,
        older=frame.link(".schedules", {**wanted, "after": found.next}) if found.next else None,
        newest=frame.link(".schedules", wanted) if after else None,
        may_manage=bool(flask.g.actor.roles & routes.MANAGES.roles),
        refusal=refusal or fault,
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
