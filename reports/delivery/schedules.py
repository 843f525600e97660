"""Schedules: made, changed and removed by people who answer for the books; every act is audited."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.database import insert_new, lock
from core.errors import Conflict, Invalid, NotFound
from core.rows import locked
from core.runtime import Runtime
from partners.changes import Change, differences
from reports.delivery import checking
from reports.delivery.models import ReportSchedule
from reports.producing import OFFERED

_KIND = "report schedule"
_PLAIN = ("name", "day", "hour", "waits_for_close", "reports", "formats", "state")


@dataclass(frozen=True)
class NewSchedule:
    """What a schedule is made of; without a folder it gets one of its own."""

    name: str
    day: int
    hour: int
    reports: list[str]
    formats: list[str]
    recipients: list[str] = field(default_factory=list)
    folder: str | None = None
    waits_for_close: bool = False


def create(runtime: Runtime, session: Session, new: NewSchedule, *, actor: Actor) -> ReportSchedule:
    """Add a schedule; its first moment is the next one. Raise Invalid with every fault, Conflict for a taken folder."""
    found = checking.faults(
        reports=new.reports, formats=new.formats, recipients=new.recipients, folder=new.folder, offered=OFFERED
    )
    if found:
        raise Invalid.of(*found)
    lock(session, _KIND)
    now = runtime.clock()
    id_ = runtime.new_id("sch")
    folder = new.folder or id_
    row = {
        "id": id_,
        "name": new.name,
        "day": new.day,
        "hour": new.hour,
        "waits_for_close": new.waits_for_close,
        "reports": new.reports,
        "formats": new.formats,
        "recipients": new.recipients,
        "folder": folder,
        "state": "active",
        "counts_from": now,
        "created_at": now,
        "created_by": actor.id,
    }
    if not insert_new(session, ReportSchedule, [row], key=["folder"]):
        raise _taken(folder)
    made = session.get_one(ReportSchedule, id_)
    audit.record(session, Act(actor, "created", _KIND, id_, now, after=_logged(made)))
    return made


def change(runtime: Runtime, session: Session, schedule_id: str, wanted: Change, *, actor: Actor) -> ReportSchedule:
    """Change what was sent of a schedule; raise NotFound, Invalid with every fault, Conflict where it moved on.

    One that is active again counts from now: what passed while it was paused is not made up for.
    """
    # Whoever takes a folder holds this: of two who want the same one is refused in words.
    lock(session, _KIND)
    schedule = locked(session, ReportSchedule, schedule_id, version=wanted.version)
    _refuse_removed(schedule)
    values: dict[str, Any] = dict(wanted.values)
    after = {name: values.get(name, getattr(schedule, name)) for name in ("reports", "formats", "recipients", "folder")}
    if found := checking.faults(**after, offered=OFFERED):
        raise Invalid.of(*found)
    before = _logged(schedule)
    if after["folder"] != schedule.folder and _is_taken(session, after["folder"]):
        raise _taken(after["folder"])
    if values.get("state") == "active" and schedule.state == "paused":
        schedule.counts_from = runtime.clock()
    for name, value in values.items():
        setattr(schedule, name, value)
    schedule.version += 1
    session.flush()
    changed_from, changed_to = differences(before, _logged(schedule))
    audit.record(
        session, Act(actor, "changed", _KIND, schedule.id, runtime.clock(), before=changed_from, after=changed_to)
    )
    return schedule


def remove(runtime: Runtime, session: Session, schedule_id: str, *, actor: Actor) -> ReportSchedule:
    """End a schedule for good; what it has delivered stays. Raise NotFound when there is none."""
    schedule = locked(session, ReportSchedule, schedule_id)
    _refuse_removed(schedule)
    before = {"state": schedule.state}
    schedule.state = "removed"
    schedule.version += 1
    session.flush()
    audit.record(
        session, Act(actor, "removed", _KIND, schedule.id, runtime.clock(), before=before, after={"state": "removed"})
    )
    return schedule


def existing(session: Session, schedule_id: str) -> ReportSchedule:
    """Return a schedule that was not removed, or raise NotFound."""
    found = session.get(ReportSchedule, schedule_id)
    if found is None or found.state == "removed":
        message = f"there is no report schedule {schedule_id}"
        raise NotFound(message)
    return found


def _refuse_removed(schedule: ReportSchedule) -> None:
    if schedule.state == "removed":
        message = f"there is no report schedule {schedule.id}"
        raise NotFound(message)


def _is_taken(session: Session, folder: str) -> bool:
    return session.scalar(sa.select(sa.exists().where(ReportSchedule.folder == folder))) or False


def _taken(folder: str) -> Conflict:
    return Conflict(f"another schedule writes to {folder}", slug="folder-taken")


def _logged(schedule: ReportSchedule) -> Mapping[str, Any]:
    # Addresses are personal and stay out of the audit log: how many there are is told.
    return {name: getattr(schedule, name) for name in (*_PLAIN, "folder")} | {"recipients": len(schedule.recipients)}
