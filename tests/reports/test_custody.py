"""The custody of one conversion, on both databases."""

from collections.abc import Callable

from core.runtime import Runtime
from tests.builders import Builder
from tests.conftest import Caller
from tests.reports.conftest import Reconcile


def test_a_conversion_shows_every_step_from_the_click_to_the_bank_in_time_order(
    runtime: Runtime, reconcile: Reconcile, sign_in: Callable[..., Caller], machine: Caller
) -> None:
    finance = sign_in("finance", email="fiona@example.com")
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source, affiliate = build.source(), build.affiliate()
        click = build.click(affiliate)
        conversion = build.conversion(source, "T1", 1250, click_id=click.id, affiliate_id=affiliate.id)
        build.receipt(conversion)
        accrual = build.accrual(conversion, affiliate, click.campaign_id)
        payout = build.payout(affiliate, 1250)
        accrual.payout_id = payout.id
        build.approval(payout, finance.staff_id)
        build.sent(payout, "E2E-1")
        build.network_line(build.report(source), "T1", 1200)
        bank_line = build.bank_line(build.bank_statement(), -1250, end_to_end_id="E2E-1")
        other = build.conversion(source, "T2", 1250)
    reconcile("network")
    reconcile("payout")

    shown = machine.get(f"/api/v1/conversions/{conversion.id}").json

    custody = shown["custody"]
    assert [step["kind"] for step in custody] == [
        "click", "receipt", "event", "accrual", "payout", "approval_request", "decision", "batch", "batch_released",
        "bank_line", "bank_match", "settlement", "journal_entry", "journal_entry", "journal_entry", "network_line",
        "network_match", "discrepancy",
    ]  # fmt: skip
    assert [step["at"] for step in custody] == sorted(step["at"] for step in custody)
    steps = {step["kind"]: step for step in custody}
    assert steps["click"]["id"] == click.id
    assert steps["accrual"]["terms"] == {"kind": "told", "version": 1}
    assert (steps["accrual"]["rule_id"], steps["accrual"]["money"]["amount"]) == ("r1", "12.50")
    assert (steps["decision"]["verdict"], steps["decision"]["email"]) == ("approve", "fiona@example.com")
    assert steps["batch_released"]["file_sha256"] == "ab" * 32
    assert (steps["bank_line"]["id"], steps["settlement"]["settled_on"]) == (bank_line.id, "2026-10-20")
    assert steps["network_match"]["difference"] == {"amount": "-0.50", "currency": "EUR"}
    assert steps["discrepancy"]["class"] == "amount_mismatch"
    assert shown["payout"] == {"amount": "12.50", "currency": "EUR"}
    assert "secret" not in str(shown)
    kinds = [step["kind"] for step in machine.get(f"/api/v1/conversions/{other.id}").json["custody"]]
    assert kinds == ["discrepancy"]


def test_an_unknown_conversion_is_not_here_and_every_role_may_look(
    machine: Caller, sign_in: Callable[..., Caller]
) -> None:
    assert machine.get("/api/v1/conversions/cnv_none").status_code == 404
    assert sign_in("affiliate_manager").get("/api/v1/conversions/cnv_none").status_code == 404
