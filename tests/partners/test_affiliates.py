"""Affiliates through their door."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from core.audit import AuditEntry
from core.runtime import Runtime
from partners.models import Affiliate
from tests.conftest import Caller, TestClock

PAYEE = {"name": "Blog One GmbH", "iban": "DE89370400440532013000", "bic": "COBADEFFXXX"}
IBAN_KIND = {"kind": "iban", "account": None}
BLOG_ONE = {"name": "Blog One", "currency": "EUR", "payee": PAYEE, "hold_days": 14, "minimum_payout": "25.00"}


def test_an_account_is_kept_whole_and_shown_masked(machine: Caller, runtime: Runtime) -> None:
    spaced = {**PAYEE, "iban": "de89 3704 0044 0532 0130 00"}

    created = machine.post("/api/v1/affiliates", {**BLOG_ONE, "payee": spaced})
    affiliate_id = created.json["id"]

    assert created.status_code == 201
    assert created.json["payee"] == {"name": "Blog One GmbH", "iban": "DE89…13000", "bic": "COBADEFFXXX", **IBAN_KIND}
    assert created.json["minimum_payout"] == "25.00"
    assert created.json["hold_days"] == 14
    assert created.json["status"] == "new"
    for answer in (created, machine.get("/api/v1/affiliates"), machine.get(f"/api/v1/affiliates/{affiliate_id}")):
        assert "37040044" not in answer.text
    with runtime.reading() as session:
        assert session.get_one(Affiliate, affiliate_id).payee_iban == "DE89370400440532013000"


def test_an_affiliate_needs_no_account_to_begin_with(machine: Caller) -> None:
    created = machine.post("/api/v1/affiliates", {"name": "Blog Two", "currency": "JPY"})

    assert created.json["payee"] is None
    assert created.json["minimum_payout"] == "0"


def test_all_faults_of_account_and_minimum_are_answered_at_once_without_the_account_number(machine: Caller) -> None:
    answer = machine.post(
        "/api/v1/affiliates",
        {
            **BLOG_ONE,
            "minimum_payout": "25.001",
            "payee": {"name": "x", "iban": "DE88370400440532013000", "bic": "NONSENSE1"},
        },
    )

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["minimum_payout", "payee.iban", "payee.bic"]
    assert "370400" not in answer.text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("currency", "EURO"),
        ("hold_days", 366),
        ("hold_days", -1),
        ("hold_days", "1"),
        ("minimum_payout", "-1.00"),
        ("minimum_payout", 25),
        ("status", "friend"),
        ("payee", {"name": "x"}),
    ],
)
def test_a_field_that_does_not_fit_is_refused(machine: Caller, field: str, value: object) -> None:
    answer = machine.post("/api/v1/affiliates", {**BLOG_ONE, field: value})

    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"].split(".")[0] == field


def test_a_changed_account_is_marked_and_audited_with_its_ends_alone(
    sign_in: Callable[..., Caller], runtime: Runtime, clock: TestClock
) -> None:
    manager = sign_in("affiliate_manager")
    affiliate_id = manager.post("/api/v1/affiliates", BLOG_ONE).json["id"]
    clock.advance(hours=3)

    changed = manager.patch(
        f"/api/v1/affiliates/{affiliate_id}",
        {"version": 1, "payee": {"name": "Blog One GmbH", "iban": "FR1420041010050500013M02606"}},
    )

    assert changed.json["payee"] == {"name": "Blog One GmbH", "iban": "FR14…02606", "bic": None, **IBAN_KIND}
    assert changed.json["payee_changed_at"] == "2026-11-02T12:00:00Z"
    assert changed.json["payee_changed_by"] == manager.staff_id
    assert changed.json["version"] == 2
    with runtime.reading() as session:
        entry = session.scalars(sa.select(AuditEntry).where(AuditEntry.verb == "changed")).one()
    assert entry.before == {"payee_iban": "DE89…13000"}
    assert entry.after == {"payee_iban": "FR14…02606", "fields": ["payee"]}


def test_an_account_that_stays_the_same_is_not_marked_as_changed(machine: Caller) -> None:
    affiliate_id = machine.post("/api/v1/affiliates", BLOG_ONE).json["id"]

    changed = machine.patch(f"/api/v1/affiliates/{affiliate_id}", {"version": 1, "payee": PAYEE, "status": "trusted"})

    assert changed.json["status"] == "trusted"
    assert changed.json["payee_changed_at"] is None
    assert changed.json["minimum_payout"] == "25.00"


def test_an_account_can_be_taken_away(machine: Caller) -> None:
    affiliate_id = machine.post("/api/v1/affiliates", BLOG_ONE).json["id"]

    changed = machine.patch(f"/api/v1/affiliates/{affiliate_id}", {"version": 1, "payee": None})

    assert changed.json["payee"] is None
    assert changed.json["payee_changed_at"] == "2026-11-02T09:00:00Z"


def test_a_change_on_an_older_version_is_refused(machine: Caller) -> None:
    affiliate_id = machine.post("/api/v1/affiliates", BLOG_ONE).json["id"]
    machine.patch(f"/api/v1/affiliates/{affiliate_id}", {"version": 1, "minimum_payout": "10.00"})

    late = machine.patch(f"/api/v1/affiliates/{affiliate_id}", {"version": 1, "minimum_payout": "0.00"})

    assert late.status_code == 409
    assert machine.get(f"/api/v1/affiliates/{affiliate_id}").json["minimum_payout"] == "10.00"


def test_finance_reads_affiliates_and_does_not_change_them(sign_in: Callable[..., Caller]) -> None:
    finance = sign_in("finance")

    assert finance.get("/api/v1/affiliates").status_code == 200
    assert finance.post("/api/v1/affiliates", BLOG_ONE).status_code == 403
