"""Category rulesets through the real doors: drafted by a machine or a person, in force by another person."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from core.audit import AuditEntry
from core.runtime import Runtime
from tests.conftest import Caller

RULES: list[dict[str, Any]] = [
    {
        "id": "r1",
        "when": {"all": [{"campaign_id": {"eq": "cmp_1"}}]},
        "category": {"code": "6210", "name": "Affiliate Commission - Spring", "account": "expense:commission:spring"},
    }
]


def test_rules_a_machine_drafted_are_put_in_force_by_an_admin_and_replace_the_old(
    machine: Caller, sign_in: Callable[..., Caller], runtime: Runtime
) -> None:
    created = machine.post("/api/v1/category-rulesets", {"rules": RULES})
    activated = sign_in("admin").post("/api/v1/category-rulesets/1/activate")

    assert (created.status_code, created.json["version"], created.json["state"]) == (201, 1, "draft")
    assert (activated.status_code, activated.json["state"]) == (200, "active")
    listed = machine.get("/api/v1/category-rulesets").json["items"]
    assert [(each["version"], each["state"]) for each in listed] == [(1, "active"), (0, "retired")]
    assert machine.get("/api/v1/category-rulesets/1").json["rules"] == RULES
    with runtime.reading() as session:
        verbs = session.scalars(
            sa.select(AuditEntry.verb).where(AuditEntry.subject_kind == "category ruleset").order_by(AuditEntry.seq)
        ).all()
    assert verbs == ["drafted", "activated"]


def test_nobody_puts_his_own_rules_in_force(sign_in: Callable[..., Caller]) -> None:
    author = sign_in("admin")
    author.post("/api/v1/category-rulesets", {"rules": RULES})

    assert author.post("/api/v1/category-rulesets/1/activate").status_code == 403
    assert sign_in("admin").post("/api/v1/category-rulesets/1/activate").status_code == 200


def test_a_token_puts_no_rules_in_force_and_only_an_admin_does(machine: Caller, sign_in: Callable[..., Caller]) -> None:
    machine.post("/api/v1/category-rulesets", {"rules": RULES})

    assert machine.post("/api/v1/category-rulesets/1/activate").status_code == 403
    assert sign_in("finance").post("/api/v1/category-rulesets/1/activate").status_code == 403


def test_only_a_draft_is_put_in_force_and_never_twice(machine: Caller, sign_in: Callable[..., Caller]) -> None:
    admin = sign_in("admin")
    for _ in range(2):
        machine.post("/api/v1/category-rulesets", {"rules": RULES})
    admin.post("/api/v1/category-rulesets/2/activate")

    # An older draft may still follow a newer one; what was retired never comes back.
    assert admin.post("/api/v1/category-rulesets/1/activate").status_code == 200
    assert admin.post("/api/v1/category-rulesets/2/activate").status_code == 409
    assert admin.post("/api/v1/category-rulesets/0/activate").status_code == 409
    assert admin.post("/api/v1/category-rulesets/9/activate").status_code == 404


def test_every_fault_of_the_rules_is_answered_at_once(machine: Caller) -> None:
    rules = [
        {**RULES[0], "when": {"colour": {"eq": "red"}}},
        {**RULES[0], "category": {**RULES[0]["category"], "account": "bank:x"}},
    ]

    answer = machine.post("/api/v1/category-rulesets", {"rules": rules})

    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json["errors"]] == [
        "rules.0.when.colour",
        "rules.1.category.account",
        "rules.1.id",
    ]
    assert machine.get("/api/v1/category-rulesets/1").status_code == 404
