"""Receipts, conversions and what people decide about them."""

import json
import shlex
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import audit, doorbell
from core.runtime import Runtime
from partners import secrets
from postback.models import Conversion
from tests.conftest import START, Caller, TestClock, answer_of
from tests.postback.conftest import NOW_S, TESTS, Network, Stored, Trade, secret_ids


@pytest.fixture
def held(network: Network, trade: Trade) -> dict[str, Any]:
    """A conversion that waits for a person, as its sender heard of it."""
    trade.click("CLICK-1")
    answer: dict[str, Any] = network.send(ts=str(NOW_S - 3600)).json
    return answer


def test_receipts_are_listed_newest_first_and_filtered(network: Network, machine: Caller, clock: TestClock) -> None:
    network.send()
    clock.advance(minutes=1)
    network.fire(network.query() + "&sig=" + "0" * 64)
    clock.advance(minutes=1)
    network.send(payout="x")

    def outcomes(**query: str) -> list[str]:
        answer = machine.get("/api/v1/receipts", query_string=query)
        assert answer.status_code == 200, answer.text
        return [item["outcome"] for item in answer.json["items"]]

    assert outcomes() == ["invalid", "unauthorised", "unmatched"]
    assert outcomes(source_id=network.source_id, verdict="refused", reason="bad_signature") == ["unauthorised"]
    assert outcomes(outcome="invalid") == ["invalid"]
    assert outcomes(**{"from": "2026-11-02T09:01:00Z", "until": "2026-11-02T09:02:00Z"}) == ["unauthorised"]
    conversion_id = machine.get("/api/v1/conversions").json["items"][0]["id"]
    assert outcomes(conversion_id=conversion_id) == ["unmatched"]
    assert outcomes(conversion_id="cnv_none") == []
    first = machine.get("/api/v1/receipts", query_string={"limit": "2"}).json
    rest = machine.get("/api/v1/receipts", query_string={"limit": "2", "after": first["next"]}).json
    assert [len(first["items"]), len(rest["items"]), rest["next"]] == [2, 1, None]
    assert machine.get("/api/v1/receipts", query_string={"reason": "whim"}).status_code == 422


def test_a_time_within_a_millisecond_and_one_before_all_time_bound_the_receipts_exactly(
    network: Network, machine: Caller, clock: TestClock
) -> None:
    for microseconds in (100, 300):
        clock.now = START + timedelta(microseconds=microseconds)
        network.send(transaction_id=str(microseconds))

    def keys(**query: str) -> list[str]:
        items = machine.get("/api/v1/receipts", query_string=query).json["items"]
        return sorted(item["dedupe_key"].partition("\x1f")[0] for item in items)

    assert keys(**{"from": "2026-11-02T09:00:00.000200Z"}) == ["300"]
    assert keys(until="2026-11-02T09:00:00.000300Z") == ["100"]
    assert keys(**{"from": "0001-01-01T00:00:00Z", "until": "9999-12-31T23:59:59Z"}) == ["100", "300"]


def test_the_raw_request_is_shown_to_the_people_who_may_see_it_and_to_no_machine(
    new_network: Callable[..., Network], machine: Caller, sign_in: Callable[..., Caller], stored: Stored
) -> None:
    network = new_network(scheme="sw1")
    network.fire("a=\xff&sig=1", method="POST", data=b"{}", headers={"webhook-id": "msg", "x-other": "no"})
    [receipt] = stored.receipts()
    path = f"/api/v1/receipts/{receipt.id}"

    raws = {role: sign_in(role).get(path).json["raw"] for role in ("admin", "finance", "auditor", "manager")}

    shown = {"query": receipt.raw_query.decode("utf-8", "backslashreplace"), "body": "{}",
             "signature_headers": {"webhook-id": "msg"}}  # fmt: skip
    assert raws == {"admin": shown, "finance": shown, "auditor": shown, "manager": None}
    of_machine = machine.get(path).json
    assert (of_machine["raw"], of_machine["reason"], of_machine["outcome"]) == (
        None, "signature_missing", "unauthorised",
    )  # fmt: skip
    assert "raw" not in sign_in("admin", "finance").get("/api/v1/receipts").json["items"][0]
    assert machine.get("/api/v1/receipts/rcp_none").status_code == 404


