"""The RQ door of postback."""

from functools import partial

from core.draining import drain
from core.runtime import installed
from postback import matching, retention, seals


def match_clicks(helper: int = 0) -> None:
    """Match every unmatched conversion whose click has arrived, a batch at a time, until none waits."""
    runtime = installed()
    run_batch = partial(matching.run_batch, runtime)
    drain(runtime, run_batch, stage=matching.STAGE, limit=matching.BATCH_ROWS_MAX, helper=helper)


def seal_receipts() -> None:
    """Seal every receipt that is old enough, a run at a time, until none waits."""
    runtime = installed()
    sealed = True
    while sealed:
        with runtime.transaction() as session:
            sealed = seals.seal(runtime, session) > 0


def tidy_receipts() -> None:
    """Make room for the months to come, and delete what is past its retention."""
    runtime = installed()
    with runtime.transaction() as session:
        retention.prepare(runtime, session)
    purged = True
    while purged:
        with runtime.transaction() as session:
            purged = retention.purge(runtime, session) > 0
