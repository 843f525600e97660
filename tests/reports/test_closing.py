"""A month's check list, its close, its report: on both databases."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from core.audit import AuditEntry
from core.money import Money
from core.runtime import Runtime
from ledger import posting
from ledger.models import JournalEntry, Period
from reports import checks, verifying
from tests.builders import Builder
from tests.conftest import Caller, TestClock
from tests.reports.conftest import Reconcile

ROW = {"kind": "accrual", "source_type": "accrual", "posted_at": datetime(2026, 11, 2, tzinfo=UTC), "description": "x"}


def red(runtime: Runtime, period: str = "2026-10") -> list[str]:
    with runtime.reading() as session:
        return [check.id for check in checks.of_month(session, period) if not check.is_green]


def whole_month(runtime: Runtime) -> dict[str, str]:
    """A month in which everything went well: one conversion, accrued, paid, reported."""
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source, affiliate = build.source(), build.affiliate()
        click = build.click(affiliate)
        conversion = build.conversion(source, "T1", 1250, click_id=click.id, affiliate_id=affiliate.id)
        accrual = build.accrual(conversion, affiliate, click.campaign_id)
        payout = build.payout(affiliate, 1250)
        accrual.payout_id = payout.id
        build.sent(payout, "E2E-1")
        build.network_line(build.report(source), "T1", 1250)
        build.bank_line(build.bank_statement(), -1250, end_to_end_id="E2E-1")
        return {"source_id": source.id, "affiliate_id": affiliate.id, "conversion_id": conversion.id}


def test_a_month_closes_when_everything_is_explained_and_then_refuses_postings(
    runtime: Runtime, reconcile: Reconcile, sign_in: Callable[..., Caller]
) -> None:
    whole_month(runtime)
    finance = sign_in("finance")

    refused = finance.post("/api/v1/periods/2026-10/close")
    reconcile("network")
    reconcile("payout")
    green = finance.get("/api/v1/periods/2026-10/checks").json
    closed = finance.post("/api/v1/periods/2026-10/close")
    again = finance.post("/api/v1/periods/2026-10/close")

    assert (refused.status_code, refused.json["type"]) == (409, "/problems/period-not-ready")
    assert [error["field"] for error in refused.json["errors"]] == ["networks_reconciled", "payouts_reconciled"]
    assert refused.json["errors"][0]["reason"].endswith("Everflow is not reconciled")
    assert green["is_green"] is True
    assert len(green["checks"]) == 10
    assert (closed.status_code, closed.json["state"], closed.json["closed_by"]) == (200, "closed", finance.staff_id)
    assert closed.json["digest"].startswith("sha256:")
    assert closed.json["totals"]["roll_forward"][0]["closing"] == {"amount": "0.00", "currency": "EUR"}
    assert (again.status_code, again.json["type"]) == (409, "/problems/period-closed")
    with runtime.reading() as session:
        assert verifying.verify(session, "2026-10").rebuilt == closed.json["digest"]
        assert session.scalars(sa.select(AuditEntry.verb).where(AuditEntry.subject_id == "2026-10")).all() == ["closed"]
    with pytest.raises(sa.exc.IntegrityError), runtime.transaction() as session:
        session.add(
            JournalEntry(
                id="jrn_late", source_id="late", period="2026-10", occurred_on=date(2026, 10, 31),
                posted_on=date(2026, 10, 31), **ROW,
            )
        )  # fmt: skip


def test_what_comes_in_after_the_close_changes_nothing_in_it(
    runtime: Runtime, reconcile: Reconcile, sign_in: Callable[..., Caller], machine: Caller
) -> None:
    ids = whole_month(runtime)
    reconcile("network")
    reconcile("payout")
    sign_in("finance").post("/api/v1/periods/2026-10/close")

    asked = machine.post("/api/v1/reconciliations", {"period": "2026-10", "leg": "network"})
    with runtime.transaction() as session:
        Builder(runtime, session).post(
            posting.revenue(conversion_id=ids["conversion_id"], money=Money(100, "EUR"), occurred_on=date(2026, 10, 31))
        )

    assert (asked.status_code, asked.json["type"]) == (409, "/problems/period-closed")
    with runtime.reading() as session:
        late = session.scalars(sa.select(JournalEntry).where(JournalEntry.kind == "revenue")).one()
        assert (late.period, late.occurred_on) == ("2026-11", date(2026, 10, 31))


def test_a_month_that_is_not_over_does_not_close(sign_in: Callable[..., Caller], clock: TestClock) -> None:
    clock.now = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)
    finance = sign_in("finance")

    last_second = finance.post("/api/v1/periods/2026-10/close")
    clock.advance(seconds=1)
    first_second = finance.post("/api/v1/periods/2026-10/close")

    assert (last_second.status_code, last_second.json["type"]) == (409, "/problems/period-not-over")
    assert first_second.status_code == 200


def test_closing_is_for_finance_in_person(sign_in: Callable[..., Caller], machine: Caller) -> None:
    assert machine.post("/api/v1/periods/2026-09/close").status_code == 403
    assert sign_in("manager").post("/api/v1/periods/2026-09/close").status_code == 403
    assert sign_in("finance").post("/api/v1/periods/2026-9/close").status_code == 422


def test_a_source_without_a_report_and_an_open_discrepancy_are_red(runtime: Runtime, reconcile: Reconcile) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        build.conversion(build.source(), "T1", 100)
        build.conversion(build.source("Awin"), "T1", 100, occurred_at=datetime(2026, 11, 1, tzinfo=UTC))
    reconcile("network")

    assert red(runtime) == ["network_reports", "discrepancies"]
    with runtime.reading() as session:
        missing = {check.id: check.missing for check in checks.of_month(session, "2026-10")}
    assert missing["network_reports"] == ["Everflow has conversions and no network report"]
    assert missing["discrepancies"] == ["1 x missing_at_network open"]


def test_a_run_is_too_old_once_a_line_a_conversion_or_a_rejection_came_after_it(
    runtime: Runtime, reconcile: Reconcile, clock: TestClock
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source()
        build.conversion(source, "T1", 100)
        build.network_line(build.report(source), "T1", 100)
    reconcile("network", source.id)
    assert red(runtime) == []

    clock.advance(minutes=1)
    with runtime.transaction() as session:
        Builder(runtime, session).conversion(source, "T2", 100, recorded_at=clock(), state="rejected")

    assert red(runtime) == ["networks_reconciled"]
    reconcile("network")
    assert red(runtime) == []


def test_statements_that_do_not_follow_on_are_red_in_their_month_alone(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        build.bank_statement(reference="1", closed_on=date(2026, 10, 1), closing_minor=100)
        build.bank_statement(
            reference="3", opened_on=date(2026, 10, 3), closed_on=date(2026, 10, 3), opening_minor=90, closing_minor=1
        )

    assert red(runtime) == ["bank_statements"]
    assert red(runtime, "2026-09") == []


def test_what_is_not_accrued_not_approved_and_not_in_clearing_is_red(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source, affiliate = build.source(), build.affiliate()
        build.conversion(source, "T1", 100, state="recorded")
        build.conversion(source, "T2", 100, state="recorded", hold_reason="late")
        # Taken back after its accrual, which is not accrued yet.
        build.conversion(source, "T3", 100, state="reversed", is_accrual_due=True)
        build.payout(affiliate, 100, state="pending")
        item = build.sent(build.payout(affiliate, 700), "E2E-1")
        item.state = "cancelled"

    with runtime.reading() as session:
        missing = {check.id: check.missing for check in checks.of_month(session, "2026-10")}
    assert missing["accrued"] == ["2 conversions wait to be accrued"]
    assert missing["clearing"] == ["clearing holds 7.00 EUR, payments on their way make 0.00 EUR"]
    assert missing["approvals"][0].endswith("waits for approval")
    assert missing["journal"] == []


def test_the_report_says_each_figure_in_its_currency(runtime: Runtime, reconcile: Reconcile, machine: Caller) -> None:
    whole_month(runtime)
    reconcile("network")
    reconcile("payout")

    shown = machine.get("/api/v1/periods/2026-10/report").json
    written = machine.get("/api/v1/periods/2026-10/report?format=csv").text

    assert shown["conversions"][0]["payout"] == {"amount": "12.50", "currency": "EUR"}
    assert shown["accruals"][0]["category_code"] == "6210"
    assert shown["payouts"] == [{"state": "settled", "count": 1, "money": {"amount": "12.50", "currency": "EUR"}}]
    assert {row["account"]: row["balance"]["amount"] for row in shown["journal"]} == {
        "bank:DE02120300000000202051": "-12.50",
        "clearing:payouts": "0.00",
        "expense:commission:spring": "12.50",
        "payable:affiliate": "0.00",
    }
    [row] = shown["roll_forward"]
    assert {name: row[name]["amount"] for name in row if name != "currency"} == {
        "opening": "0.00",
        "accrued": "12.50",
        "clawed_back": "0.00",
        "paid": "12.50",
        "other": "0.00",
        "closing": "0.00",
    }
    assert "roll_forward,payable:affiliate,paid,,12.50,EUR\r\n" in written
    assert "journal,bank:DE02120300000000202051,balance,,-12.50,EUR\r\n" in written


def test_a_closed_month_keeps_its_row(runtime: Runtime, sign_in: Callable[..., Caller]) -> None:
    sign_in("finance").post("/api/v1/periods/2026-09/close")

    with runtime.reading() as session:
        row = session.get_one(Period, "2026-09")
    assert (row.state, row.version) == ("closed", 2)
