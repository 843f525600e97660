"""Delegations: made, refused where they would be a chain, and counted as one human being and another."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from approvals import delegating
from approvals.delegating import Delegation
from core.audit import AuditEntry
from core.money import Money
from core.runtime import Runtime
from tests.conftest import Caller, TestClock

SignIn = Callable[..., Caller]
Open = Callable[..., str]
NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def handed(giver: str, taker: str, *, days: int = 0, length: int = 5, **more: Any) -> Delegation:
    starts_at = NOW + timedelta(days=days)
    return Delegation(giver, taker, starts_at, starts_at + timedelta(days=length), more.pop("scope", {}), **more)


def body(to_id: str, **more: Any) -> dict[str, Any]:
    times = {"starts_at": "2026-11-02T09:00:00Z", "ends_at": "2026-11-09T09:00:00Z"}
    return {"to_id": to_id, "reason": "on holiday", **times, **more}


def approve(person: Caller, request_id: str, version: int = 1, **more: Any) -> tuple[int, Any]:
    answer = person.post(
        f"/api/v1/approvals/{request_id}/decisions", {"verdict": "approve", "version": version, **more}
    )
    return answer.status_code, answer.json


@pytest.mark.parametrize(
    ("wanted", "others", "words"),
    [
        (handed("ann", "ann"), [], "nobody delegates to himself"),
        (handed("ann", "bob", length=0), [], "it ends before it starts"),
        (handed("ann", "bob"), [handed("bob", "ann")], "that would be a loop"),
        (handed("ann", "bob"), [handed("bob", "cid", days=4)], "that would be a chain: whoever is to decide"),
        (handed("ann", "bob"), [handed("cid", "ann", days=-4)], "that would be a chain: whoever delegates"),
        (handed("ann", "bob"), [handed("bob", "cid", days=5)], None),  # one ends when the other starts
        (handed("ann", "bob"), [handed("ann", "cid"), handed("dan", "bob")], None),
    ],
)
def test_a_delegate_delegates_no_further(wanted: Delegation, others: list[Delegation], words: str | None) -> None:
    refusal = delegating.refusal(wanted, others)

    assert (refusal or "").startswith(words or "") if words else refusal is None


def test_a_delegation_counts_in_its_time_within_its_scope_and_up_to_its_limit() -> None:
    one = handed("ann", "bob", scope={"category": {"in": ["6210"]}}, limit=Money(10_000, "EUR"))
    facts = {"category": ["6210"], "amount_base": 10_000, "currency": "EUR"}

    def principals(now: datetime = NOW, **changed: Any) -> frozenset[str]:
        return delegating.principals([one], "bob", facts | changed, now)

    assert principals() == {"ann"}
    assert principals(NOW - timedelta(seconds=1)) == frozenset()
    assert principals(NOW + timedelta(days=5)) == frozenset()
    assert principals(amount_base=10_001) == frozenset()
    assert principals(currency="USD") == frozenset()
    assert principals(category=["4000"]) == frozenset()
    assert delegating.principals([one], "cid", facts, NOW) == frozenset()


@given(
    wanted=st.lists(
        st.builds(
            handed, st.sampled_from("abcd"), st.sampled_from("abcd"), days=st.integers(0, 6), length=st.integers(0, 5)
        ),
        max_size=12,
    ),
    day=st.integers(0, 12),
)
def test_of_delegations_taken_one_after_the_other_no_moment_has_a_chain(wanted: list[Delegation], day: int) -> None:
    taken: list[Delegation] = []
    for each in wanted:
        if delegating.refusal(each, taken) is None:
            taken.append(each)

    now = NOW + timedelta(days=day)
    live = [(each.from_id, each.to_id) for each in taken if each.is_live(now)]

    assert delegating.chains(live) == []


def test_a_delegate_finds_it_in_his_inbox_decides_it_and_both_have_had_their_say(
    runtime: Runtime, sign_in: SignIn, open_request: Open, use_steps: Callable[..., None], step: Callable[..., Any]
) -> None:
    use_steps(step("finance", need=2))
    ann, bob, dan = sign_in("finance"), sign_in("finance"), sign_in("manager")
    request_id = open_request()
    assert approve(dan, request_id)[0] == 403

    made = ann.post("/api/v1/delegations", body(dan.staff_id))
    waiting = [each["id"] for each in dan.get("/api/v1/approvals?waiting_for=me").json["items"]]
    status, decided = approve(dan, request_id)
    own = approve(ann, request_id, 2)
    last = approve(bob, request_id, 2)

    assert (made.status_code, waiting) == (201, [request_id])
    assert (status, decided["state"]) == (200, "open")
    [decision] = decided["steps"][0]["decisions"]
    assert (decision["actor_id"], decision["on_behalf_of"]) == (dan.staff_id, ann.staff_id)
    assert (own[0], own[1]["type"]) == (409, "/problems/already-decided")
    assert last[1]["state"] == "approved"
    with runtime.reading() as session:
        entry = session.scalars(sa.select(AuditEntry).where(AuditEntry.verb == "decided")).first()
        assert entry is not None
        assert (entry.actor_id, entry.on_behalf_of) == (dan.staff_id, ann.staff_id)
    assert ann.get("/api/v1/approvals?waiting_for=me").json["items"] == []


def test_a_scope_and_a_limit_narrow_what_a_delegate_sees_and_may_decide(
    sign_in: SignIn, open_request: Open, clock: TestClock
) -> None:
    ann, dan = sign_in("finance"), sign_in("manager")
    limit = {"amount": "100.00", "currency": "EUR"}
    scope = {"category": {"in": ["6210"]}}
    ann.post("/api/v1/delegations", body(dan.staff_id, scope=scope, limit=limit))
    small = open_request("pay_1", amount_minor=10_000)
    large = open_request("pay_2", amount_minor=10_001)
    other = open_request("pay_3", amount_minor=1, facts={"category": {"4000"}})

    assert [each["id"] for each in dan.get("/api/v1/approvals?waiting_for=me").json["items"]] == [small]
    assert approve(dan, large, on_behalf_of=ann.staff_id)[1]["type"] == "/problems/not-delegated"
    assert approve(dan, other)[1]["type"] == "/problems/not-an-approver"
    clock.advance(days=7)
    dan = sign_in("manager", email="again@example.com")
    assert dan.get("/api/v1/approvals?waiting_for=me").json["items"] == []


def test_whom_the_subject_bars_decides_through_no_delegate_either(sign_in: SignIn, open_request: Open) -> None:
    ann, dan, eve = sign_in("finance"), sign_in("manager"), sign_in("finance")
    request_id = open_request(barred=frozenset({ann.staff_id}))
    ann.post("/api/v1/delegations", body(dan.staff_id))
    eve.post("/api/v1/delegations", body(ann.staff_id))

    assert approve(dan, request_id, on_behalf_of=ann.staff_id)[1]["type"] == "/problems/barred"
    assert dan.get("/api/v1/approvals?waiting_for=me").json["items"] == []
    # She delegated to the barred: neither of them decides so, and she herself still may.
    assert approve(ann, request_id, on_behalf_of=eve.staff_id)[0] == 403
    assert approve(eve, request_id)[0] == 200


def test_loops_and_chains_are_refused_at_the_door_and_one_that_ended_is_none(sign_in: SignIn) -> None:
    ann, bob, cid = sign_in("finance"), sign_in("finance"), sign_in("manager")
    first = ann.post("/api/v1/delegations", body(bob.staff_id)).json

    loop = bob.post("/api/v1/delegations", body(ann.staff_id))
    chain = bob.post("/api/v1/delegations", body(cid.staff_id))
    revoked = bob.post(f"/api/v1/delegations/{first['id']}/revoke")
    after = bob.post("/api/v1/delegations", body(cid.staff_id))

    assert [(each.status_code, each.json["type"]) for each in (loop, chain)] == [
        (409, "/problems/delegation-chain")
    ] * 2
    assert (revoked.status_code, revoked.json["revoked_by"]) == (200, bob.staff_id)
    assert after.status_code == 201
    listed = cid.get(f"/api/v1/delegations?staff_id={cid.staff_id}").json["items"]
    assert [(each["from_id"], each["kind"]) for each in listed] == [(bob.staff_id, "delegation")]


def test_nobody_but_an_admin_delegates_for_another_and_he_not_to_himself(sign_in: SignIn, machine: Caller) -> None:
    ann, bob, ada, auditor = sign_in("finance"), sign_in("manager"), sign_in("admin"), sign_in("auditor")

    for_another = bob.post("/api/v1/delegations", body(bob.staff_id, from_id=ann.staff_id))
    own_gain = ada.post("/api/v1/delegations", body(ada.staff_id, from_id=ann.staff_id))
    by_admin = ada.post("/api/v1/delegations", body(bob.staff_id, from_id=ann.staff_id, kind="out_of_office"))
    to_nobody = ann.post(
        "/api/v1/delegations", body(auditor.staff_id, ends_at="2026-11-01T09:00:00Z", scope={"colour": {"eq": 1}})
    )

    assert [each.status_code for each in (for_another, own_gain, by_admin)] == [403, 403, 201]
    assert {error["field"] for error in to_nobody.json["errors"]} == {"to_id", "ends_at", "scope.colour"}
    for refused in (auditor, machine):
        assert refused.post("/api/v1/delegations", body(bob.staff_id)).status_code == 403
    assert auditor.get("/api/v1/delegations").status_code == 200
    stranger = sign_in("finance")
    assert stranger.post(f"/api/v1/delegations/{by_admin.json['id']}/revoke").status_code == 403
