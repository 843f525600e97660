"""Negative balances that are given up: asked for by one, approved by another, posted once."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from core.runtime import Runtime
from payouts import jobs, write_offs
from payouts.models import Accrual
from postback.models import Conversion
from reports import rebuilding
from tests.conftest import Answer, Caller
from tests.payouts.books import Books

PATH = "/api/v1/affiliates/aff_1/write-offs"


@given(st.lists(st.integers(-1000, 1000), max_size=8), st.integers(1, 2000))
def test_a_write_off_takes_no_more_from_a_conversion_than_it_is_negative_by(owed: list[int], amount: int) -> None:
    parts = list(write_offs.spread([(str(number), minor) for number, minor in enumerate(owed)], amount))

    assert all(0 < part <= -owed[int(conversion_id)] for conversion_id, part in parts)
    assert sum(part for _, part in parts) == min(amount, sum(-minor for minor in owed if minor < 0))


@pytest.fixture
def owing(books: Books) -> Books:
    """An affiliate who has been paid for two conversions that were taken back since: it owes us 20.00."""
    for number in (1, 2):
        books.conversion(f"cnv_{number}", payout_minor=1000)
    jobs.accrue()
    jobs.bundle("2026-10")
    books.conversion("cnv_3", payout_minor=500)
    jobs.accrue()
    for number in (1, 2):
        books.change(Conversion, f"cnv_{number}", state="reversed", is_accrual_due=True)
    jobs.accrue()
    return books


def asked(caller: Caller, amount: str, currency: str = "EUR") -> Answer:
    return caller.post(PATH, {"money": {"amount": amount, "currency": currency}, "reason": "It has closed its doors"})


def test_what_an_affiliate_owes_is_written_off_once_somebody_else_approves(
    runtime: Runtime, owing: Books, sign_in: Callable[..., Caller]
) -> None:
    finance, other = sign_in("finance"), sign_in("finance")
    before = finance.get("/api/v1/affiliates/aff_1/balance").json["balances"][0]
    assert before["negative_carried"]["amount"] == "-15.00"

    answer = asked(finance, "12.00")
    twice = asked(finance, "1.00")
    request = finance.get(f"/api/v1/approvals/{answer.json['approval_id']}").json
    mine = finance.post(
        f"/api/v1/approvals/{request['id']}/decisions", {"verdict": "approve", "version": request["version"]}
    )
    theirs = other.post(
        f"/api/v1/approvals/{request['id']}/decisions", {"verdict": "approve", "version": request["version"]}
    )
    for _ in range(2):
        jobs.settle()

    assert (answer.status_code, twice.status_code, mine.status_code) == (201, 409, 403), mine.text
    assert theirs.status_code in {200, 201}, theirs.text
    shown = finance.get(f"/api/v1/write-offs/{answer.json['id']}").json
    assert (shown["state"], shown["money"]) == ("posted", {"amount": "12.00", "currency": "EUR"})
    assert finance.get("/api/v1/write-offs?state=posted").json["items"] == [shown]
    after = finance.get("/api/v1/affiliates/aff_1/balance").json["balances"][0]
    assert after["negative_carried"]["amount"] == "-3.00"
    assert owing.balances()["expense:write-off"] == 1200
    with runtime.reading() as session:
        parts = session.execute(
            sa.select(Accrual.conversion_id, Accrual.amount_minor)
            .where(Accrual.kind == "write_off")
            .order_by(Accrual.conversion_id)
        ).all()
        assert [tuple(part) for part in parts] == [("cnv_1", 200), ("cnv_2", 1000)]
        assert list(rebuilding.differences(session)) == []


def test_only_what_is_owed_to_us_is_written_off_and_a_rejected_one_changes_nothing(
    owing: Books, sign_in: Callable[..., Caller]
) -> None:
    finance, other = sign_in("finance"), sign_in("finance")

    assert [asked(finance, amount).status_code for amount in ("15.01", "0.00", "-1.00")] == [422, 422, 422]
    assert asked(finance, "1.00", "USD").json["errors"][0]["field"] == "money"
    assert asked(sign_in("manager"), "1.00").status_code == 403
    made = asked(finance, "15.00").json
    request = other.get(f"/api/v1/approvals/{made['approval_id']}").json
    other.post(
        f"/api/v1/approvals/{request['id']}/decisions",
        {"verdict": "reject", "comment": "They will come back", "version": request["version"]},
    )
    jobs.settle()

    assert finance.get(f"/api/v1/write-offs/{made['id']}").json["state"] == "rejected"
    assert "expense:write-off" not in owing.balances()


def test_an_approval_that_comes_after_the_balance_has_risen_lapses(
    owing: Books, sign_in: Callable[..., Caller]
) -> None:
    finance, other = sign_in("finance"), sign_in("finance")
    made = asked(finance, "15.00").json
    owing.conversion("cnv_9", payout_minor=400)
    jobs.accrue()
    request = other.get(f"/api/v1/approvals/{made['approval_id']}").json
    other.post(f"/api/v1/approvals/{request['id']}/decisions", {"verdict": "approve", "version": request["version"]})
    jobs.settle()

    assert finance.get(f"/api/v1/write-offs/{made['id']}").json["state"] == "lapsed"
    assert "expense:write-off" not in owing.balances()
