"""Groups and limits: who is asked where a policy says so, and who may say it."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from core.audit import AuditEntry
from core.runtime import Runtime
from tests.conftest import Caller

SignIn = Callable[..., Caller]
Open = Callable[..., str]
Steps = Callable[..., None]


def limit(amount: str, currency: str = "EUR") -> dict[str, Any]:
    return {"limits": [{"amount": amount, "currency": currency}]}


def approvers(person: Caller, request_id: str) -> list[str]:
    ids: list[str] = person.get(f"/api/v1/approvals/{request_id}").json["steps"][0]["approver_ids"]
    return ids


def test_a_group_decides_while_its_people_are_in_it_and_may_decide(
    runtime: Runtime, sign_in: SignIn, open_request: Open, use_steps: Steps
) -> None:
    ada, lex, aff = sign_in("admin"), sign_in("manager"), sign_in("affiliate_manager")
    for person in (lex, aff):
        answer = ada.call("PUT", f"/api/v1/approval-groups/legal/members/{person.staff_id}")
        assert answer.status_code == 200
    use_steps({"id": "legal", "approvers": {"group": "legal"}, "need": 1})
    first, second = open_request("pay_1"), open_request("pay_2")

    assert ada.get("/api/v1/approval-groups").json == {
        "items": [{"name": "legal", "member_ids": sorted([lex.staff_id, aff.staff_id])}]
    }
    assert approvers(ada, first) == [lex.staff_id]
    decided = lex.post(f"/api/v1/approvals/{first}/decisions", {"verdict": "approve", "version": 1})
    assert decided.json["state"] == "approved"
    assert ada.delete(f"/api/v1/approval-groups/legal/members/{lex.staff_id}").status_code == 204
    late = lex.post(f"/api/v1/approvals/{second}/decisions", {"verdict": "approve", "version": 1})
    assert (late.status_code, late.json["type"]) == (403, "/problems/not-an-approver")
    with runtime.reading() as session:
        verbs = session.scalars(sa.select(AuditEntry.verb).where(AuditEntry.subject_id == lex.staff_id)).all()
    assert [verb for verb in verbs if "group" in verb] == ["added to group", "removed from group"]


def test_a_request_goes_to_whoevers_limit_covers_it_in_its_currency(
    sign_in: SignIn, open_request: Open, use_steps: Steps
) -> None:
    ada, low, high, other = sign_in("admin"), sign_in("finance"), sign_in("manager"), sign_in("finance")
    for person, given in ((low, limit("100.00")), (high, limit("5000.00")), (other, limit("9000.00", "USD"))):
        assert ada.call("PUT", f"/api/v1/approval-limits/{person.staff_id}", json=given).status_code == 200
    use_steps({"id": "limit", "approvers": {"limit_covers": "amount_base"}, "need": 1})

    small, large = open_request("pay_1", amount_minor=10_000), open_request("pay_2", amount_minor=10_001)

    assert sorted(approvers(ada, small)) == sorted([low.staff_id, high.staff_id])
    assert approvers(ada, large) == [high.staff_id]
    # A limit that was lowered since no longer covers what it was routed for.
    ada.call("PUT", f"/api/v1/approval-limits/{high.staff_id}", json=limit("100.00"))
    late = high.post(f"/api/v1/approvals/{large}/decisions", {"verdict": "approve", "version": 1})
    assert late.json["type"] == "/problems/not-an-approver"


def test_what_one_affiliate_comes_to_in_the_month_is_what_a_limit_must_cover(
    sign_in: SignIn, open_request: Open, use_steps: Steps
) -> None:
    ada, low, high = sign_in("admin"), sign_in("finance"), sign_in("manager")
    for person, amount in ((low, "100.00"), (high, "5000.00")):
        ada.call("PUT", f"/api/v1/approval-limits/{person.staff_id}", json=limit(amount))
    use_steps({"id": "limit", "approvers": {"limit_covers": "amount_base"}, "need": 1})

    request_id = open_request(amount_minor=5_000, facts={"amount_base": 20_000})

    assert approvers(ada, request_id) == [high.staff_id]


def test_nobody_sets_his_own_limit_or_group_and_nobody_but_an_admin_sets_any(sign_in: SignIn, machine: Caller) -> None:
    ada, ann, auditor = sign_in("admin"), sign_in("finance"), sign_in("auditor")
    paths = ("/api/v1/approval-limits/{}", "/api/v1/approval-groups/legal/members/{}")
    bodies = (limit("1.00"), None)

    for path, body in zip(paths, bodies, strict=True):
        own = ada.call("PUT", path.format(ada.staff_id), json=body)
        assert (own.status_code, own.json["type"].startswith("/problems/own-")) == (403, True)
        for caller in (ann, auditor, machine):
            assert caller.call("PUT", path.format(ann.staff_id), json=body).status_code == 403
        assert ada.call("PUT", path.format("stf_none"), json=body).status_code == 404
    for reader in (ann, auditor, machine):
        assert reader.get("/api/v1/approval-limits").status_code == 200
        assert reader.get("/api/v1/approval-groups").status_code == 200


def test_what_is_wrong_with_limits_and_group_names_is_told(sign_in: SignIn) -> None:
    ada, ann = sign_in("admin"), sign_in("finance")
    twice = {"limits": [{"amount": "1.00", "currency": "EUR"}, {"amount": "-2.00", "currency": "EUR"}]}

    limits = ada.call("PUT", f"/api/v1/approval-limits/{ann.staff_id}", json=twice)
    group = ada.call("PUT", f"/api/v1/approval-groups/Legal!/members/{ann.staff_id}")

    assert [error["field"] for error in limits.json["errors"]] == ["limits.1"]
    assert [error["field"] for error in group.json["errors"]] == ["name"]
    assert ada.delete(f"/api/v1/approval-groups/legal/members/{ann.staff_id}").status_code == 404