def test_conversions_are_listed_and_filtered(network: Network, trade: Trade, machine: Caller, clock: TestClock) -> None:
    trade.click("CLICK-1", clicked_at=START - timedelta(days=5))
    network.send(transaction_id="1", occurred_at="2026-10-31T23%3A59%3A59Z", amount="20.00")
    clock.advance(seconds=1)
    network.send(transaction_id="2", occurred_at="2026-11-01T00%3A00%3A00Z", click_id="NOBODY")
    clock.advance(seconds=1)
    network.send(transaction_id="3", ts=str(NOW_S - 3600))

    def found(**query: str) -> list[str]:
        answer = machine.get("/api/v1/conversions", query_string=query)
        assert answer.status_code == 200, answer.text
        return [item["transaction_id"] for item in answer.json["items"]]

    assert found() == ["3", "2", "1"]
    assert found(state="unmatched") == ["2"]
    assert (found(held="true"), found(held="false")) == (["3"], ["2", "1"])
    assert (found(period="2026-10"), found(period="2026-11")) == (["1"], ["3", "2"])
    assert found(affiliate_id="aff_one", source_id=network.source_id, transaction_id="1") == ["1"]
    item = machine.get("/api/v1/conversions", query_string={"transaction_id": "1"}).json["items"][0]
    assert item["payout"] == {"amount": "0.50", "currency": "GBP"}
    assert item["amount"] == {"amount": "20.00", "currency": "GBP"}
    assert (item["state"], item["hold_reason"], item["version"]) == ("recorded", None, 1)
    assert machine.get("/api/v1/conversions", query_string={"period": "2026-13"}).status_code == 422


def test_approving_clears_the_hold_on_the_record_and_rings_for_the_accrual(
    held: dict[str, Any], sign_in: Callable[..., Caller], stored: Stored, runtime: Runtime
) -> None:
    finance = sign_in("finance")

    answer = finance.post(
        f"/api/v1/conversions/{held['conversion_id']}/events",
        {"kind": "approve", "reason": "the network was down", "version": 1},
    )

    assert answer.status_code == 201, answer.text
    assert (answer.json["state"], answer.json["hold_reason"], answer.json["version"]) == ("recorded", None, 2)
    event = stored.events()[-1]
    assert (event.seq, event.kind, event.actor_kind, event.actor_id, event.reason) == (
        2, "approved", "staff", finance.staff_id, "the network was down",
    )  # fmt: skip
    with runtime.reading() as session:
        entry = session.scalars(sa.select(audit.AuditEntry).order_by(audit.AuditEntry.seq.desc()).limit(1)).one()
    assert (entry.verb, entry.subject_id, entry.reason) == ("approved", held["conversion_id"], "the network was down")
    assert (entry.before, entry.after) == (
        {"state": "recorded", "hold_reason": "late"}, {"state": "recorded", "hold_reason": None},
    )  # fmt: skip
    assert "accrual" in {job.args[0] for job in doorbell.queue(runtime.redis).jobs}


def test_rejecting_ends_a_conversion_and_an_accrued_one_takes_a_refund(
    held: dict[str, Any], sign_in: Callable[..., Caller], runtime: Runtime, network: Network
) -> None:
    admin, path = sign_in("admin"), f"/api/v1/conversions/{held['conversion_id']}/events"
    with runtime.transaction() as session:
        session.execute(sa.update(Conversion).values(state="accrued"))
    accrued = admin.post(path, {"kind": "reject", "reason": "fraud", "version": 1})
    with runtime.transaction() as session:
        session.execute(sa.update(Conversion).values(state="recorded"))

    rejected = admin.post(path, {"kind": "reject", "reason": "fraud", "version": 1})
    again = admin.post(path, {"kind": "approve", "reason": "no fraud", "version": 2})

    assert (accrued.status_code, "refund" in accrued.json["detail"]) == (409, True)
    assert (rejected.status_code, rejected.json["state"], rejected.json["hold_reason"]) == (201, "rejected", None)
    assert again.status_code == 409
    conflict = network.send(payout="9.99")
    assert conflict.json["status"] == "conflict"
    with runtime.reading() as session:
        assert session.scalars(sa.select(Conversion.hold_reason)).one() is None


