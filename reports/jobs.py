"""The stages of reports: `month-end` does the reconciliations that wait, `two-tier` looks into advertisers' lists."""

import logging

from core.errors import Problem, Unavailable
from core.runtime import installed
from reports import advertiser_checks, reconciliation

log = logging.getLogger(__name__)


def month_end() -> None:
    """Do every waiting run, the longest waiting first, until none waits; each in a transaction of its own."""
    runtime = installed()
    while True:
        with runtime.reading() as session:
            run_id = reconciliation.next_waiting(session)
        if run_id is None:
            return
        try:
            with runtime.transaction() as session:
                reconciliation.run(runtime, session, run_id)
        except Unavailable:
            raise  # the database is away: the run goes on waiting, and the next ring tries again
        except Exception as error:
            # Whatever broke would break again: the run must not wait for ever.
            log.error("reconciliation failed", exc_info=error, extra={"reconciliation": run_id})  # noqa: TRY400
            with runtime.transaction() as session:
                reconciliation.fail(runtime, session, run_id, _reason(error))


def two_tier() -> None:
    """Compare every list that is due, the longest waiting first; each in a transaction of its own."""
    runtime = installed()
    while True:
        with runtime.reading() as session:
            list_id = advertiser_checks.next_due(session, runtime.clock())
        if list_id is None:
            return
        try:
            with runtime.transaction() as session:
                advertiser_checks.check(runtime, session, list_id)
        except Unavailable:
            raise
        except Exception as error:
            log.error("two-tier check failed", exc_info=error, extra={"advertiser_list": list_id})  # noqa: TRY400
            with runtime.transaction() as session:
                advertiser_checks.fail(runtime, session, list_id, _reason(error))


def _reason(error: Exception) -> str:
    return error.detail if isinstance(error, Problem) else f"something broke on our side ({type(error).__name__})"
