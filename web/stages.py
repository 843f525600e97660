"""STAGES: the whole engine on one screen. Each pulls what waits for it; RQ and the periodic ring only wake it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import approvals.jobs
import payouts.jobs
import postback.jobs
import reports.delivery.jobs
import reports.exports.jobs
import reports.importing.jobs
import reports.jobs
import reports.resolving.jobs
import web.jobs


@dataclass(frozen=True)
class Stage:
    """`run` takes the stage's options by name; `every_s` is how often the periodic ring wakes it, None: never."""

    name: str
    run: Callable[..., None]
    every_s: int | None
    does: str
    takes_period: bool = False  # its options are `period` and `asked_by`


_TABLE: tuple[Stage, ...] = (
    Stage("matching-clicks", postback.jobs.match_clicks, every_s=10, does="gives unmatched conversions their click"),
    Stage("accrual", payouts.jobs.accrue, every_s=10, does="turns recorded conversions into what we owe"),
    Stage("base-amounts", payouts.jobs.fill_base_amounts, every_s=3600, does="gives accruals the rate of their day"),
    # Never by itself: when to pay is somebody's decision, and a rejected payout would come back with every ring.
    Stage(
        "bundling", payouts.jobs.bundle, every_s=None, does="bundles what is payable into payouts", takes_period=True
    ),
    Stage("settlement", payouts.jobs.settle, every_s=10, does="acts on what people decided about payouts"),
    Stage("escalation", approvals.jobs.escalate, every_s=60, does="reminds approvers, and asks others after a timeout"),
    Stage("notifying", approvals.jobs.notify, every_s=60, does="sends letters, the day's digests and webhooks"),
    Stage(
        "resolving", reports.resolving.jobs.resolve, every_s=10, does="acts on what people decided about adjustments"
    ),
    Stage("month-end", reports.jobs.month_end, every_s=10, does="does the reconciliations that were asked for"),
    Stage("two-tier", reports.jobs.two_tier, every_s=3600, does="compares conversions with advertisers' own lists"),
    Stage(
        "delivering",
        reports.delivery.jobs.deliver,
        every_s=300,
        does="delivers reports whose day has come",
    ),
    Stage(
        "importing", reports.importing.jobs.import_reports, every_s=10, does="loads networks' reports that were sent in"
    ),
    Stage("exporting", reports.exports.jobs.export, every_s=10, does="writes the reports people asked for to files"),
    Stage("reprocessing", postback.jobs.reprocess, every_s=10, does="reads long windows of receipts again, as agreed"),
    Stage("sealing", postback.jobs.seal_receipts, every_s=60, does="seals the receipts of the last minutes"),
    Stage("audit-heads", web.jobs.write_audit_head, every_s=900, does="writes the day's signed head of the audit log"),
    Stage("purge", web.jobs.purge, every_s=3600, does="forgets ended sessions, old keys, receipts and exports"),
)

STAGES: Mapping[str, Stage] = {stage.name: stage for stage in _TABLE}


def run(name: str, options: Mapping[str, Any]) -> None:
    """Run the stage `name` until nothing waits for it."""
    STAGES[name].run(**options)