def test_a_decision_needs_a_person_a_reason_and_the_version_seen(
    held: dict[str, Any], sign_in: Callable[..., Caller], machine: Caller, stored: Stored
) -> None:
    finance, path = sign_in("finance"), f"/api/v1/conversions/{held['conversion_id']}/events"
    good = {"kind": "approve", "reason": "why", "version": 1}

    assert machine.post(path, good).status_code == 403
    assert sign_in("manager").post(path, good).status_code == 403
    assert finance.post(path, {**good, "reason": "  "}).status_code == 422
    assert finance.post(path, {**good, "kind": "explode"}).status_code == 422
    assert finance.post(path, {**good, "version": 2}).status_code == 409
    assert finance.post("/api/v1/conversions/cnv_none/events", good).status_code == 404
    assert len(stored.events()) == 1
    first = finance.post(path, good, headers={"Idempotency-Key": "k"})
    again = finance.post(path, good, headers={"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code, again.json) == (201, 201, first.json)
    assert len(stored.events()) == 2


def test_a_conflict_seen_and_approved_does_not_hold_again_when_the_network_repeats_itself(
    network: Network, trade: Trade, sign_in: Callable[..., Caller], stored: Stored
) -> None:
    trade.click("CLICK-1")
    conversion_id = network.send().json["conversion_id"]
    network.send(payout="9.50")
    path = f"/api/v1/conversions/{conversion_id}/events"
    assert sign_in("finance").post(path, {"kind": "approve", "reason": "0.50 it is", "version": 2}).status_code == 201

    assert network.send(payout="9.50").json["status"] == "conflict"
    assert stored.conversions()[0].hold_reason is None
    assert network.send(payout="7.50").json["status"] == "conflict"
    assert stored.conversions()[0].hold_reason == "conflict"


@pytest.mark.parametrize("scheme", ["pb1", "sw1"])
def test_the_example_is_believed_as_it_stands_and_has_a_fresh_transaction_each_time(
    new_network: Callable[..., Network], machine: Caller, stored: Stored, clock: TestClock, scheme: str
) -> None:
    network = new_network(scheme=scheme, parameters={"click_id": "aff_sub"}, default_currency="JPY")
    path = f"/api/v1/sources/{network.source_id}/example"

    for _ in range(2):
        clock.advance(milliseconds=5)
        words = shlex.split(machine.get(path).json["curl"])
        assert words[0] == "curl"
        if scheme == "pb1":
            address, query = words[1].split("?")
            answer = network.fire(query)
        else:
            address = words[3]
            headers = dict(word.split(": ") for word in words if ": " in word and not word.startswith("{"))
            answer = network.fire("", method="POST", data=words[-1].encode(), headers=headers)
            assert json.loads(words[-1])["aff_sub"] == "example-click"
        assert address == f"http://localhost/postback/{network.source_id}"
        assert answer.json["status"] == "unmatched"

    assert len(stored.conversions()) == 2
    template = machine.get(path).json["url_template"]
    expected = (
        "?aff_sub={click_id}&transaction_id={transaction_id}&payout={payout}&currency={currency}&ts={ts}&sig={sig}"
    )
    assert template == address + (expected if scheme == "pb1" else "")


def test_the_example_needs_a_live_secret_and_an_admin(
    network: Network, machine: Caller, sign_in: Callable[..., Caller], runtime: Runtime
) -> None:
    path = f"/api/v1/sources/{network.source_id}/example"
    assert sign_in("admin").get(path).status_code == 200
    assert sign_in("finance").get(path).status_code == 403
    assert machine.get("/api/v1/sources/src_none/example").status_code == 404
    with runtime.transaction() as session:
        [secret_id] = secret_ids(session, network.source_id)
        secrets.revoke(runtime, session, network.source_id, secret_id, actor=TESTS)

    assert machine.get(path).status_code == 409


def test_nobody_signs_in_at_the_postback_door(network: Network, machine: Caller) -> None:
    answer = answer_of(
        machine.client.get(f"/postback/{network.source_id}", query_string=network.query(), headers=machine.headers)
    )

    assert answer.status_code == 401
