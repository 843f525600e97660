"""Exports that were asked for: they wait, run under a lease, and end finished or failed; a file lasts seven days."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import Role
from core import audit, doorbell, leasing, rows
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from core.http.paging import narrowed
from core.http.wire import PageQuery
from core.runtime import Runtime
from reports.exports import changes, marks
from reports.exports.models import Export
from reports.exports.producing import Produced, Wanted

STAGE = "exporting"
KEPT = timedelta(days=7)
# Of one person or token. More than that is a mistake in a program, and would keep everybody else waiting.
WAITING_MAX = 20
# How the ids of people and tokens begin, under which their own marks stand.
_OWN_MARKS = ("stf_", "tok_")
# Beside whoever asked for it, they may have every export.
SEES_ALL = frozenset({Role.FINANCE, Role.AUDITOR})


class ExportState(StrEnum):
    """waiting -> running -> finished -> expired; failed when it cannot be made."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True)
class ExportQuery(PageQuery):
    """Which exports."""

    report: str | None = None
    state: str | None = None


@dataclass(frozen=True)
class Job(leasing.Held):
    """An export that this worker makes."""

    report: str
    format: str
    filters: Mapping[str, Any]
    started_at: datetime


def ask(runtime: Runtime, session: Session, asked: Wanted, *, actor: Actor) -> Export:
    """Put an export in line; raise Conflict when too many of the same actor wait already, Invalid for another's mark.

    What changed is told under the actor's own mark, unless a mark or a moment is named.
    """
    mark = asked.filters.mark
    if mark is not None and mark != actor.id and mark.startswith(_OWN_MARKS):
        raise Invalid.of(Fault("filters.mark", "is somebody else's own: name one that you share"))
    # Nobody waits for this answer, so that the count may be one off where two ask at once.
    waiting = session.scalar(
        sa.select(sa.func.count(Export.id)).where(Export.asked_by == actor.id, leasing.is_unfinished(Export))
    )
    if (waiting or 0) >= WAITING_MAX:
        message = f"{WAITING_MAX} exports of yours are not done yet: ask again when they are"
        raise Conflict(message, slug="too-many-exports")
    filters = asked.filters.shown()
    if asked.report.name == changes.NAME and not {"mark", "since"} & filters.keys():
        filters["mark"] = actor.id
    now = runtime.clock()
    if "as_of" in asked.report.takes:
        # The day it was asked on, also when a worker comes to it on the next one.
        filters.setdefault("as_of", now.date().isoformat())
    export = Export(
        id=runtime.new_id("exp"), report=asked.report.name, format=asked.format, filters=filters,
        state=ExportState.WAITING, asked_by=actor.id, asked_at=now,
    )  # fmt: skip
    session.add(export)
    session.flush()
    after = {"report": export.report, "format": export.format, "filters": filters}
    audit.record(session, Act(actor, "asked", "export", export.id, now, after=after))
    doorbell.after_commit(session, STAGE)
    return export


def visible(session: Session, export_id: str, *, actor: Actor) -> Export:
    """Return the export; raise NotFound when there is none, Forbidden for one that is not the actor's to see."""
    export = rows.existing(session, Export, export_id)
    if export.asked_by != actor.id and not actor.roles & SEES_ALL:
        message = "an export is for whoever asked for it, for finance and for auditors"
        raise Forbidden(message)
    return export


def listed(query: ExportQuery, *, actor: Actor) -> sa.Select[Export]:
    """Return the statement for the exports that `query` asks for and the actor may see."""
    wanted = narrowed(sa.select(Export), ((Export.report, query.report), (Export.state, query.state)))
    return wanted if actor.roles & SEES_ALL else wanted.where(Export.asked_by == actor.id)


def ready(export: Export) -> str:
    """Return the name its file is stored under; raise Conflict while there is none yet, NotFound when it is gone."""
    match export.state:
        case ExportState.FINISHED if export.stored_as is not None:
            return export.stored_as
        case ExportState.EXPIRED:
            message = f"the file of {export.id} was kept for {KEPT.days} days: ask for it anew"
            raise NotFound(message)
        case ExportState.FAILED:
            message = f"{export.id} has failed: {export.error}"
            raise Conflict(message, slug="export-failed")
        case _:
            message = f"{export.id} is {export.state}, {export.rows_done:,} rows are done: ask again in a while"
            raise Conflict(message, slug="export-not-ready")


def is_any_waiting(session: Session, now: datetime) -> bool:
    """Say whether a worker has something to do."""
    return session.scalar(sa.select(Export.id).where(leasing.is_waiting(Export, now)).limit(1)) is not None


def claimed(runtime: Runtime, session: Session) -> Job | None:
    """Take the export that has waited longest, or one whose worker has gone; None when none waits.

    One that was begun leasing.ATTEMPTS_MAX times is given up: whatever ended its workers would end this one.
    """
    now = runtime.clock()
    export = leasing.taken(session, Export, now)
    if export is None:
        return None
    export.rows_done = 0
    return Job(export.id, export.attempts, export.report, export.format, export.filters, now)


def note_progress(runtime: Runtime, session: Session, job: Job, rows_done: int) -> None:
    """Note how many rows are done, and that its worker lives."""
    leasing.renew(session, Export, job, runtime.clock(), rows_done=rows_done)


def finish(runtime: Runtime, session: Session, job: Job, produced: Produced, *, stored_as: str, file_name: str) -> bool:
    """Record the file; False when it is not to be kept: another worker took over, or its mark has moved on meanwhile.

    In the second case the export waits again, and tells what is left to tell.
    """
    export = leasing.locked(session, Export, job)
    if export is None:
        return False
    now = runtime.clock()
    if not marks.move(session, export, produced.filters, now):
        export.state, export.leased_until, export.attempts = ExportState.WAITING, None, export.attempts - 1
        return False
    leasing.end(export, ExportState.FINISHED, now)
    export.filters = produced.filters.shown()
    export.rows, export.rows_done = produced.rows, produced.rows
    export.size_bytes, export.sha256, export.stored_as = produced.size_bytes, produced.sha256, stored_as
    export.file_name = file_name
    export.expires_at = now + KEPT
    return True


def fail(runtime: Runtime, session: Session, job: Job, reason: str) -> None:
    """Record why it cannot be made."""
    leasing.fail(session, Export, job, runtime.clock(), reason)


def expire(session: Session, now: datetime) -> None:
    """Give up the files that have been kept long enough; what they were stays on record."""
    is_over = (Export.state == ExportState.FINISHED, Export.expires_at <= now)
    session.execute(sa.update(Export).where(*is_over).values(state=ExportState.EXPIRED))


def states_of_files(session: Session, names: Collection[str]) -> dict[str, str]:
    """Return the state of the export of each of `names` that is recorded as the file of one."""
    found = session.execute(sa.select(Export.stored_as, Export.state).where(Export.stored_as.in_(names)))
    return {str(row.stored_as): row.state for row in found}
