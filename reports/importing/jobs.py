"""The stage `importing`: reads what waits with its progress told, and loads it whole or not at all."""

import logging
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core import leasing
from core.actors import Actor, ActorKind
from core.errors import Fault, Problem, Unavailable
from core.leasing import Held
from core.runtime import Runtime, installed
from reports import network_imports
from reports.importing.models import ReportImport
from reports.imports import Imported, Upload
from reports.network_imports import Wanted

# What belongs to no import any more; one that lives has renewed its lease many times in a day.
LEFT_BEHIND_AFTER = timedelta(days=1)

log = logging.getLogger(__name__)


def import_reports() -> None:
    """Load every report that waits, the longest waiting first, until none does."""
    runtime = installed()
    while True:
        with runtime.reading() as session:
            # Most rings find nothing, and should not stand in line with those who write.
            waiting = sa.select(ReportImport.id).where(leasing.is_waiting(ReportImport, runtime.clock()))
            is_any_waiting = session.scalar(waiting.limit(1)) is not None
        if not is_any_waiting:
            return
        with runtime.transaction() as session:
            taken = leasing.taken(session, ReportImport, runtime.clock())
            work = (Held(taken.id, taken.attempts), taken) if taken is not None else None
            if work is not None:
                session.flush()
                session.refresh(work[1])
                session.expunge(work[1])
        if work is not None:
            _load(runtime, *work)


def tidy() -> None:
    """Remove the files of imports that have ended, and what belongs to none."""
    runtime = installed()
    if not runtime.imports.is_dir():
        return
    with runtime.reading() as session:
        unfinished = sa.select(ReportImport.stored_as).where(leasing.is_unfinished(ReportImport))
        kept = set(session.scalars(unfinished))
    for path in runtime.imports.iterdir():
        # One that is stored and not yet recorded is on no record either: its age tells it apart.
        if path.name not in kept and _is_older(path, runtime.clock() - LEFT_BEHIND_AFTER):
            path.unlink(missing_ok=True)


def _load(runtime: Runtime, held: Held, asked: ReportImport) -> None:
    path = runtime.imports / asked.stored_as
    actor = Actor(ActorKind(asked.asked_by_kind), asked.asked_by)
    wanted = Wanted(asked.source_id, asked.period, asked.mapping)

    def told(lines: int) -> None:
        # How far it is, is worth a word, not the import.
        with suppress(Unavailable), runtime.transaction() as session:
            leasing.renew(session, ReportImport, held, runtime.clock(), lines_done=lines)

    try:
        with path.open("rb") as file:
            upload = Upload(asked.file_name, file, actor)
            with network_imports.reading(upload, wanted, faults=[], told=told) as read:
                _store(runtime, held, upload, wanted, read)
    except Unavailable:
        raise  # the database is away: it is taken up again when its lease is over
    except FileNotFoundError:
        _fail(runtime, held, "its file is not on this machine: send it again", [])
    except Problem as problem:
        _fail(runtime, held, problem.detail, problem.faults)
    except Exception as error:
        log.exception("import failed", extra={"import": held.id})
        _fail(runtime, held, f"something broke on our side ({type(error).__name__})", [])
    path.unlink(missing_ok=True)


def _store(runtime: Runtime, held: Held, upload: Upload, wanted: Wanted, read: network_imports.Read) -> None:
    # The lines and the word that they are stored are one commit: a worker that is killed has done both or neither.
    with runtime.transaction() as session:
        asked = leasing.locked(session, ReportImport, held)
        if asked is None:
            return  # another worker took over
        imported = network_imports.store(runtime, session, upload, wanted, read)
        leasing.end(asked, leasing.FINISHED, runtime.clock())
        asked.lines_done = imported.lines + len(imported.rejected)
        asked.result = _result(imported)


def _fail(runtime: Runtime, held: Held, reason: str, faults: list[Fault]) -> None:
    with runtime.transaction() as session:
        asked = leasing.fail(session, ReportImport, held, runtime.clock(), reason)
        if asked is not None:
            asked.faults = [{"field": fault.field, "reason": fault.reason} for fault in faults]


def _result(imported: Imported) -> dict[str, Any]:
    return {
        "statement_id": imported.id,
        "lines": imported.lines,
        "new": imported.new,
        "repeated": imported.repeated,
        "restated": imported.restated,
        "rejected": len(imported.rejected),
    }


def _is_older(path: Path, moment: datetime) -> bool:
    try:
        return datetime.fromtimestamp(os.stat(path).st_mtime, UTC) < moment  # noqa: PTH116
    except FileNotFoundError:
        return False
