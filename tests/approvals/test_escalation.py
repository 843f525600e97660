"""Time that passes asks more people, and never approves."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from access.models import Staff
from approvals import jobs
from approvals.models import ApprovalPolicy, ApprovalRequest
from core.audit import AuditEntry
from core.outbox import OutboxMessage
from core.runtime import Runtime
from tests.conftest import Caller, TestClock

SignIn = Callable[..., Caller]
Open = Callable[..., str]
Policy = Callable[..., None]


@pytest.fixture
def policy(use_steps: Callable[..., None], step: Callable[..., dict[str, Any]]) -> Policy:
    """Put in force one step of finance with the given parts."""

    def used(**parts: Any) -> None:
        use_steps(step("finance", **parts))

    return used


def first_step(runtime: Runtime, request_id: str) -> dict[str, Any]:
    with runtime.reading() as session:
        request = session.get_one(ApprovalRequest, request_id)
        [row] = request.steps
        return {
            "state": (request.state, row.state), "ids": row.approver_ids, "added": row.added,
            "times": (row.remind_at, row.due_at), "escalations": row.escalations,
        }  # fmt: skip


def letters(runtime: Runtime, kind: str) -> list[str]:
    """Return to whom letters of a kind were kept, sorted."""
    with runtime.reading() as session:
        found = session.scalars(sa.select(OutboxMessage.recipient).where(OutboxMessage.key.startswith(f"{kind}/")))
        return sorted(found)


def test_after_its_time_a_step_asks_those_it_escalates_to_and_waits_on(
    runtime: Runtime, sign_in: SignIn, open_request: Open, policy: Policy, clock: TestClock
) -> None:
    ann, ada = sign_in("finance", email="ann@example.com"), sign_in("admin", email="ada@example.com")
    policy(timeout="2h")
    request_id = open_request()

    clock.advance(hours=2, seconds=-1)
    jobs.escalate()
    before = first_step(runtime, request_id)
    clock.advance(seconds=1)
    jobs.escalate()
    jobs.escalate()
    after = first_step(runtime, request_id)

    assert (before["added"], before["escalations"]) == ({}, 0)
    assert (after["state"], after["ids"]) == (("open", "active"), [ann.staff_id])
    assert (after["added"], after["escalations"]) == ({ada.staff_id: "escalated"}, 1)
    assert letters(runtime, "escalated") == ["ada@example.com"]
    with runtime.reading() as session:
        entry = session.scalars(sa.select(AuditEntry).where(AuditEntry.verb == "escalated")).one()
        assert (entry.actor_id, entry.reason) == ("stage:escalation", "nobody decided in time")
    answer = ada.post(f"/api/v1/approvals/{request_id}/decisions", {"verdict": "approve", "version": 1})
    assert answer.json["state"] == "approved"


def test_people_are_reminded_once_before_the_time_is_over(
    runtime: Runtime, sign_in: SignIn, open_request: Open, policy: Policy, clock: TestClock
) -> None:
    ann, bob = sign_in("finance", email="ann@example.com"), sign_in("finance", email="bob@example.com")
    policy(need=2, timeout="4h")
    request_id = open_request()
    ann.post(f"/api/v1/approvals/{request_id}/decisions", {"verdict": "approve", "version": 1})

    clock.advance(hours=3, seconds=-1)
    jobs.escalate()
    early = letters(runtime, "reminder")
    clock.advance(seconds=1)
    jobs.escalate()
    clock.advance(minutes=5)
    jobs.escalate()

    assert (early, letters(runtime, "reminder")) == ([], ["bob@example.com"])
    assert first_step(runtime, request_id)["times"][0] is None
    assert bob.staff_id in first_step(runtime, request_id)["ids"]


def test_a_step_nobody_may_decide_asks_others_at_once_and_never_passes(
    runtime: Runtime, sign_in: SignIn, open_request: Open, policy: Policy, clock: TestClock
) -> None:
    ann, ada = sign_in("finance"), sign_in("admin")
    policy()

    asked = first_step(runtime, open_request("pay_1", barred=frozenset({ann.staff_id})))
    nobody_id = open_request("pay_2", barred=frozenset({ann.staff_id, ada.staff_id}))
    for _ in range(3):
        clock.advance(days=2)
        jobs.escalate()
    nobody = first_step(runtime, nobody_id)

    assert (asked["ids"], asked["added"]) == ([], {ada.staff_id: "escalated"})
    assert (nobody["state"], nobody["ids"], nobody["added"]) == (("open", "active"), [], {})
    assert nobody["escalations"] == 3
    late = sign_in("admin")
    clock.advance(days=2)
    jobs.escalate()
    assert first_step(runtime, nobody_id)["added"] == {late.staff_id: "escalated"}


def test_a_step_whose_people_have_gone_since_asks_others(
    runtime: Runtime, sign_in: SignIn, open_request: Open, policy: Policy
) -> None:
    ann, ada = sign_in("finance"), sign_in("admin")
    policy()
    request_id = open_request()
    jobs.escalate()
    assert first_step(runtime, request_id)["added"] == {}

    with runtime.transaction() as session:
        session.get_one(Staff, ann.staff_id).disabled_at = runtime.clock()
    jobs.escalate()

    assert first_step(runtime, request_id)["added"] == {ada.staff_id: "escalated"}


def test_a_later_step_has_its_time_from_when_it_opens_and_asks_others_when_its_people_are_used_up(
    runtime: Runtime, sign_in: SignIn, open_request: Open, clock: TestClock
) -> None:
    both, ada = sign_in("finance", "manager"), sign_in("admin")
    with runtime.transaction() as session:
        steps = [{"id": role, "approvers": {"role": role}, "need": 1} for role in ("finance", "manager")]
        defaults = {"timeout": "1d", "escalate": {"role": "admin"}}
        chains = [{"id": "default", "when": {}, "steps": steps}]
        session.get_one(ApprovalPolicy, 0).content = {"defaults": defaults, "chains": chains}
    request_id = open_request()
    clock.advance(hours=5)

    both = sign_in("finance", "manager", email="late@example.com")  # signed in anew: five hours have passed
    with runtime.transaction() as session:
        request = session.get_one(ApprovalRequest, request_id)
        request.steps[0].approver_ids = [both.staff_id]
        request.steps[1].approver_ids = [both.staff_id]
    answer = both.post(f"/api/v1/approvals/{request_id}/decisions", {"verdict": "approve", "version": 1})

    chief = answer.json["steps"][1]
    assert (chief["state"], chief["added"]) == ("active", {ada.staff_id: "escalated"})
    assert chief["due_at"] == "2026-11-03T14:00:00Z"
    assert answer.json["state"] == "open"


def test_what_has_ended_is_left_in_peace(
    runtime: Runtime, sign_in: SignIn, open_request: Open, policy: Policy, clock: TestClock
) -> None:
    ann, _ada = sign_in("finance"), sign_in("admin")
    policy(timeout="1h")
    request_id = open_request()
    ann.post(f"/api/v1/approvals/{request_id}/decisions", {"verdict": "reject", "version": 1})
    with runtime.transaction() as session:
        session.get_one(ApprovalRequest, request_id).steps[0].state = "active"

    clock.advance(hours=2)
    jobs.escalate()

    assert first_step(runtime, request_id)["added"] == {}
    assert letters(runtime, "reminder") == letters(runtime, "escalated") == []
