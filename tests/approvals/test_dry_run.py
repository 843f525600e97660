"""How a month would have been routed by another policy, without changing anything."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from approvals.models import ApprovalRequest
from core.runtime import Runtime
from tests.conftest import Caller, TestClock

SignIn = Callable[..., Caller]
Open = Callable[..., str]


def test_a_months_requests_are_routed_again_with_counts_sums_and_what_differs(
    runtime: Runtime, sign_in: SignIn, open_request: Open, clock: TestClock, machine: Caller
) -> None:
    clock.now = datetime(2026, 9, 30, 23, 59, tzinfo=UTC)
    open_request("pay_0", amount_minor=999_999)  # the month before
    clock.now = datetime(2026, 10, 1, tzinfo=UTC)
    for number in range(4):
        sign_in("finance") if number < 2 else sign_in("manager")
    small = open_request("pay_1", amount_minor=100)
    clock.advance(seconds=1)
    large = open_request("pay_2", amount_minor=50_001)
    open_request("pay_3", amount_minor=700, currency="USD", facts={"amount_base": 700})
    clock.now = datetime(2026, 11, 1, tzinfo=UTC)
    open_request("pay_4", amount_minor=100)  # the month after
    admin = sign_in("admin")
    finance: dict[str, Any] = {"id": "finance", "approvers": {"role": "finance"}, "need": 1}
    chief = {"id": "chief", "approvers": {"role": "manager"}, "need": 2}
    policy = {
        "chains": [
            {"id": "micro", "when": {"all": [{"amount_base": {"lte": 100}}]}, "steps": []},
            {"id": "default", "when": {}, "steps": [finance, chief | {"when": {"amount_base": {"gt": 50_000}}}]},
        ]
    }
    assert admin.post("/api/v1/approval-policies", policy).status_code == 201

    answer = machine.post("/api/v1/approval-policies/1/dry-run", {"period": "2026-10"})
    answer = sign_in("auditor").post("/api/v1/approval-policies/1/dry-run", {"period": "2026-10"})

    found = answer.json
    assert (answer.status_code, found["requests"], found["different"]) == (200, 3, 2)
    eur, usd = {"amount": "501.01", "currency": "EUR"}, {"amount": "7.00", "currency": "USD"}
    assert found["chains"] == [
        {
            "chain": "default", "would": 2, "would_sums": [{"amount": "500.01", "currency": "EUR"}, usd],
            "was": 3, "was_sums": [eur, usd],
        },
        {"chain": "micro", "would": 1, "would_sums": [{"amount": "1.00", "currency": "EUR"}], "was": 0, "was_sums": []},
    ]  # fmt: skip
    assert [
        (each["id"], each["was_chain"], each["would_chain"], each["was_asked"], each["would_ask"])
        for each in found["differences"]
    ] == [
        (small, "default", "micro", "1 of the role finance", "nobody"),
        (large, "default", "default", "1 of the role finance", "1 of the role finance; 2 of the role manager"),
    ]
    with runtime.reading() as session:
        assert set(session.scalars(sa.select(ApprovalRequest.policy_version))) == {0}


def test_the_policy_in_force_differs_in_nothing_from_what_it_did(sign_in: SignIn, open_request: Open) -> None:
    sign_in("finance")
    open_request()

    found = sign_in("manager").post("/api/v1/approval-policies/0/dry-run", {"period": "2026-11"}).json

    assert (found["requests"], found["different"], found["differences"]) == (1, 0, [])


def test_a_dry_run_takes_a_month_and_a_policy_there_is_and_people_who_may_read_rules(
    sign_in: SignIn, machine: Caller
) -> None:
    ann = sign_in("finance")

    assert ann.post("/api/v1/approval-policies/7/dry-run", {"period": "2026-10"}).status_code == 404
    assert ann.post("/api/v1/approval-policies/0/dry-run", {"period": "2026-13"}).status_code == 422
    assert machine.post("/api/v1/approval-policies/0/dry-run", {"period": "2026-10"}).status_code == 200
    refused = sign_in("affiliate_manager").post("/api/v1/approval-policies/0/dry-run", {"period": "2026-10"})
    assert refused.status_code == 403
