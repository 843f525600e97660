"""The stage `exporting`: makes the files that were asked for, and tidies away those whose time is over."""

import logging
import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.errors import Problem, Unavailable
from core.runtime import Runtime, installed
from reports.exports import asking, producing
from reports.exports.asking import ExportState, Job

# What a worker that was killed has left behind; one that lives has renewed its lease many times in a day.
LEFT_BEHIND_AFTER = timedelta(days=1)
_NAMES_AT_ONCE = 500

log = logging.getLogger(__name__)


def export() -> None:
    """Make every export that waits, the longest waiting first, until none does."""
    runtime = installed()
    while True:
        with runtime.reading() as session:
            # Most rings find nothing, and should not stand in line with those who write.
            is_any_waiting = asking.is_any_waiting(session, runtime.clock())
        if not is_any_waiting:
            return
        with runtime.transaction() as session:
            job = asking.claimed(runtime, session)
        if job is not None:
            _make(runtime, job)


def tidy() -> None:
    """Give up exports whose seven days are over, and remove their files and what belongs to no export."""
    runtime = installed()
    now = runtime.clock()
    with runtime.transaction() as session:
        asking.expire(session, now)
    if not runtime.exports.is_dir():
        return
    every = sorted(runtime.exports.iterdir())
    for start in range(0, len(every), _NAMES_AT_ONCE):
        some = every[start : start + _NAMES_AT_ONCE]
        with runtime.reading() as session:
            states = asking.states_of_files(session, [path.name for path in some])
        for path in some:
            state = states.get(path.name)
            # One that is written, or renamed and not yet recorded, is on no record either: its age tells it apart.
            if state == ExportState.EXPIRED or (state is None and _is_older(path, now - LEFT_BEHIND_AFTER)):
                _remove(path)


def _make(runtime: Runtime, job: Job) -> None:
    try:
        asked = producing.wanted(job.report, job.format, job.filters)
        # The attempt is part of the name: of two workers at one export neither writes over the other's file.
        path = runtime.exports / f"{job.id}-{job.attempt}.{asked.suffix}"

        def tick(rows_done: int) -> None:
            # How far it is, is worth a word, not the export.
            with suppress(Unavailable), runtime.transaction() as session:
                asking.note_progress(runtime, session, job, rows_done)

        with runtime.reading() as session:
            produced = producing.write(session, asked, path, now=job.started_at, tick=tick)
    except Unavailable:
        raise  # the database is away: it is taken up again when its lease is over
    except Exception as error:
        if isinstance(error, Problem):
            reason = error.detail
        else:
            log.error("export failed", exc_info=error, extra={"export": job.id})  # noqa: TRY400
            reason = f"something broke on our side ({type(error).__name__})"
        with runtime.transaction() as session:
            asking.fail(runtime, session, job, reason)
        return
    with runtime.transaction() as session:
        is_kept = asking.finish(runtime, session, job, produced, stored_as=path.name, file_name=asked.file_name)
    if is_kept:
        log.info("export made", extra={"export": job.id, "report": job.report, "rows": produced.rows})
    else:
        path.unlink(missing_ok=True)


def _is_older(path: Path, moment: datetime) -> bool:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC) < moment
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
