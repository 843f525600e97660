"""The RQ door of postback."""

from core.runtime import Runtime, installed
from postback import matching


def match_clicks() -> None:
    """Match every unmatched conversion whose click has arrived, a batch at a time, until none waits."""
    runtime = installed()
    while _match_batch(runtime):
        pass


def _match_batch(runtime: Runtime) -> int:
    with runtime.transaction() as session:
        return matching.run_batch(runtime, session)
