"""Many decisions at once: exactly what was shown, or nothing; each with its own result."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from approvals.models import ApprovalDecision
from core.runtime import Runtime
from tests.conftest import Answer, Caller

SignIn = Callable[..., Caller]
Open = Callable[..., str]


def money(amount: str, currency: str = "EUR") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


def decide(person: Caller, ids: list[str], count: int, *sums: dict[str, str], **more: Any) -> Answer:
    body = {"ids": ids, "verdict": "approve", "count": count, "sums": list(sums), **more}
    return person.post("/api/v1/approvals/bulk", body)


def decisions(runtime: Runtime) -> int:
    with runtime.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(ApprovalDecision)) or 0


def test_what_was_shown_and_still_holds_is_decided_one_by_one(
    runtime: Runtime, sign_in: SignIn, open_request: Open
) -> None:
    ann, maker = sign_in("finance"), sign_in("finance")
    ids = [
        open_request("pay_1", amount_minor=1000),
        open_request("pay_2", amount_minor=250),
        open_request("pay_3", amount_minor=700, currency="USD"),
        open_request("pay_4", amount_minor=5, created_by=ann.staff_id),
    ]

    answer = decide(ann, ids, 4, money("12.55"), money("7.00", "USD"), comment="month end")

    assert answer.status_code == 200
    results = answer.json["results"]
    assert [each["id"] for each in results] == ids
    assert [(each["state"], each["refused"]) for each in results] == [
        ("approved", None), ("approved", None), ("approved", None), ("open", "barred"),
    ]  # fmt: skip
    assert decisions(runtime) == 3
    assert maker.get(f"/api/v1/approvals/{ids[0]}").json["steps"][0]["decisions"][0]["comment"] == "month end"


def test_when_count_or_sum_no_longer_hold_nothing_happens(
    runtime: Runtime, sign_in: SignIn, open_request: Open
) -> None:
    ann, bob = sign_in("finance"), sign_in("finance")
    ids = [open_request("pay_1", amount_minor=1000), open_request("pay_2", amount_minor=250)]

    other_sum = decide(ann, ids, 2, money("12.51"))
    other_count = decide(ann, ids, 1, money("12.50"))
    no_sum = decide(ann, ids, 2)
    bob.post(f"/api/v1/approvals/{ids[0]}/decisions", {"verdict": "reject", "version": 1})
    late = decide(ann, ids, 2, money("12.50"))

    for refused in (other_sum, other_count, no_sum, late):
        assert (refused.status_code, refused.json["type"]) == (409, "/problems/bulk-changed")
    assert decisions(runtime) == 1
    assert decide(ann, ids, 1, money("2.50")).json["results"] == [
        {"id": ids[0], "state": "rejected", "refused": "not-open", "detail": "this request is no longer open"},
        {"id": ids[1], "state": "approved", "refused": None, "detail": None},
    ]


def test_a_list_with_faults_names_them_all(sign_in: SignIn, open_request: Open) -> None:
    ann = sign_in("finance")
    first = open_request("pay_1")

    answer = decide(ann, [first, "apr_none", first], 1, money("125.00"))
    twice = decide(ann, [first], 1, money("125.00"), money("125.00"))

    assert [error["field"] for error in answer.json["errors"]] == ["ids.1", "ids.2"]
    assert [error["field"] for error in twice.json["errors"]] == ["sums"]
    assert decide(ann, [], 0).status_code == 422
    assert decide(ann, [f"apr_{number}" for number in range(501)], 501).status_code == 422


def test_the_same_key_decides_once(runtime: Runtime, sign_in: SignIn, open_request: Open) -> None:
    ann = sign_in("finance")
    body = {"ids": [open_request()], "verdict": "reject", "count": 1, "sums": [money("125.00")]}

    answers = [ann.post("/api/v1/approvals/bulk", body, headers={"Idempotency-Key": "k"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json == answers[1].json
    assert decisions(runtime) == 1


def test_auditors_affiliate_managers_and_tokens_decide_nothing_in_bulk(
    sign_in: SignIn, machine: Caller, open_request: Open
) -> None:
    request_id = open_request()

    for refused in (sign_in("auditor"), sign_in("affiliate_manager"), machine):
        assert decide(refused, [request_id], 1, money("125.00")).status_code == 403
    # Somebody with the right to decide at all has it here too, and is told of each one that is not his.
    manager = decide(sign_in("manager"), [request_id], 1, money("125.00"))
    assert [each["refused"] for each in manager.json["results"]] == ["not-an-approver"]
