"""Reassignment, force, comments: each on the record, each with its reason, none past separation."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from core.audit import AuditEntry
from core.runtime import Runtime
from tests.conftest import Answer, Caller

SignIn = Callable[..., Caller]
Open = Callable[..., str]
Steps = Callable[..., None]
Step = Callable[..., dict[str, Any]]


def reassign(by: Caller, request_id: str, from_: Caller, to: Caller, version: int = 1) -> Answer:
    body = {"step": "finance", "from_id": from_.staff_id, "to_id": to.staff_id, "reason": "ill", "version": version}
    return by.post(f"/api/v1/approvals/{request_id}/reassign", body)


def force(by: Caller, request_id: str, version: int = 1, **more: Any) -> Answer:
    body = {"verdict": "approve", "version": version, "reason": "the bank closes at four", **more}
    return by.post(f"/api/v1/approvals/{request_id}/force", body)


def acts(runtime: Runtime, request_id: str) -> list[tuple[str, str, str | None]]:
    with runtime.reading() as session:
        found = session.scalars(sa.select(AuditEntry).where(AuditEntry.subject_id == request_id))
        return [(entry.verb, entry.actor_id, entry.reason) for entry in found]


def test_a_place_goes_to_another_with_a_reason_and_whoever_gave_it_up_has_none(
    runtime: Runtime, sign_in: SignIn, open_request: Open
) -> None:
    ann, dan = sign_in("finance"), sign_in("manager")
    request_id = open_request()

    moved = reassign(ann, request_id, ann, dan)
    own = ann.post(f"/api/v1/approvals/{request_id}/decisions", {"verdict": "approve", "version": 2})
    done = dan.post(f"/api/v1/approvals/{request_id}/decisions", {"verdict": "approve", "version": 2})

    assert (moved.status_code, moved.json["version"]) == (200, 2)
    assert moved.json["steps"][0]["approver_ids"] == [dan.staff_id]
    assert moved.json["steps"][0]["added"] == {dan.staff_id: f"in place of {ann.staff_id}"}
    assert own.json["type"] == "/problems/not-an-approver"
    assert done.json["state"] == "approved"
    assert acts(runtime, request_id)[0] == ("reassigned", ann.staff_id, "ill")


def test_who_may_hand_over_whose_place_to_whom(sign_in: SignIn, open_request: Open, machine: Caller) -> None:
    ann, bob, dan, ada = sign_in("finance"), sign_in("finance"), sign_in("manager"), sign_in("admin")
    maker, auditor = sign_in("manager"), sign_in("auditor")
    request_id = open_request(created_by=maker.staff_id)

    def answers(*cases: tuple[Caller, Caller, Caller]) -> list[int]:
        return [reassign(by, request_id, from_, to).status_code for by, from_, to in cases]

    assert answers((dan, ann, dan), (bob, ann, dan), (ada, ann, ada)) == [403, 403, 403]
    assert answers((machine, ann, dan), (auditor, ann, dan)) == [403, 403]
    assert answers((ann, ann, maker), (ann, ann, bob), (ann, ann, auditor), (ada, dan, maker)) == [422] * 4
    assert reassign(ann, request_id, ann, dan, version=9).status_code == 409
    assert reassign(ada, request_id, ann, dan).status_code == 200


def test_a_step_or_request_that_has_ended_is_handed_to_nobody(
    sign_in: SignIn, open_request: Open, use_steps: Steps, step: Step
) -> None:
    use_steps(step("finance"), step("chief", "manager"))
    ann, bob, dan = sign_in("finance"), sign_in("finance"), sign_in("manager")
    request_id = open_request()
    ann.post(f"/api/v1/approvals/{request_id}/decisions", {"verdict": "approve", "version": 1})

    passed = reassign(bob, request_id, bob, dan, version=2)
    dan.post(f"/api/v1/approvals/{request_id}/decisions", {"verdict": "reject", "version": 2})
    ended = reassign(bob, request_id, bob, dan, version=3)

    assert (passed.status_code, passed.json["type"]) == (409, "/problems/step-over")
    assert (ended.status_code, ended.json["type"]) == (409, "/problems/not-open")


def test_a_forced_word_counts_as_one_persons_and_says_why(
    runtime: Runtime, sign_in: SignIn, open_request: Open, use_steps: Steps, step: Step
) -> None:
    use_steps(step("finance", need=2))
    ann, _bob, ada = sign_in("finance"), sign_in("finance"), sign_in("admin")
    request_id = open_request()

    once = force(ada, request_id)
    again = force(ada, request_id, 2)
    last = ann.post(f"/api/v1/approvals/{request_id}/decisions", {"verdict": "approve", "version": 2})

    assert (once.status_code, once.json["state"]) == (200, "open")
    [decision] = once.json["steps"][0]["decisions"]
    assert (decision["is_forced"], decision["comment"]) == (True, "the bank closes at four")
    assert again.json["type"] == "/problems/already-decided"
    assert last.json["state"] == "approved"
    assert acts(runtime, request_id)[0] == ("forced", ada.staff_id, "the bank closes at four")


def test_nobody_forces_what_he_made_without_a_reason_or_without_being_an_admin(
    sign_in: SignIn, open_request: Open, machine: Caller
) -> None:
    ada, ann = sign_in("admin"), sign_in("finance")
    request_id = open_request(created_by=ada.staff_id)

    assert force(ada, request_id).json["type"] == "/problems/barred"
    assert force(sign_in("admin"), request_id, reason="").status_code == 422
    for refused in (ann, sign_in("manager"), sign_in("auditor"), machine):
        assert force(refused, request_id).status_code == 403


def test_comments_stand_in_order_and_decide_nothing(
    runtime: Runtime, sign_in: SignIn, open_request: Open, machine: Caller
) -> None:
    ann, auditor = sign_in("finance"), sign_in("auditor")
    request_id = open_request()
    path = f"/api/v1/approvals/{request_id}/comments"

    made = [ann.post(path, {"text": text}) for text in ("Why so much?\nSee the report.", "Found it.")]

    assert [each.status_code for each in made] == [201, 201]
    listed = auditor.get(path).json["items"]
    assert [each["author_id"] for each in listed] == [ann.staff_id] * 2
    assert {each["text"] for each in listed} == {"Why so much?\nSee the report.", "Found it."}
    assert ann.get(f"/api/v1/approvals/{request_id}").json["version"] == 1
    assert [verb for verb, _, _ in acts(runtime, request_id)] == ["commented", "commented"]
    for refused in (auditor, machine):
        assert refused.post(path, {"text": "x"}).status_code == 403
    for text in ("", "a\x00b"):
        assert ann.post(path, {"text": text}).status_code == 422
    assert ann.get("/api/v1/approvals/apr_none/comments").status_code == 404
    assert ann.post("/api/v1/approvals/apr_none/comments", {"text": "x"}).status_code == 404


@pytest.mark.parametrize("act", ["reassign", "force", "decisions"])
def test_acts_on_a_request_there_is_not_are_not_found(sign_in: SignIn, act: str) -> None:
    ada = sign_in("admin")
    bodies: dict[str, dict[str, Any]] = {
        "reassign": {"step": "a", "from_id": "x", "to_id": "y", "reason": "r", "version": 1},
        "force": {"verdict": "approve", "version": 1, "reason": "r"},
        "decisions": {"verdict": "approve", "version": 1},
    }

    assert ada.post(f"/api/v1/approvals/apr_none/{act}", bodies[act]).status_code == 404
