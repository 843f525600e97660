"""Subjects to decide about, and policies to route them by."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from approvals import requests
from approvals.models import ApprovalPolicy
from approvals.routing import Subject
from core.money import Money
from core.runtime import Runtime


@pytest.fixture
def open_request(runtime: Runtime) -> Callable[..., str]:
    """Open a request about a payout of 125.00 EUR, or of `amount_minor`, and return its id."""

    def opened(
        subject_id: str = "pay_1",
        *,
        amount_minor: int = 12500,
        currency: str = "EUR",
        barred: frozenset[str] = frozenset(),
        created_by: str = "bundling",
        facts: Mapping[str, Any] | None = None,
    ) -> str:
        subject = Subject(
            kind="payout",
            id=subject_id,
            money=Money(amount_minor, currency),
            title="Blog One, October 2026",
            facts={"amount_base": amount_minor, "currency": currency, "category": {"6210"}, **(facts or {})},
            content={"payee": {"iban": "DE89370400440532013000"}, "amount_minor": amount_minor, "currency": currency},
            barred=barred,
        )
        with runtime.transaction() as session:
            return requests.open_request(runtime, session, subject, created_by=created_by).id

    return opened


@pytest.fixture
def use_steps(runtime: Runtime) -> Callable[..., None]:
    """Make the policy in force one chain of these steps, with `defaults` where they are given."""

    def used(*steps: dict[str, Any], **defaults: Any) -> None:
        with runtime.transaction() as session:
            chain = {"id": "default", "when": {}, "steps": list(steps)}
            session.get_one(ApprovalPolicy, 0).content = {"defaults": defaults, "chains": [chain]}

    return used


@pytest.fixture
def step() -> Callable[..., dict[str, Any]]:
    """Return a step that asks `role`, or whom `approvers` says."""

    def made(name: str, role: str = "finance", need: int = 1, **more: Any) -> dict[str, Any]:
        return {"id": name, "approvers": {"role": role}, "need": need, **more}

    return made
