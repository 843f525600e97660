"""A month with something wrong of every class that the network and payout legs find."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from core.runtime import Runtime
from partners.models import CampaignTerms
from tests.builders import Builder

SEPTEMBER = datetime(2026, 9, 20, 12, 0, tzinfo=UTC)
# What of the planted problems each discrepancy is about, by its class and, where there are several, what tells it.
CLASSES = {
    "missing_at_network": 1, "missing_at_us": 2, "amount_mismatch": 3, "currency_mismatch": 1, "status_mismatch": 2,
    "duplicate_at_network": 1, "duplicate_at_us": 1, "late": 1, "reversed_after_payment": 1, "fee_or_fx": 2,
    "rounding": 2, "wrong_affiliate": 1, "stale_pending": 1, "unmatched_debit": 2, "returned_payment": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """Ids of what a test goes on with."""

    source_id: str
    click_id: str


def month(runtime: Runtime, session: Session) -> Planted:
    """Plant twenty-two problems in October; everything else in it is as it should be."""
    build = Builder(runtime, session)
    source = build.source()
    report = build.report(source)
    blog, other = build.affiliate(), build.affiliate(name="Blog Two")
    click, foreign = build.click(blog), build.click(other)
    session.add(
        CampaignTerms(campaign_id=click.campaign_id, version=1, kind="told", starts_at=SEPTEMBER, created_at=SEPTEMBER)
    )
    for transaction_id, ours, lines in (
        ("fine", 1250, [(1250, None)]),
        ("not theirs", 1000, []),
        ("accepted", 1250, [(1200, None)]),
        ("claimed", 1250, [(1000, "approved")]),
        ("refused", 1250, [(1250, "rejected")]),
        ("twice", 700, [(700, None), (700, None)]),
        ("reversed", 1250, [(1250, "refunded")]),
        ("again", 200, [(200, None), (-200, None)]),
        ("fee", 10000, [(9900, None)]),
        ("down", 1000, [(999, None)]),
        ("up", 1000, [(1001, None)]),
        ("stale", 400, [(400, "pending")]),
    ):
        conversion = build.conversion(source, transaction_id, ours, affiliate_id=blog.id, click_id=click.id)
        for minor, word in lines:
            build.network_line(report, transaction_id, minor).status_word = word
        if transaction_id == "claimed":
            build.receipt(conversion)
        if transaction_id == "reversed":
            accrual = build.accrual(conversion, blog, click.campaign_id)
            paid = build.payout(blog, 1250)
            accrual.payout_id = paid.id
            build.sent(paid, "E2E-1")
    build.conversion(source, "currency", 1250)
    build.network_line(report, "currency", 1250, "USD")
    for _ in range(2):
        build.conversion(source, "two of ours", 100)
    build.network_line(report, "two of ours", 100)
    build.conversion(source, "late", 900, occurred_at=SEPTEMBER)
    build.network_line(report, "late", 900)
    build.conversion(source, "whose", 600, affiliate_id=blog.id, click_id=click.id)
    build.network_line(report, "whose", 600).claimed_click_id = foreign.click_id
    build.network_line(report, "create", 500).claimed_click_id = click.click_id
    build.network_line(report, "carry", 300)
    _bank(build)
    session.flush()
    return Planted(source.id, click.click_id)


def _bank(build: Builder) -> None:
    statement = build.bank_statement()
    build.bank_line(statement, -1250, end_to_end_id="E2E-1")
    for end_to_end_id, ours, theirs in (
        ("E2E-2", 1000, (-1010,)),
        ("E2E-3", 1000, (-900,)),
        ("E2E-4", 999, (-999, 900)),
    ):
        build.sent(build.payout(build.affiliate(name=end_to_end_id), ours), end_to_end_id)
        for minor in theirs:
            build.bank_line(statement, minor, end_to_end_id=end_to_end_id)
    build.bank_line(statement, -1490, text="Account fee")
    build.bank_line(statement, -5550, text="Card terminal rent")
