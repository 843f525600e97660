"""People with an address to sign in by form, and requests to decide."""

from collections.abc import Callable
from typing import Any

import pytest

from access import people
from approvals import requests
from approvals.routing import Subject
from core.actors import system
from core.money import Money
from core.runtime import Runtime
from tests.conftest import PASSWORD


@pytest.fixture
def staff(runtime: Runtime) -> Callable[..., str]:
    """Make a person with an address and roles; return the staff id."""

    def made(email: str, *roles: str) -> str:
        with runtime.transaction() as session:
            return people.create(
                runtime, session, email=email, roles=list(roles), password=PASSWORD, actor=system("tests")
            ).id

    return made


@pytest.fixture
def ask(runtime: Runtime) -> Callable[..., str]:
    """Open a request over 12,480.00 EUR with a title and facts; return its id."""

    def asked(
        subject_id: str = "pay_1", *, title: str = "Blog One, October 2026", amount_minor: int = 1248000, **facts: Any
    ) -> str:
        subject = Subject(
            kind="payout",
            id=subject_id,
            money=Money(amount_minor, "EUR"),
            title=title,
            facts={
                "amount_base": amount_minor,
                "currency": "EUR",
                "category": {"6210"},
                "assurance": "A",
                "affiliate.status": "trusted",
                "affiliate.bank_changed_days": 90,
                **facts,
            },
            content={"payee": {"iban": "DE89370400440532013000"}, "amount_minor": amount_minor, "currency": "EUR"},
        )
        with runtime.transaction() as session:
            return requests.open_request(runtime, session, subject, created_by="bundling").id

    return asked
