"""The RQ door of payouts: the stages accrual, bundling and settlement."""

from functools import partial

from core.draining import drain
from core.runtime import installed
from ledger.periods import period_of
from payouts import accrual, adjusting, bundling, self_bills, settlement

# One batch holds about 20 MB for a moment, and its commit is a small part of it.
BATCH_ROWS_MAX = 5000


def accrue(helper: int = 0) -> None:
    """Accrue every recorded conversion, and what has changed since, a batch at a time, until none waits."""
    runtime = installed()
    for run_batch in (accrual.run_batch, adjusting.run_batch):
        drain(runtime, partial(run_batch, runtime), stage="accrual", limit=BATCH_ROWS_MAX, helper=helper)


def bundle(period: str | None = None, asked_by: str | None = None) -> None:
    """Bundle what is payable up to the end of `period`, or of the current month: one transaction a payout."""
    runtime = installed()
    today = runtime.clock().date()
    until = period or period_of(today)
    with runtime.reading() as session:
        payable = bundling.affiliates_with_payable(session, period=until, today=today)
        affiliate_ids = bundling.due(session, payable, period=until, now=runtime.clock())
    for affiliate_id in affiliate_ids:
        payout = True
        while payout:
            with runtime.transaction() as session:
                payout = bundling.bundle(runtime, session, affiliate_id, period=until, asked_by=asked_by) is not None


def settle() -> None:
    """Act on what people decided, changed or did not answer, and write self-billing documents: a transaction each."""
    runtime = installed()
    for step in (
        settlement.take_finished,
        settlement.restart_changed,
        settlement.open_drafts,
        settlement.note_unanswered,
        self_bills.issue_next,
    ):
        taken = True
        while taken:
            with runtime.transaction() as session:
                taken = step(runtime, session)
