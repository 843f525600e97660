"""The RQ door of delivery: the stage `delivering` makes what is due, each in a transaction of its own."""

import logging
import shutil
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.errors import Unavailable
from core.runtime import Runtime, installed
from reports.delivery import sending
from reports.delivery.sending import Due

# Folders of files being made begin so: a schedule's own never begins with a dot.
ASIDE = ".making-"
# No delivery takes as long: what a killed worker left behind goes.
LEFT_BEHIND = timedelta(days=1)

log = logging.getLogger(__name__)


def deliver() -> None:
    """Deliver what is due. One that fails is noted on its schedule and tried again; the others go on."""
    runtime = installed()
    _tidy(runtime.deliveries, runtime.clock())
    with runtime.reading() as session:
        wanted = sending.due(runtime, session)
    for each in wanted:
        try:
            _deliver(runtime, each)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever broke, the other schedules go on
            # The class alone: a text may quote a path or a value.
            name = type(error).__name__
            log.error("delivery failed", extra={"schedule": each.schedule_id, "error": name})  # noqa: TRY400
            with runtime.transaction() as session:
                sending.note_failure(runtime, session, each.schedule_id, f"something broke on our side ({name})")


def _deliver(runtime: Runtime, wanted: Due) -> None:
    runtime.deliveries.mkdir(parents=True, exist_ok=True, mode=0o700)
    # On the same disk as where they go, so that each file is put in place in one step.
    aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=runtime.deliveries))
    try:
        with runtime.reading() as session:
            made = sending.make(session, wanted, aside)
        with runtime.transaction() as session:
            sending.deliver(runtime, session, wanted, made)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _tidy(deliveries: Path, now: datetime) -> None:
    for each in deliveries.glob(f"{ASIDE}*"):
        # Another worker may be done with it meanwhile.
        with suppress(FileNotFoundError):
            if datetime.fromtimestamp(each.stat().st_mtime, UTC) < now - LEFT_BEHIND:
                shutil.rmtree(each, ignore_errors=True)
