"""The RQ door of postback."""

import logging
from functools import partial

from core.database import gave_up, is_worth_repeating
from core.draining import drain
from core.errors import Conflict, Unavailable
from core.runtime import Runtime, installed
from postback import matching, reprocessing, retention, seals

log = logging.getLogger(__name__)


def match_clicks(helper: int = 0) -> None:
    """Match every unmatched conversion whose click has arrived, a batch at a time, until none waits."""
    runtime = installed()
    run_batch = partial(matching.run_batch, runtime)
    drain(runtime, run_batch, stage=matching.STAGE, limit=matching.BATCH_ROWS_MAX, helper=helper)


def reprocess() -> None:
    """Go on with every long reprocessing, a part at a time, until none waits."""
    runtime = installed()
    while True:
        with runtime.reading() as session:
            waiting = reprocessing.waiting(session)
        if waiting is None:
            return
        try:
            with runtime.transaction() as session:
                reprocessing.go_on(runtime, session, waiting)
        except Conflict as error:
            with runtime.transaction() as session:
                reprocessing.stop(runtime, session, waiting, error)


def seal_receipts() -> None:
    """Seal every receipt that is old enough, a run at a time, until none waits."""
    runtime = installed()
    sealed = True
    while sealed:
        with runtime.transaction() as session:
            sealed = seals.seal(runtime, session) > 0


def tidy_receipts() -> None:
    """Make room for the months to come, bring what came too early into its month, and delete what is past retention."""
    runtime = installed()
    for step in (_prepare_months, _gather_months, _purge_receipts):
        try:
            step(runtime)
        except Unavailable as error:
            if not gave_up(error.__cause__) and not is_worth_repeating(error.__cause__):
                raise
            # Somebody reads for longer than postbacks may wait behind us: the next run does it.
            log.warning("receipts not tidied, the table is busy", extra={"step": step.__name__.strip("_")})


def _prepare_months(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        retention.prepare(runtime, session)


def _gather_months(runtime: Runtime) -> None:
    moved = True
    while moved:
        with runtime.transaction() as session:
            moved = retention.gather(runtime, session) > 0


def _purge_receipts(runtime: Runtime) -> None:
    purged = True
    while purged:
        with runtime.transaction() as session:
            purged = retention.purge(runtime, session) > 0
