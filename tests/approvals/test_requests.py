"""Requests are opened, decided, handed back and voided."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from approvals import requests, routing
from approvals.models import ApprovalDecision, ApprovalPolicy, ApprovalRequest
from core import doorbell
from core.audit import AuditEntry
from core.errors import Conflict
from core.runtime import Runtime
from tests.conftest import Caller, TestClock

SignIn = Callable[..., Caller]
Open = Callable[..., str]


def use_policy(runtime: Runtime, *chains: dict[str, Any]) -> None:
    with runtime.transaction() as session:
        policy = session.get_one(ApprovalPolicy, 0)
        policy.content = {"chains": list(chains)}


def step(name: str, role: str, need: int = 1) -> dict[str, Any]:
    return {"id": name, "approvers": {"role": role}, "need": need}


def test_a_request_names_its_chain_and_its_approvers_without_those_who_made_the_subject(
    sign_in: SignIn, open_request: Open
) -> None:
    ann, bob, eve = sign_in("finance"), sign_in("finance"), sign_in("finance", "admin")

    request_id = open_request(barred=frozenset({bob.staff_id}), created_by=eve.staff_id)

    shown = ann.get(f"/api/v1/approvals/{request_id}").json
    assert (shown["state"], shown["chain"], shown["policy_version"], shown["version"]) == ("open", "default", 0, 1)
    assert shown["subject"] == {"kind": "payout", "id": "pay_1"}
    assert shown["money"] == {"amount": "125.00", "currency": "EUR"}
    [finance] = shown["steps"]
    assert (finance["id"], finance["state"], finance["need"], finance["decisions"]) == ("finance", "active", 1, [])
    assert finance["approver_ids"] == [ann.staff_id]


def test_a_second_request_about_the_same_subject_is_a_conflict_while_the_first_is_open(open_request: Open) -> None:
    open_request()

    with pytest.raises(Conflict):
        open_request()


def test_a_chain_without_steps_approves_at_once_and_the_policy_stands_in_the_log(
    runtime: Runtime, open_request: Open
) -> None:
    use_policy(runtime, {"id": "micro", "when": {}, "steps": []})

    request_id = open_request()

    with runtime.reading() as session:
        assert session.get_one(ApprovalRequest, request_id).state == "approved"
        entry = session.scalars(sa.select(AuditEntry).where(AuditEntry.subject_id == request_id)).one()
        assert (entry.actor_kind, entry.actor_id, entry.verb) == ("policy", "policy:0/micro", "approved")
    assert doorbell.queue(runtime.redis).job_ids == ["stage_settlement"]


def test_a_step_nobody_may_decide_stays_open_and_says_so(sign_in: SignIn, open_request: Open) -> None:
    only = sign_in("finance")

    request_id = open_request(barred=frozenset({only.staff_id}))

    [finance] = only.get(f"/api/v1/approvals/{request_id}").json["steps"]
    assert (finance["state"], finance["approver_ids"]) == ("active", [])
    assert finance["note"] == "cannot pass: 1 more person who may decide is needed; a step never passes by itself"


def test_two_steps_are_decided_one_after_the_other_by_two_people(
    runtime: Runtime, sign_in: SignIn, open_request: Open
) -> None:
    use_policy(runtime, {"id": "large", "when": {}, "steps": [step("finance", "finance"), step("chief", "manager")]})
    both, chief = sign_in("finance", "manager"), sign_in("manager")
    path = f"/api/v1/approvals/{open_request()}/decisions"

    early = chief.post(path, {"verdict": "approve", "version": 1})
    first = both.post(path, {"verdict": "approve", "version": 1, "comment": "as agreed"})
    again = both.post(path, {"verdict": "approve", "version": 2})
    stale = chief.post(path, {"verdict": "approve", "version": 1})
    last = chief.post(path, {"verdict": "approve", "version": 2})

    assert (early.status_code, early.json["type"]) == (403, "/problems/not-an-approver")
    assert (first.status_code, first.json["state"], first.json["version"]) == (200, "open", 2)
    assert [each["state"] for each in first.json["steps"]] == ["passed", "active"]
    assert first.json["steps"][0]["decisions"][0]["comment"] == "as agreed"
    assert (again.status_code, again.json["type"]) == (409, "/problems/already-decided")
    assert (stale.status_code, stale.json["type"]) == (409, "/problems/version-moved")
    assert (last.status_code, last.json["state"]) == (200, "approved")


def test_a_rejection_ends_the_request_and_goes_back_to_the_room(
    runtime: Runtime, sign_in: SignIn, open_request: Open, clock: TestClock
) -> None:
    ann = sign_in("finance")
    request_id = open_request()

    answer = ann.post(f"/api/v1/approvals/{request_id}/decisions", {"verdict": "reject", "version": 1})

    assert (answer.json["state"], answer.json["steps"][0]["state"]) == ("rejected", "rejected")
    with runtime.transaction() as session:
        [taken] = requests.finished(session, "payout", 10)
        requests.mark_taken(taken, clock())
        assert (taken.id, taken.state) == (request_id, "rejected")
    with runtime.transaction() as session:
        assert requests.finished(session, "payout", 10) == []
    assert doorbell.queue(runtime.redis).job_ids == ["stage_settlement"]


def test_a_person_who_made_it_is_told_in_words_that_he_may_not_decide(sign_in: SignIn, open_request: Open) -> None:
    maker = sign_in("finance")
    request_id = open_request(created_by=maker.staff_id)

    answer = maker.post(f"/api/v1/approvals/{request_id}/decisions", {"verdict": "approve", "version": 1})

    assert answer.status_code == 403
    assert answer.json["detail"] == "you may not decide this one: you made it, or changed what it pays to"


def test_no_token_decides(machine: Caller, open_request: Open) -> None:
    answer = machine.post(f"/api/v1/approvals/{open_request()}/decisions", {"verdict": "approve", "version": 1})

    assert answer.status_code == 403


def test_a_request_whose_content_was_changed_behind_its_back_takes_no_decision(
    runtime: Runtime, sign_in: SignIn, open_request: Open
) -> None:
    ann = sign_in("finance")
    request_id = open_request()
    with runtime.transaction() as session:
        session.get_one(ApprovalRequest, request_id).content = {"payee": {"iban": "GB33BUKB20201555555555"}}

    answer = ann.post(f"/api/v1/approvals/{request_id}/decisions", {"verdict": "approve", "version": 1})

    assert (answer.status_code, answer.json["type"]) == (409, "/problems/content-changed")


def test_a_voided_request_takes_no_decision_and_makes_room_for_the_next(
    runtime: Runtime, sign_in: SignIn, open_request: Open
) -> None:
    ann = sign_in("finance")
    request_id = open_request()

    with runtime.transaction() as session:
        request = session.get_one(ApprovalRequest, request_id)
        requests.void(runtime, session, request, "the payee's account was changed")

    answer = ann.post(f"/api/v1/approvals/{request_id}/decisions", {"verdict": "approve", "version": 2})
    assert (answer.status_code, answer.json["type"]) == (409, "/problems/not-open")
    assert open_request() != request_id


def test_a_repeated_decision_with_the_same_key_is_answered_again_and_counted_once(
    runtime: Runtime, sign_in: SignIn, open_request: Open
) -> None:
    ann = sign_in("finance")
    path = f"/api/v1/approvals/{open_request()}/decisions"

    answers = [
        ann.post(path, {"verdict": "approve", "version": 1}, headers={"Idempotency-Key": "click-1"}) for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json == answers[1].json
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ApprovalDecision)) == 1


def test_the_inbox_holds_what_waits_for_me_and_no_more(
    runtime: Runtime, sign_in: SignIn, open_request: Open, clock: TestClock
) -> None:
    use_policy(runtime, {"id": "default", "when": {}, "steps": [step("finance", "finance", 2)]})
    ann, bob, manager = sign_in("finance"), sign_in("finance"), sign_in("manager")
    first = open_request("pay_1")
    clock.advance(seconds=1)
    second = open_request("pay_2")
    ann.post(f"/api/v1/approvals/{first}/decisions", {"verdict": "approve", "version": 1})

    def inbox(person: Caller) -> list[str]:
        return [item["id"] for item in person.get("/api/v1/approvals?waiting_for=me").json["items"]]

    assert (inbox(ann), inbox(bob), inbox(manager)) == ([second], [second, first], [])
    assert [each["id"] for each in ann.get("/api/v1/approvals?subject_id=pay_1").json["items"]] == [first]
    assert ann.get("/api/v1/approvals?state=approved").json == {"items": [], "next": None}
    page = ann.get("/api/v1/approvals?limit=1").json
    assert [each["id"] for each in page["items"]] == [second]
    assert [each["id"] for each in ann.get(f"/api/v1/approvals?after={page['next']}").json["items"]] == [first]


def test_the_hash_a_decision_is_bound_to_is_that_of_the_content(sign_in: SignIn, open_request: Open) -> None:
    ann = sign_in("finance")
    shown = ann.get(f"/api/v1/approvals/{open_request()}").json

    seen = {"verdict": "approve", "version": 1, "content_hash": shown["content_hash"]}
    other = ann.post(f"/api/v1/approvals/{shown['id']}/decisions", seen | {"content_hash": "sha256:00"})
    answer = ann.post(f"/api/v1/approvals/{shown['id']}/decisions", seen)

    assert (other.status_code, other.json["type"]) == (409, "/problems/content-changed")
    [decision] = answer.json["steps"][0]["decisions"]
    whole = {"payee": {"iban": "DE89370400440532013000"}, "amount_minor": 12500, "currency": "EUR"}
    assert decision["content_hash"] == shown["content_hash"] == routing.content_hash(whole)


def test_account_numbers_are_masked_wherever_a_request_is_shown(
    machine: Caller, sign_in: SignIn, open_request: Open
) -> None:
    sign_in("finance")
    path = f"/api/v1/approvals/{open_request()}"

    for text in (machine.get(path).text, machine.get("/api/v1/approvals").text):
        assert "DE89370400440532013000" not in text
    assert machine.get(path).json["content"]["payee"] == {"iban": "DE89…13000"}
