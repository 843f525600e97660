"""Dry runs of category rulesets through the real door, on both databases."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from core.runtime import Runtime
from payouts import jobs
from payouts.models import Accrual
from tests.conftest import Caller, TestClock
from tests.payouts.books import Books

SPRING = {"code": "6210", "name": "Spring", "account": "expense:commission:spring"}
UNCATEGORISED = {"code": "uncategorised", "name": "Uncategorised", "account": "expense:uncategorised"}


def drafted(machine: Caller, when: dict[str, Any]) -> int:
    """Draft one rule and return its version."""
    body = {"rules": [{"id": "r1", "when": when, "category": SPRING}]}
    return int(machine.post("/api/v1/category-rulesets", body).json["version"])


def test_a_draft_is_tried_on_the_newest_conversions_and_changes_nothing(
    runtime: Runtime, books: Books, machine: Caller
) -> None:
    books.campaign("cmp_2", kind="fixed", amount_minor=980, currency="JPY")
    books.conversion("cnv_1", subs={"sub1": "blog"})
    books.conversion("cnv_2", payout_minor=333, subs={"sub1": "blog"})
    books.conversion("cnv_3", campaign_id="cmp_2", subs={"sub1": "blog"})
    books.conversion("cnv_4", payout_minor=1)
    jobs.accrue()
    version = drafted(machine, {"sub1": {"eq": "blog"}})

    answer = machine.post(f"/api/v1/category-rulesets/{version}/dry-run")

    assert answer.status_code == 200
    assert (answer.json["version"], answer.json["state"], answer.json["conversions"]) == (1, "draft", 4)
    moved = [{"amount": "15.83", "currency": "EUR"}, {"amount": "980", "currency": "JPY"}]
    assert answer.json["changed"] == {"count": 3, "sums": moved}
    before, after = answer.json["categories"]
    assert before == {
        "category": SPRING,
        "before": {"count": 0, "sums": []},
        "after": {"count": 3, "sums": moved},
        "difference": moved,
    }
    assert after == {
        "category": UNCATEGORISED,
        "before": {
            "count": 4,
            "sums": [{"amount": "15.84", "currency": "EUR"}, {"amount": "980", "currency": "JPY"}],
        },
        "after": {"count": 1, "sums": [{"amount": "0.01", "currency": "EUR"}]},
        "difference": [{"amount": "-15.83", "currency": "EUR"}, {"amount": "-980", "currency": "JPY"}],
    }
    changes = {each["conversion_id"]: each for each in answer.json["items"]}
    assert set(changes) == {"cnv_1", "cnv_2", "cnv_3"}
    assert changes["cnv_2"]["money"] == {"amount": "3.33", "currency": "EUR"}
    assert changes["cnv_2"]["before"] == {"category": UNCATEGORISED, "rule_id": None}
    assert changes["cnv_2"]["after"] == {"category": SPRING, "rule_id": "r1"}
    with runtime.reading() as session:
        assert set(session.scalars(sa.select(Accrual.category_code))) == {"uncategorised"}


def test_the_changes_come_in_pages_that_hold_on_to_what_the_first_one_looked_at(
    books: Books, machine: Caller, clock: TestClock
) -> None:
    for number in range(5):
        books.conversion(f"cnv_{number}")
    jobs.accrue()
    path = f"/api/v1/category-rulesets/{drafted(machine, {})}/dry-run"
    first = machine.post(path, {"conversions": 4, "limit": 3}).json
    clock.advance(seconds=1)
    books.conversion("cnv_9")
    jobs.accrue()

    second = machine.post(path, {"conversions": 4, "limit": 3, "after": first["next"]}).json

    ids = [each["accrual_id"] for each in first["items"] + second["items"]]
    assert (len(first["items"]), len(second["items"]), second["next"]) == (3, 1, None)
    assert ids == sorted(set(ids), reverse=True)
    assert "cnv_9" not in {each["conversion_id"] for each in second["items"]}
    assert first["conversions"] == second["conversions"] == 4
    assert first["categories"] == second["categories"]
    assert machine.post(path, {"after": "nonsense"}).status_code == 422


def test_a_trial_asks_what_the_accrual_would_ask(books: Books, machine: Caller, sign_in: Callable[..., Caller]) -> None:
    books.conversion("cnv_1", covered_fields="payout currency", assurance="B", event="lead")
    books.conversion("cnv_2", covered_fields="currency")
    jobs.accrue()
    when = {"amount_is_covered": {"eq": True}, "covered_fields": {"eq": "payout"}, "event": {"eq": "lead"}}
    version = drafted(machine, when)

    tried = machine.post(f"/api/v1/category-rulesets/{version}/dry-run").json
    sign_in("admin").post(f"/api/v1/category-rulesets/{version}/activate")
    for old, new in (("cnv_1", "cnv_3"), ("cnv_2", "cnv_4")):
        values = {"cnv_1": ("payout currency", "lead"), "cnv_2": ("currency", "sale")}[old]
        books.conversion(new, covered_fields=values[0], event=values[1], assurance="B")
    jobs.accrue()

    assert [each["conversion_id"] for each in tried["items"]] == ["cnv_1"]
    found = machine.get("/api/v1/accruals?category=6210").json["items"]
    assert [each["conversion_id"] for each in found] == ["cnv_3"]


def test_admins_finance_and_auditors_try_rulesets_and_nobody_else(
    books: Books, machine: Caller, sign_in: Callable[..., Caller]
) -> None:
    path = f"/api/v1/category-rulesets/{drafted(machine, {})}/dry-run"

    answers = {role: sign_in(role).post(path).status_code for role in ("admin", "finance", "auditor", "manager")}

    assert answers == {"admin": 200, "finance": 200, "auditor": 200, "manager": 403}
    assert machine.post("/api/v1/category-rulesets/99/dry-run").status_code == 404
    assert machine.post(path, {"conversions": 10_001}).status_code == 422
