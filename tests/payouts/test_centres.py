"""Departments and cost centres: from the rule to the accrual, a person's move, and the bill."""

from collections.abc import Callable

from core.runtime import Runtime
from payouts import categories, jobs
from payouts.models import CategoryRuleset, Payout
from tests.conftest import Caller
from tests.payouts.books import Books

CATEGORY = {
    "code": "6210", "name": "Ads", "account": "expense:ads", "department": "Marketing", "cost_centre": "M-17",
}  # fmt: skip


def test_a_department_is_text_that_can_be_printed() -> None:
    rule = {"id": "r", "when": {}, "category": {**CATEGORY, "department": "", "cost_centre": "x" * 61}}

    assert [fault.field for fault in categories.faults([rule])] == [
        "rules.0.category.department", "rules.0.category.cost_centre",
    ]  # fmt: skip
    assert categories.faults([{**rule, "category": {**CATEGORY, "department": None}}]) == []


def test_they_are_frozen_on_the_accrual_move_with_the_category_and_stand_on_the_bill(
    runtime: Runtime, books: Books, sign_in: Callable[..., Caller]
) -> None:
    with runtime.transaction() as session:
        session.query(CategoryRuleset).update({"rules": [{"id": "r", "when": {}, "category": CATEGORY}]})
    books.conversion("cnv_1")
    books.conversion("cnv_2")
    jobs.accrue()
    finance = sign_in("finance")
    first, second = finance.get("/api/v1/accruals").json["items"]
    assert first["category"] == second["category"] == CATEGORY

    moved = {**CATEGORY, "department": "Sales"}
    answer = finance.post(
        f"/api/v1/accruals/{first['id']}/category",
        {"category": moved, "reason": "Theirs", "version": first["version"]},
    )
    jobs.bundle("2026-11")
    books.change(Payout, books.payouts()[0].id, state="approved")

    assert answer.json["category"] == moved, answer.text
    bill = finance.get("/api/v1/bills?layout=xero&lines=accrual").text.splitlines()
    assert sorted(line.split(",")[-5:-1] for line in bill[1:]) == [
        ["Department", "Marketing", "Cost centre", "M-17"],
        ["Department", "Sales", "Cost centre", "M-17"],
    ]
    assert books.balances()["expense:ads"] == 2500
