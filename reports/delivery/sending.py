"""One delivery: files made aside, and then, in one transaction, put in place, recorded and told of; once a month."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, mail, outbox
from core.actors import system
from core.audit import Act
from core.database import insert_new
from core.errors import NotFound
from core.mail import Attachment
from core.outbox import Channel, Message
from core.runtime import Runtime
from ledger import periods
from reports import producing
from reports.delivery import checking, timing
from reports.delivery.models import ReportDelivery, ReportSchedule

ACTOR = system("stage:delivering")
# All of a letter's files together; more is a link. Mail servers commonly take 10 MB, and base64 adds a third, but each
# recipient's letter is kept with its files until it has gone out.
ATTACHED_BYTES_MAX = 1 << 20
_ERROR_LENGTH_MAX = 200


@dataclass(frozen=True)
class Due:
    """A schedule, as it was read, and a month that it has to tell of."""

    schedule_id: str
    version: int
    period: str
    files: tuple[tuple[str, str], ...]  # report and format


@dataclass(frozen=True)
class Made:
    """A file that lies aside."""

    path: Path
    report: str
    format: str
    sha256: str
    size: int


def due(runtime: Runtime, session: Session) -> list[Due]:
    """Return what is to be delivered now, schedule by schedule, the oldest month first."""
    delivered: dict[str, set[str]] = {}
    for row in session.execute(sa.select(ReportDelivery.schedule_id, ReportDelivery.period)):
        delivered.setdefault(row.schedule_id, set()).add(row.period)
    active = sa.select(ReportSchedule).where(ReportSchedule.state == "active").order_by(ReportSchedule.id)
    return [
        Due(each.id, each.version, period, tuple(checking.files(each.reports, each.formats, producing.OFFERED)))
        for each in session.scalars(active)
        for period in timing.due(
            day=each.day,
            hour=each.hour,
            counts_from=each.counts_from,
            delivered=delivered.get(each.id, set()),
            now=runtime.clock(),
        )
        if not each.waits_for_close or periods.is_closed(session, period)
    ]


def make(session: Session, wanted: Due, aside: Path) -> list[Made]:
    """Write the files of a delivery into the folder `aside`, all from one snapshot of the database."""
    return [_made(session, report, form, wanted.period, aside) for report, form in wanted.files]


def deliver(runtime: Runtime, session: Session, wanted: Due, made: Sequence[Made]) -> bool:
    """Put the files in place, record the delivery and keep its letters; say whether it was this call that did.

    The database lets one delivery of a schedule and month in. Whoever comes second waits for the first and then finds
    it there. A worker that dies before the commit leaves files that the next one replaces, and no letter.
    """
    schedule = session.get(ReportSchedule, wanted.schedule_id, with_for_update=True, populate_existing=True)
    if schedule is None or schedule.state != "active" or schedule.version != wanted.version:
        return False  # changed meanwhile: the next ring does it as it is now
    delivery_id = runtime.new_id("rdl")
    folder = f"{schedule.folder}/{wanted.period}"
    files = [_kept(each) for each in made]
    row = {
        "id": delivery_id,
        "schedule_id": schedule.id,
        "period": wanted.period,
        "delivered_at": runtime.clock(),
        "folder": folder,
        "files": files,
        "letters": len(schedule.recipients),
    }
    if not insert_new(session, ReportDelivery, [row], key=["schedule_id", "period"]):
        return False
    outbox.put(runtime, session, _letters(runtime, schedule, wanted.period, delivery_id, made))
    _put_in_place(runtime.deliveries, folder, made)
    schedule.failed_at, schedule.error = None, None
    after = {"period": wanted.period, "files": files, "letters": len(schedule.recipients)}
    audit.record(session, Act(ACTOR, "delivered", "report schedule", schedule.id, runtime.clock(), after=after))
    return True


def note_failure(runtime: Runtime, session: Session, schedule_id: str, reason: str) -> None:
    """Write down on the schedule that its delivery failed; it is tried again with the next ring."""
    schedule = session.get(ReportSchedule, schedule_id, with_for_update=True, populate_existing=True)
    if schedule is not None:
        schedule.failed_at, schedule.error = runtime.clock(), reason[:_ERROR_LENGTH_MAX]


def file_of(runtime: Runtime, session: Session, delivery_id: str, name: str) -> tuple[bytes, str]:
    """Return a delivered file and its mimetype; raise NotFound for one that is not there, or not what was delivered."""
    delivery = session.get(ReportDelivery, delivery_id)
    entry = next((each for each in delivery.files if each["name"] == name), None) if delivery else None
    if delivery is None or entry is None:
        message = f"{delivery_id} has no file {name}"
        raise NotFound(message)
    path = runtime.deliveries / delivery.folder / entry["name"]
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        message = f"{name} does not lie there any more as it was delivered"
        raise NotFound(message, slug="file-gone")
    return content, entry["mimetype"]


def _made(session: Session, report: str, form: str, period: str, aside: Path) -> Made:
    path = producing.produce(session, report, form, period, aside)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return Made(path, report, form, sha256, path.stat().st_size)


def _kept(made: Made) -> dict[str, Any]:
    return {
        "name": made.path.name,
        "report": made.report,
        "format": made.format,
        "mimetype": producing.mimetype(made.report, made.format),
        "bytes": made.size,
        "sha256": made.sha256,
    }


def _put_in_place(root: Path, folder: str, made: Sequence[Made]) -> None:
    target = root / folder
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not target.resolve().is_relative_to(root.resolve()):
        # A link that somebody put there leads out of the folder of deliveries.
        message = "the folder leads elsewhere"
        raise OSError(message)
    for each in made:
        # In one step: whoever picks files up never sees half of one.
        each.path.replace(target / each.path.name)
    directory = os.open(target, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _letters(
    runtime: Runtime, schedule: ReportSchedule, period: str, delivery_id: str, made: Sequence[Made]
) -> list[Message]:
    is_small = sum(each.size for each in made) <= ATTACHED_BYTES_MAX
    lines = [f"Reports about {period}, made by the schedule {schedule.name}.", ""]
    for each in made:
        lines.append(f"{each.path.name}  {each.size:,} bytes  SHA-256 {each.sha256}")
        if not is_small:
            lines.append(f"  {runtime.public_url}/api/v1/report-deliveries/{delivery_id}/files/{each.path.name}")
    lines += ["", "The files are attached." if is_small else "Sign in, then open the links.", ""]
    payload = {
        "subject": f"{schedule.name}: {period}",
        "text": "\n".join(lines),
        "attachments": [mail.as_json(_attachment(each)) for each in made] if is_small else [],
    }
    return [
        Message(f"delivery/{schedule.id}/{period}/{_short(address)}", Channel.EMAIL, address, payload)
        for address in schedule.recipients
    ]


def _attachment(made: Made) -> Attachment:
    return Attachment(made.path.name, producing.mimetype(made.report, made.format), made.path.read_bytes())


def _short(address: str) -> str:
    # An address may be longer than a key may be.
    return hashlib.sha256(address.lower().encode()).hexdigest()[:32]
