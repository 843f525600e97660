"""Policies are drafted by one and activated by another."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from access.models import Staff
from core.runtime import Runtime
from tests.conftest import Caller

SignIn = Callable[..., Caller]
POLICY: dict[str, Any] = {
    "chains": [
        {
            "id": "large",
            "when": {"all": [{"amount_base": {"gt": 100000}}]},
            "steps": [
                {"id": "manager", "approvers": {"role": "manager"}, "need": 1},
                {"id": "finance", "approvers": {"role": "finance"}, "need": 2},
            ],
        },
        {"id": "default", "when": {}, "steps": [{"id": "finance", "approvers": {"role": "finance"}, "need": 1}]},
    ]
}


@pytest.fixture(autouse=True)
def people(sign_in: SignIn) -> None:
    """As many as POLICY asks for."""
    for roles in (["finance"], ["finance"], ["manager"]):
        sign_in(*roles)


def test_a_policy_is_activated_by_another_person_than_its_author(sign_in: SignIn) -> None:
    author, second = sign_in("admin"), sign_in("admin")

    drafted = author.post("/api/v1/approval-policies", POLICY)
    own = author.post("/api/v1/approval-policies/1/activate")
    activated = second.post("/api/v1/approval-policies/1/activate")
    again = second.post("/api/v1/approval-policies/1/activate")

    assert (drafted.status_code, drafted.json["version"], drafted.json["state"]) == (201, 1, "draft")
    assert (own.status_code, own.json["type"]) == (403, "/problems/own-draft")
    assert (activated.status_code, activated.json["state"]) == (200, "active")
    assert activated.json["activated_by"] == second.staff_id
    assert again.status_code == 409
    states = [(item["version"], item["state"]) for item in author.get("/api/v1/approval-policies").json["items"]]
    assert states == [(1, "active"), (0, "retired")]
    verbs = [entry["verb"] for entry in author.get("/api/v1/audit?subject_id=1").json["items"]]
    assert verbs == ["activated", "drafted"]


def test_a_token_drafts_a_policy_and_never_activates_one(machine: Caller) -> None:
    assert machine.post("/api/v1/approval-policies", POLICY).status_code == 201
    assert machine.post("/api/v1/approval-policies/1/activate").status_code == 403


def test_new_requests_follow_the_new_policy_and_open_ones_keep_theirs(
    machine: Caller, sign_in: SignIn, open_request: Callable[..., str]
) -> None:
    admin = sign_in("admin")
    earlier = open_request("pay_1", amount_minor=100001)
    machine.post("/api/v1/approval-policies", POLICY)
    admin.post("/api/v1/approval-policies/1/activate")
    later = open_request("pay_2", amount_minor=100001)

    shown = [admin.get(f"/api/v1/approvals/{each}").json for each in (earlier, later)]

    assert [(each["policy_version"], each["chain"]) for each in shown] == [(0, "default"), (1, "large")]


def test_every_fault_of_a_policy_comes_back_with_its_field(machine: Caller) -> None:
    answer = machine.post(
        "/api/v1/approval-policies", {"chains": [{"id": "A", "when": {"amount": {"gt": 1}}, "steps": [{}]}]}
    )

    assert answer.status_code == 422
    assert {error["field"] for error in answer.json["errors"]} == {
        "chains.0.id",
        "chains.0.when.amount",
        "chains.0.steps.0.id",
        "chains.0.steps.0.approvers",
        "chains.0.steps.0.need",
        "chains.0.when",
    }


def test_a_policy_that_is_not_there_is_not_found(sign_in: SignIn) -> None:
    assert sign_in("admin").get("/api/v1/approval-policies/9").status_code == 404


def test_what_a_policy_may_say_comes_back_as_it_was_sent(sign_in: SignIn) -> None:
    admin = sign_in("admin")
    finance = {"id": "finance", "approvers": {"role": "finance"}, "need": 2, "timeout": "2d"}
    legal = {"id": "legal", "approvers": {"role": "manager"}, "need": 1, "parallel_with": "finance"}
    policy = {
        "defaults": {
            "separation": ["creator", "payee_editor", "batch_releaser"], "on_change": "restart", "timeout": "48h",
            "escalate": {"role": "admin"},
        },
        "chains": [{"id": "default", "when": {}, "steps": [finance, legal]}],
    }  # fmt: skip

    drafted = admin.post("/api/v1/approval-policies", policy)

    assert drafted.status_code == 201
    shown = admin.get("/api/v1/approval-policies/1").json
    assert (shown["defaults"], shown["chains"]) == (policy["defaults"], policy["chains"])


def test_a_policy_whose_people_have_gone_since_its_draft_is_not_put_in_force(sign_in: SignIn, runtime: Runtime) -> None:
    author, second = sign_in("admin"), sign_in("admin")
    author.post("/api/v1/approval-policies", POLICY)
    with runtime.transaction() as session:
        manager = session.scalars(sa.select(Staff)).all()
        next(each for each in manager if each.roles == ["manager"]).disabled_at = runtime.clock()

    answer = second.post("/api/v1/approval-policies/1/activate")

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["chains.0.steps.0.need"]
    assert second.get("/api/v1/approval-policies/1").json["state"] == "draft"
