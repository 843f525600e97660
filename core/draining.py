"""How a stage empties what waits for it: a batch a transaction, with helpers while there is more than one batch."""

import logging
from collections.abc import Callable

from sqlalchemy.orm import Session

from core import collector, doorbell
from core.errors import Unavailable
from core.runtime import Runtime

# A ring for a stage that runs already is refused, so a stage runs once at a time; a helper has a name of its own.
HELPERS_MAX = 3

RunBatch = Callable[[Session, int], int]
log = logging.getLogger(__name__)


def drain(runtime: Runtime, run_batch: RunBatch, *, stage: str, limit: int, helper: int = 0) -> None:
    """Run batches of at most `limit` rows, each in its transaction, until one takes nothing.

    A full batch means that more waits: on PostgreSQL, where workers skip each other's rows, helper number `helper` + 1
    of `stage` is rung for then. A worker that is free takes it; where there is none it finds nothing left to do later.
    A batch that fails is tried again by halves, so that what stands before a row that cannot be dealt with goes on;
    that row alone raises.
    """
    can_share = runtime.engine.dialect.name == "postgresql"
    taken, at_once = limit, limit
    while taken:
        try:
            with collector.resting(), runtime.transaction() as session:
                taken = run_batch(session, at_once)
        except Unavailable:
            raise
        except Exception as error:
            if at_once == 1:
                raise
            at_once //= 2
            # Only the class: a driver's text may quote what people sent.
            log.warning("batch failed", extra={"stage": stage, "error": type(error).__name__, "next_limit": at_once})
            continue
        if taken >= limit and can_share and helper < HELPERS_MAX:
            doorbell.ring(runtime.redis, stage, {"helper": helper + 1})
