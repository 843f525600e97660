"""The RQ door of postback."""

from core.runtime import Runtime, installed
from postback import matching, retention, seals


def match_clicks() -> None:
    """Match every unmatched conversion whose click has arrived, a batch at a time, until none waits."""
    runtime = installed()
    while _match_batch(runtime):
        pass


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


def _match_batch(runtime: Runtime) -> int:
    with runtime.transaction() as session:
        return matching.run_batch(runtime, session)
