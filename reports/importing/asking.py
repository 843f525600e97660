"""Reports that were sent in for a worker: each waits as a file and a row, and ends finished or failed."""

import logging
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, doorbell, leasing
from core.audit import Act
from core.errors import Conflict
from core.files import whole
from core.http.paging import narrowed
from core.runtime import Runtime
from reports import network_imports, report_mappings
from reports.importing.models import ReportImport
from reports.imports import Upload
from reports.network_imports import Wanted

STAGE = "importing"
# Of one person or token. More than that is a mistake in a program, and would keep everybody else waiting.
WAITING_MAX = 20
# What belongs to no import any more; one that lives has renewed its lease many times in a day.
LEFT_BEHIND_AFTER = timedelta(days=1)
_COPIED_BYTES = 1 << 20

log = logging.getLogger(__name__)


def ask(
    runtime: Runtime, session: Session, upload: Upload, *, source_id: str, period: str, mapping: Any
) -> ReportImport:
    """Store the file and put its import in line; `mapping` is one, or a name, or None for the one that fits.

    Raise Invalid, with every fault of file, mapping and source at once, before anything is stored; Conflict for a
    closed month and when too many of the same actor wait already.
    """
    wanted = Wanted(source_id, period, report_mappings.reading(session, upload.from_start(), mapping))
    network_imports.check(session, upload, wanted)
    waiting = sa.select(sa.func.count(ReportImport.id)).where(
        ReportImport.asked_by == upload.actor.id, leasing.is_unfinished(ReportImport)
    )
    if (session.scalar(waiting) or 0) >= WAITING_MAX:
        message = f"{WAITING_MAX} imports of yours are not done yet: send the next ones when they are"
        raise Conflict(message, slug="too-many-imports")
    made = ReportImport(id=runtime.new_id("imp"), source_id=source_id, period=period, mapping=dict(wanted.mapping))
    made.stored_as = f"{made.id}.report"
    made.size_bytes, made.file_sha256 = whole(
        runtime.imports / made.stored_as, lambda temporary: _copy(upload.from_start(), temporary)
    )
    made.file_name, made.state = upload.name[:200], leasing.WAITING
    made.asked_by, made.asked_by_kind, made.asked_at = upload.actor.id, upload.actor.kind.value, runtime.clock()
    session.add(made)
    session.flush()
    after = {"source": source_id, "period": period, "file_sha256": made.file_sha256}
    audit.record(session, Act(upload.actor, "asked", "report import", made.id, made.asked_at, after=after))
    doorbell.after_commit(session, STAGE)
    return made


def listed(*, state: str | None) -> sa.Select[ReportImport]:
    """Return the statement for imports."""
    return narrowed(sa.select(ReportImport), ((ReportImport.state, state),))


def _copy(file: IO[bytes], temporary: Path) -> None:
    with temporary.open("wb") as target:
        while piece := file.read(_COPIED_BYTES):
            target.write(piece)
