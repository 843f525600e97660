"""Who is told what: a digest a day, events for other programs, and nothing about accounts."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from approvals import jobs, requests
from approvals.routing import Subject
from core import runtime as runtimes
from core.money import Money
from core.outbox import OutboxMessage
from core.runtime import Runtime
from core.webhooks import Webhook
from tests.conftest import Caller, TestClock

SignIn = Callable[..., Caller]
Open = Callable[..., str]


def told(runtime: Runtime, channel: str) -> list[OutboxMessage]:
    with runtime.reading() as session:
        statement = sa.select(OutboxMessage).where(OutboxMessage.channel == channel)
        return list(session.scalars(statement.order_by(OutboxMessage.created_at, OutboxMessage.key)))


def asked(runtime: Runtime, subject_id: str) -> str:
    subject = Subject(
        "payout", subject_id, Money(100, "EUR"), "Blog One", {"amount_base": 100, "currency": "EUR"},
        {"payee": {"iban": "DE89370400440532013000"}},
    )  # fmt: skip
    with runtime.transaction() as session:
        return requests.open_request(runtime, session, subject, created_by="bundling").id


def test_each_person_has_one_digest_a_day_of_what_waits_for_him(
    runtime: Runtime, sign_in: SignIn, open_request: Open, clock: TestClock
) -> None:
    clock.now = datetime(2026, 11, 2, 5, 59, tzinfo=UTC)
    sign_in("finance", email="ann@example.com")
    sign_in("manager", email="eve@example.com")
    open_request("pay_1", amount_minor=1000)
    clock.advance(milliseconds=5)
    open_request("pay_2", amount_minor=250)
    open_request("pay_3", amount_minor=700, currency="USD")

    jobs.notify()
    early = told(runtime, "email")
    clock.advance(minutes=1)
    jobs.notify()
    clock.advance(hours=3)
    jobs.notify()

    [digest] = told(runtime, "email")
    assert early == []
    assert digest.recipient == "ann@example.com"
    assert digest.payload["subject"] == "3 requests wait for your decision"
    assert "3 requests wait for your decision: 12.50 EUR and 7.00 USD." in digest.payload["text"]
    assert digest.payload["text"].count("- Blog One, October 2026") == 3
    clock.advance(days=1)
    jobs.notify()
    assert len(told(runtime, "email")) == 2


def test_whoever_is_away_is_left_in_peace_and_his_delegate_is_told(
    runtime: Runtime, sign_in: SignIn, open_request: Open, clock: TestClock
) -> None:
    ann, dan = sign_in("finance", email="ann@example.com"), sign_in("manager", email="dan@example.com")
    away = {"to_id": dan.staff_id, "reason": "holiday", "kind": "out_of_office"}
    times = {"starts_at": "2026-11-02T09:00:00Z", "ends_at": "2026-11-04T00:00:00Z"}
    assert ann.post("/api/v1/delegations", away | times).status_code == 201
    open_request()

    jobs.notify()
    away_told = [each.recipient for each in told(runtime, "email")]
    clock.now = datetime(2026, 11, 4, 7, 0, tzinfo=UTC)
    jobs.notify()

    assert away_told == ["dan@example.com"]
    assert [each.recipient for each in told(runtime, "email")][1:] == ["ann@example.com"]


def test_every_step_of_a_request_is_an_event_for_the_webhook_without_names_or_accounts(
    runtime: Runtime, sign_in: SignIn, clock: TestClock
) -> None:
    assert runtime.delivery is not None
    hook = Webhook("http://127.0.0.1:9/", base64.b64decode("AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"))
    runtimes.install(replace(runtime, delivery=replace(runtime.delivery, webhook=hook)))
    hooked = runtimes.installed()
    ann, dan = sign_in("finance"), sign_in("manager")

    first, second = asked(hooked, "pay_1"), asked(hooked, "pay_2")
    body: dict[str, Any] = {"step": "finance", "from_id": ann.staff_id, "to_id": dan.staff_id, "reason": "ill"}
    ann.post(f"/api/v1/approvals/{first}/reassign", body | {"version": 1})
    clock.advance(seconds=1)
    dan.post(f"/api/v1/approvals/{first}/decisions", {"verdict": "approve", "version": 2})
    ann.post(f"/api/v1/approvals/{second}/decisions", {"verdict": "reject", "version": 1})

    events = [(each.payload["type"], each.payload["data"]["approval_id"]) for each in told(runtime, "webhook")]
    assert sorted(events) == sorted(
        [
            ("approval.opened", first), ("approval.opened", second), ("approval.reassigned", first),
            ("approval.approved", first), ("approval.rejected", second),
        ]
    )  # fmt: skip
    payload = told(runtime, "webhook")[0].payload
    assert set(payload["data"]) == {
        "approval_id", "subject", "money", "state", "chain", "policy_version", "version",
    }  # fmt: skip
    for each in told(runtime, "webhook"):
        assert "DE89" not in str(each.payload)
        assert "Blog One" not in str(each.payload)
