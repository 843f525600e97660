"""Subjects to decide about."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from approvals import requests
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
        barred: frozenset[str] = frozenset(),
        created_by: str = "bundling",
        facts: Mapping[str, Any] | None = None,
    ) -> str:
        subject = Subject(
            kind="payout",
            id=subject_id,
            money=Money(amount_minor, "EUR"),
            title="Blog One, October 2026",
            facts={"amount_base": amount_minor, "currency": "EUR", "category": {"6210"}, **(facts or {})},
            content={"payee": {"iban": "DE89370400440532013000"}, "amount_minor": amount_minor, "currency": "EUR"},
            barred=barred,
        )
        with runtime.transaction() as session:
            return requests.open_request(runtime, session, subject, created_by=created_by).id

    return opened
