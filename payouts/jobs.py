"""The RQ door of payouts: the stages accrual, base-amounts, bundling and settlement."""

from functools import partial

from core.draining import drain
from core.runtime import Runtime, installed
from ledger.periods import period_of
from payouts import accrual, adjusting, basing, bundling, fx_rates, realising, self_bills, settlement, write_offs

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


def fill_base_amounts() -> None:
    """Fill what waits for a rate that is known; take the rates the settings name, if they do, and fill again."""
    runtime = installed()
    # First what needs no file: one that cannot be taken must hold up nothing else.
    _fill_base_amounts(runtime)
    if runtime.fx_rates is not None:
        content = fx_rates.fetched(runtime.fx_rates)
        with runtime.transaction() as session:
            fx_rates.imported(runtime, session, content, format_=fx_rates.format_of(content), actor=fx_rates.ACTOR)
        _fill_base_amounts(runtime)


def _fill_base_amounts(runtime: Runtime) -> None:
    for step in (basing.run_batch, realising.run_batch, realising.take_back):
        done = BATCH_ROWS_MAX
        while done == BATCH_ROWS_MAX:
            with runtime.transaction() as session:
                done = step(runtime, session, BATCH_ROWS_MAX)


def settle() -> None:
    """Act on what people decided, changed or did not answer, and write self-billing documents: a transaction each."""
    runtime = installed()
    for step in (
        settlement.take_finished,
        write_offs.take_finished,
        settlement.restart_changed,
        settlement.open_drafts,
        settlement.note_unanswered,
        self_bills.issue_next,
    ):
        taken = True
        while taken:
            with runtime.transaction() as session:
                taken = step(runtime, session)
