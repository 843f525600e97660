"""Bonuses that people give, on both databases."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from approvals.models import ApprovalRequest
from core.audit import AuditEntry
from core.runtime import Runtime
from payouts import jobs
from payouts.models import Accrual
from postback.models import Conversion, ConversionEvent
from tests.conftest import Caller
from tests.payouts.books import Books

BONUS: dict[str, Any] = {
    "money": {"amount": "20.00", "currency": "EUR"},
    "category": {"code": "6290", "name": "Bonus", "account": "expense:bonus"},
    "reason": "Best of October",
}
PATH = "/api/v1/conversions/cnv_1/bonuses"


@pytest.fixture
def accrued(books: Books) -> Books:
    """One conversion of 12.50, accrued in October."""
    books.conversion("cnv_1")
    jobs.accrue()
    return books


def test_a_bonus_is_one_more_accrual_of_its_category_in_the_open_month(
    runtime: Runtime, accrued: Books, sign_in: Callable[..., Caller]
) -> None:
    finance = sign_in("finance")

    answer = finance.post(PATH, BONUS)
    second = finance.post(PATH, BONUS)

    assert (answer.status_code, second.status_code) == (201, 201)
    shown = answer.json
    assert (shown["kind"], shown["money"], shown["category"]) == ("bonus", BONUS["money"], BONUS["category"])
    assert (shown["period"], shown["occurred_on"], shown["rule_id"]) == ("2026-11", "2026-11-02", None)
    assert (shown["terms"], shown["base"]) == ({"kind": "bonus", "reason": "Best of October"}, BONUS["money"])
    assert (shown["amount_is_covered"], shown["categorised_by"]) == (False, finance.staff_id)
    assert accrued.balances() == {"expense:uncategorised": 1250, "expense:bonus": 4000, "payable:affiliate": -5250}
    with runtime.reading() as session:
        act = session.scalars(sa.select(AuditEntry).where(AuditEntry.subject_id == shown["id"])).one()
        assert (act.verb, act.actor_id, act.reason) == ("gave", finance.staff_id, "Best of October")
        event = session.scalars(sa.select(ConversionEvent).where(ConversionEvent.seq == 3)).one()
        assert (event.kind, event.actor_id, event.details["money"]) == ("accrued", finance.staff_id, "20.00 EUR")


def test_a_bonus_is_approved_by_somebody_else(runtime: Runtime, accrued: Books, sign_in: Callable[..., Caller]) -> None:
    giver, other = sign_in("finance"), sign_in("finance")
    giver.post(PATH, BONUS)

    jobs.bundle("2026-11")

    [payout] = accrued.payouts()
    assert (payout.amount_minor, payout.category_codes) == (3250, ["6290", "uncategorised"])
    with runtime.reading() as session:
        request = session.get_one(ApprovalRequest, payout.approval_id)
        assert (request.barred, request.facts["amount_is_covered"]) == (
            sorted([giver.staff_id, "stage:bundling"]),
            False,
        )
    path = f"/api/v1/approvals/{payout.approval_id}/decisions"
    assert giver.post(path, {"verdict": "approve", "version": 1}).status_code == 403
    assert other.post(path, {"verdict": "approve", "version": 1}).status_code in {200, 201}


def test_a_refund_takes_back_the_commission_and_leaves_the_bonus(
    runtime: Runtime, accrued: Books, sign_in: Callable[..., Caller]
) -> None:
    sign_in("finance").post(PATH, BONUS)
    accrued.change(Conversion, "cnv_1", state="reversed", is_accrual_due=True)

    jobs.accrue()
    jobs.accrue()

    assert accrued.balances() == {"expense:bonus": 2000, "payable:affiliate": -2000}
    with runtime.reading() as session:
        kinds = session.scalars(sa.select(Accrual.kind).order_by(Accrual.kind)).all()
    assert kinds == ["accrue", "bonus", "clawback"]


def test_finance_alone_gives_one_to_an_accrued_conversion_in_the_affiliates_currency(
    accrued: Books, sign_in: Callable[..., Caller], machine: Caller
) -> None:
    finance = sign_in("finance")
    accrued.conversion("cnv_2")

    assert [sign_in(role).post(PATH, BONUS).status_code for role in ("admin", "manager", "auditor")] == [403] * 3
    assert machine.post(PATH, BONUS).status_code == 403
    for money in ({"amount": "0.00", "currency": "EUR"}, {"amount": "-1.00", "currency": "EUR"},
                  {"amount": "1.00", "currency": "USD"}):  # fmt: skip
        answer = finance.post(PATH, {**BONUS, "money": money})
        assert (answer.status_code, [fault["field"] for fault in answer.json["errors"]]) == (422, ["money"])
    assert finance.post(PATH, {**BONUS, "reason": " "}).status_code == 422
    assert finance.post("/api/v1/conversions/cnv_2/bonuses", BONUS).status_code == 409
    assert finance.post("/api/v1/conversions/cnv_9/bonuses", BONUS).status_code == 404
    accrued.change(Conversion, "cnv_1", hold_reason="conflict")
    assert finance.post(PATH, BONUS).status_code == 409
