"""How far the exports under a name have told what changed: what one tells, the next under that name does not."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from core.database import insert_new, oldest_write_s
from reports.exports.filtering import Filters
from reports.exports.models import Export, ExportMark

# A row carries the moment its transaction took it and is seen once that has committed. What is younger than this waits
# for the next export, and so does what a transaction that is still open may bring.
RIPE_AFTER = timedelta(minutes=1)
_IN_LINE = timedelta(seconds=30)


def between(session: Session, filters: Filters, now: datetime) -> Filters:
    """Return `filters` with both moments: since where the mark stands, up to what cannot change any more.

    Called first in its transaction: who begins to write after that brings nothing so old.
    """
    writing = timedelta(seconds=oldest_write_s(session))
    ripe = now - max(RIPE_AFTER, writing + _IN_LINE if writing else RIPE_AFTER)
    since = filters.since
    if since is None and filters.mark is not None:
        mark = session.get(ExportMark, filters.mark)
        since = None if mark is None else mark.until
    until = ripe if filters.until is None else min(filters.until, ripe)
    return replace(filters, since=since, until=until if since is None else max(since, until))


def move(session: Session, export: Export, told: Filters, now: datetime) -> bool:
    """Move the mark to the end of what `export` tells; say whether it still stood where the export began.

    False: another export under the mark was faster and has told the same. The row is locked until the commit.
    """
    if told.mark is None or told.until is None:
        return True
    row = {
        "name": told.mark, "until": told.until, "export_id": export.id, "moved_at": now, "moved_by": export.asked_by,
    }  # fmt: skip
    if insert_new(session, ExportMark, [row], key=["name"]):
        return told.since is None
    mark = session.get_one(ExportMark, told.mark, with_for_update=True, populate_existing=True)
    if mark.until != told.since:
        return False
    mark.until, mark.export_id, mark.moved_at, mark.moved_by = told.until, export.id, now, export.asked_by
    return True
