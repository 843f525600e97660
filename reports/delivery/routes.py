"""The HTTP door of delivery: schedules, and what they have delivered."""

from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import Role
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import PageQuery, PageQuerySchema, listing
from core.runtime import installed
from partners.changes import Change
from payouts.routes import attachment
from reports.delivery import schedules, sending, timing
from reports.delivery.models import ReportDelivery, ReportSchedule
from reports.delivery.schedules import NewSchedule
from reports.delivery.schemas import (
    DeliverySchema,
    NewScheduleSchema,
    ScheduleChangeSchema,
    ScheduleQuery,
    ScheduleQuerySchema,
    ScheduleSchema,
)

blueprint = Blueprint(
    "report-schedules", __name__, url_prefix="/api/v1", description="Reports that go out by themselves each month."
)

# People alone: whoever sets one up sends the books to an address of his choice.
MANAGES = actors(Role.FINANCE, Role.MANAGER)
READS = actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN)


@endpoint(
    blueprint, "POST", "/report-schedules", door=MANAGES, body=NewScheduleSchema, answers=ScheduleSchema,
    status=201, creates=True,
)  # fmt: skip
def create_schedule(session: Session, body: NewSchedule) -> dict[str, Any]:
    """Have reports about the month before delivered on a day of each month, from the next such day on."""
    return shown(schedules.create(installed(), session, body, actor=current_actor()))


@endpoint(
    blueprint, "GET", "/report-schedules", door=READS, query=ScheduleQuerySchema, answers=listing(ScheduleSchema)
)  # fmt: skip
def list_schedules(session: Session, query: ScheduleQuery) -> Page[dict[str, Any]]:
    """List the schedules, newest first."""
    found = page(session, every(query), ReportSchedule.id, limit=query.limit, after=query.after)
    return Page([shown(each) for each in found.items], found.next)


@endpoint(blueprint, "GET", "/report-schedules/<schedule_id>", door=READS, answers=ScheduleSchema)
def show_schedule(session: Session, schedule_id: str) -> dict[str, Any]:
    """Show one schedule, and why its last attempt failed if it did."""
    return shown(schedules.existing(session, schedule_id))


@endpoint(
    blueprint, "PATCH", "/report-schedules/<schedule_id>", door=MANAGES, body=ScheduleChangeSchema,
    answers=ScheduleSchema,
)  # fmt: skip
def change_schedule(session: Session, schedule_id: str, body: Change) -> dict[str, Any]:
    """Change a schedule, pause it or go on; what passed while it was paused is not made up for."""
    return shown(schedules.change(installed(), session, schedule_id, body, actor=current_actor()))


@endpoint(blueprint, "DELETE", "/report-schedules/<schedule_id>", door=MANAGES, answers=ScheduleSchema)
def remove_schedule(session: Session, schedule_id: str) -> dict[str, Any]:
    """End a schedule; what it has delivered stays."""
    return shown(schedules.remove(installed(), session, schedule_id, actor=current_actor()))


@endpoint(
    blueprint, "GET", "/report-schedules/<schedule_id>/deliveries", door=READS, query=PageQuerySchema,
    answers=listing(DeliverySchema),
)  # fmt: skip
def list_deliveries(session: Session, schedule_id: str, query: PageQuery) -> Page[dict[str, Any]]:
    """List what a schedule has delivered, newest first; of a removed one too."""
    statement = sa.select(ReportDelivery).where(ReportDelivery.schedule_id == schedule_id)
    found = page(session, statement, ReportDelivery.id, limit=query.limit, after=query.after)
    return Page([_shown_delivery(each) for each in found.items], found.next)


@endpoint(
    blueprint, "GET", "/report-deliveries/<delivery_id>/files/<name>", door=READS,
    content_type="application/octet-stream",
)  # fmt: skip
def delivered_file(session: Session, delivery_id: str, name: str) -> flask.Response:
    """Answer a file as it was delivered; 404 when it does not lie there any more, or was changed."""
    content, mimetype = sending.file_of(installed(), session, delivery_id, name)
    return attachment(content, mimetype, name)


def every(query: ScheduleQuery) -> sa.Select[ReportSchedule]:
    """Return the statement for the schedules `query` asks for; without a state those that were not removed."""
    is_wanted = ReportSchedule.state != "removed" if query.state is None else ReportSchedule.state == query.state
    return sa.select(ReportSchedule).where(is_wanted)


def shown(schedule: ReportSchedule) -> dict[str, Any]:
    """Return a schedule as it travels."""
    plain = {name: getattr(schedule, name) for name in ScheduleSchema().fields if name != "next_at"}
    return plain | {"next_at": timing.next_moment(day=schedule.day, hour=schedule.hour, after=installed().clock())}


def _shown_delivery(delivery: ReportDelivery) -> dict[str, Any]:
    root = f"{installed().public_url}/api/v1/report-deliveries/{delivery.id}/files"
    return {
        "id": delivery.id,
        "schedule_id": delivery.schedule_id,
        "period": delivery.period,
        "delivered_at": delivery.delivered_at,
        "folder": delivery.folder,
        "files": [each | {"url": f"{root}/{each['name']}"} for each in delivery.files],
        "letters": delivery.letters,
    }
